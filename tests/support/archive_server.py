"""An archive on this machine: files, S3 listings and the store's API; it can fail on demand."""

import hashlib
import json
import threading
from contextlib import contextmanager, suppress

from fuxiflow.world.public_server import (
    GOOGLE_BUCKETS,
    S3_NAMESPACE,
    PublicHandler,
    PublicServer,
    running,
)

NAMESPACE = S3_NAMESPACE


class Archive(PublicServer):
    """Serves ``files``, and fails as ``faults`` say.

    ``faults`` maps a path to what happens to its next requests, one after the other. A fault is

    - a status, or a pair of a status and headers;
    - ``"cut"``: the answer announces its whole length and breaks off in the middle;
    - ``"flip"``: one bit of what is sent is another than in the file;
    - ``"drip"``: one byte comes after the other, slowly;
    - ``"half"``: half of it comes, and then nothing until the archive is closed;
    - ``"stall"``: nothing comes until the archive is closed;
    - ``"html"``: a web page with status 200;
    - ``"ignore"``: a range is answered with the whole file;
    - a function of the archive, which is called before the answer, such as one that changes a file;
    - None: nothing.
    """

    page = 2

    def __init__(self):
        super().__init__(handler=Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.if_range: list[str | None] = []
        self.store_requests: list[tuple[str, dict]] = []
        self.ranges = True
        # an opaque tag, "md5", "weak" or "none"
        self.tags = "opaque"
        self.headers: dict[str, dict] = {}
        self.listings = True
        self.keys = {"00000000-secret"}
        self.accepted_licences = ["cc-by"]
        # the next states of the store's jobs, and the jobs that it has forgotten
        self.states: list[str] = []
        self.forgotten: set[str] = set()
        self.asset: dict = {}
        self.closed = threading.Event()

    def objects(self, prefix: str):
        return ((key, len(body)) for key, body in self.files.items() if key.startswith(prefix))

    def tag(self, body: bytes) -> dict:
        digest = hashlib.md5(body).hexdigest()
        return {
            "opaque": {"ETag": f'"v-{digest[:8]}"'},
            "md5": {"ETag": f'"{digest}"'},
            "weak": {"ETag": f'W/"{digest}"'},
            "none": {},
        }[self.tags]


class Handler(PublicHandler):
    def do_GET(self):
        path, query = self.asked()
        self.server.requests.append((path, self.headers.get("Range")))
        self.server.if_range.append(self.headers.get("If-Range"))
        fault = self.fault(path)
        if fault is True:
            return
        if "list-type" in query:
            self.listing(query)
        elif path.startswith(GOOGLE_BUCKETS):
            self.google_listing(path, query)
        elif path.startswith("/catalogue/v1/"):
            self.catalogue(path)
        elif path.startswith("/profiles/v1/"):
            self.profile()
        elif path.startswith("/retrieve/"):
            self.store(path)
        elif path.lstrip("/") in self.server.files:
            self.file(path, fault)
        else:
            self.answer(404, b"")

    def fault(self, path: str):
        """The next fault of a path; True where it has been answered."""
        fault = self.server.faults.get(path) and self.server.faults[path].pop(0)
        if callable(fault):
            fault(self.server)
        elif isinstance(fault, int):
            self.answer(fault, b"")
        elif isinstance(fault, tuple):
            self.answer(fault[0], b"", fault[1])
        elif fault == "html":
            self.answer(200, b"<html><body>log in</body></html>", {"Content-Type": "text/html"})
        elif fault == "stall":
            self.server.closed.wait(30)
        else:
            return fault
        return not callable(fault)

    def file(self, path: str, fault: str | None):
        body = self.server.files[path.lstrip("/")]
        headers = self.server.tag(body) | self.server.headers.get(path, {})
        ranges = self.server.ranges and fault != "ignore"
        status, sent, headers = self.part(body, headers, ranges)
        if status == 416:
            return self.answer(status, sent)
        if fault == "flip":
            flipped = bytearray(sent)
            flipped[len(sent) // 2] ^= 1
            sent = bytes(flipped)
        if fault in ("drip", "half"):
            return self.dawdle(status, sent, headers, fault == "drip")
        if fault == "cut":
            headers = {"Content-Length": str(len(sent))} | headers
            sent = sent[: len(sent) // 2]
        return self.answer(status, sent, headers)

    def dawdle(self, status: int, body: bytes, headers: dict, drip: bool):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):
            if not drip:
                self.wfile.write(body[: len(body) // 2])
                self.server.closed.wait(30)
            for byte in body if drip else b"":
                self.wfile.write(bytes([byte]))
                if self.server.closed.wait(0.02):
                    return

    def listing(self, query):
        if self.server.listings:
            self.s3_listing("/", query)
        else:
            self.answer(404, b"")

    def google_listing(self, path: str, query: dict):
        if self.server.listings:
            super().google_listing(path, query)
        else:
            self.answer(404, b"")

    def known(self) -> bool:
        return self.headers.get("PRIVATE-TOKEN") in self.server.keys

    def refuse_key(self):
        self.answer_json({"title": "permission denied", "detail": "invalid token"}, 401)

    def catalogue(self, path: str):
        if path.endswith("/vocabularies/licences"):
            return self.answer_json({"licences": [{"id": "cc-by", "label": "CC-BY licence"}]})
        if "/collections/" in path:
            links = [
                {"rel": "license", "href": "https://store/cc-by.pdf", "title": "CC-BY licence"}
            ]
            return self.answer_json({"id": path.rpartition("/")[2], "links": links})
        return self.answer_json({"messages": []})

    def profile(self):
        if not self.known():
            return self.refuse_key()
        accepted = [{"id": name, "revision": 1} for name in self.server.accepted_licences]
        return self.answer_json({"licences": accepted})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        self.server.requests.append((self.path, None))
        if self.fault(self.path) is True:
            return None
        if not self.known():
            return self.refuse_key()
        if self.path.endswith("/account/verification/pat"):
            return self.answer_json({"id": "somebody"})
        dataset = self.path.split("/processes/")[1].split("/")[0]
        self.server.store_requests.append((dataset, body["inputs"]))
        if "refuse" in body["inputs"]["variable"]:
            return self.answer_json({"title": "invalid request", "detail": "no such variable"}, 400)
        if not self.server.accepted_licences:
            return self.answer_json(
                {"title": "required licences not accepted", "detail": "please accept them"}, 403
            )
        number = len(self.server.store_requests)
        self.server.files[f"result{number}.grib"] = (
            f"{dataset} {json.dumps(body['inputs'])}".encode()
        )
        return self.answer_json(self.job(number), 201)

    def job(self, number: int, status: str = "accepted") -> dict:
        job = f"{self.server.url}/retrieve/v1/jobs/{number}"
        return {
            "jobID": str(number),
            "status": status,
            "type": "process",
            "metadata": {},
            "links": [
                {"rel": "monitor", "href": job},
                {"rel": "self", "href": job},
                {"rel": "results", "href": f"{job}/results"},
            ],
        }

    def store(self, path: str):
        if not self.known():
            return self.refuse_key()
        if "/processes/" in path:
            name = path.rpartition("/")[2]
            here = f"{self.server.url}{path}"
            return self.answer_json(
                {
                    "id": name,
                    "links": [
                        {"rel": "self", "href": here},
                        {"rel": "execute", "href": f"{here}/execution"},
                    ],
                }
            )
        number = path.split("/jobs/")[1].split("/")[0]
        if number in self.server.forgotten:
            return self.answer_json({"title": "job not found", "detail": number}, 404)
        if not path.endswith("/results"):
            state = self.server.states.pop(0) if self.server.states else "successful"
            return self.answer_json(self.job(int(number), state))
        name = f"result{number}.grib"
        if name not in self.server.files:
            return self.answer_json({"title": "results expired", "detail": "ask anew"}, 404)
        value = {
            "href": f"{self.server.url}/{name}",
            "file:size": len(self.server.files[name]),
            "type": "application/grib",
        }
        return self.answer_json({"asset": {"value": value | self.server.asset}})


@contextmanager
def archive():
    """A running :class:`Archive`."""
    with running(Archive()) as server:
        try:
            yield server
        finally:
            server.closed.set()
