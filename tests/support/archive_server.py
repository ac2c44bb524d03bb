"""An archive on this machine: files, S3 listings and the store's API; it can fail on demand."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PAGE = 2  # keys on one page of a listing


class Archive(ThreadingHTTPServer):
    """Serves ``files``, and fails as ``faults`` say.

    ``faults`` maps a path to what happens to its next requests, one after the other. A fault is a
    status, or ``"cut"``: the answer announces its whole length and breaks off in the middle.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.store_requests: list[tuple[str, dict]] = []
        self.ranges = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *arguments):
        pass

    def answer(self, status: int, body: bytes, headers: dict | None = None, cut: bool = False):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)

    def answer_json(self, value, status: int = 200):
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def do_GET(self):
        parts = urlsplit(self.path)
        path, query = parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.server.requests.append((path, self.headers.get("Range")))
        fault = self.server.faults.get(path) and self.server.faults[path].pop(0)
        if isinstance(fault, int):
            self.answer(fault, b"")
        elif "list-type" in query:
            self.listing(query)
        elif path == "/catalogue/v1/messages":
            self.answer_json({"messages": []})
        elif path.startswith("/retrieve/"):
            self.store(path)
        elif path.lstrip("/") in self.server.files:
            self.file(self.server.files[path.lstrip("/")], fault == "cut")
        else:
            self.answer(404, b"")

    def file(self, body: bytes, cut: bool):
        tag = f'"{hash(body)}"'
        byte_range = self.headers.get("Range")
        current = self.headers.get("If-Range") in (None, tag)
        if not (byte_range and current and self.server.ranges):
            return self.answer(200, body, {"ETag": tag}, cut)
        first, last = byte_range.removeprefix("bytes=").split("-")
        start, end = int(first), int(last) + 1 if last else len(body)
        if start >= len(body):
            return self.answer(416, b"")
        return self.answer(
            206,
            body[start:end],
            {"ETag": tag, "Content-Range": f"bytes {start}-{min(end, len(body)) - 1}/{len(body)}"},
            cut,
        )

    def listing(self, query):
        keys = sorted(key for key in self.server.files if key.startswith(query["prefix"]))
        start = int(query.get("continuation-token", 0))
        items = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(self.server.files[key])}</Size></Contents>"
            for key in keys[start : start + PAGE]
        )
        more = (
            f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>"
            if start + PAGE < len(keys)
            else ""
        )
        namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
        text = f'<ListBucketResult xmlns="{namespace}">{items}{more}</ListBucketResult>'
        self.answer(200, text.encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        dataset = self.path.split("/processes/")[1].split("/")[0]
        self.server.store_requests.append((dataset, body["inputs"]))
        if "refuse" in body["inputs"]["variable"]:
            return self.answer_json({"title": "invalid request", "detail": "no such variable"}, 400)
        number = len(self.server.store_requests)
        self.server.files[f"result{number}.grib"] = (
            f"{dataset} {json.dumps(body['inputs'])}".encode()
        )
        return self.answer_json(self.job(number), 201)

    def job(self, number: int) -> dict:
        job = f"{self.server.url}/retrieve/v1/jobs/{number}"
        return {
            "jobID": str(number),
            "status": "successful",
            "type": "process",
            "metadata": {},
            "links": [
                {"rel": "monitor", "href": job},
                {"rel": "self", "href": job},
                {"rel": "results", "href": f"{job}/results"},
            ],
        }

    def store(self, path: str):
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
        number = int(path.split("/jobs/")[1].split("/")[0])
        if not path.endswith("/results"):
            return self.answer_json(self.job(number))
        name = f"result{number}.grib"
        return self.answer_json(
            {
                "asset": {
                    "value": {
                        "href": f"{self.server.url}/{name}",
                        "file:size": len(self.server.files[name]),
                        "type": "application/grib",
                    }
                }
            }
        )


@contextmanager
def archive():
    """A running :class:`Archive`."""
    server = Archive()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
