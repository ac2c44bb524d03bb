"""Serve public layouts on this machine: objects by ranges, and listings of S3 and of Google.

Buckets are the first folders of paths. What a bucket answers is what the archives of the real world
answer, as far as downloads ask for it: ``Range``, ``If-Range``, ``ETag``, pages of listings, 404.
"""

import hashlib
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

HOST = "127.0.0.1"
DEFAULT_PORT = 8700
"""Port of the addresses in configurations of this machine."""
S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
GOOGLE_BUCKETS = "/storage/v1/b/"


class PublicHandler(BaseHTTPRequestHandler):
    """Answers the requests of downloads; its server says which objects there are."""

    def log_message(self, *arguments):
        """Say nothing of single requests."""

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send an answer.

        Parameters
        ----------
        status : int
            HTTP status.
        body : bytes
            What is sent.
        headers : mapping, optional
            Headers beside the length, or instead of it.
        """
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, value: object, status: int = 200) -> None:
        """Send a value as JSON."""
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def asked(self) -> tuple[str, dict[str, str]]:
        """Return path and query of the request."""
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        return unquote(parts.path), query

    def do_GET(self):
        """Answer with a listing or an object."""
        path, query = self.asked()
        if "list-type" in query:
            self.s3_listing(path, query)
        elif path.startswith(GOOGLE_BUCKETS):
            self.google_listing(path, query)
        else:
            self.send_object(path)

    def send_object(self, path: str) -> None:
        """Send an object, or the range of it that is asked for; 404 where there is none."""
        body = self.server.content(path.lstrip("/"))
        if body is None:
            self.answer(404, b"")
        else:
            self.answer(*self.part(body, {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}))

    def part(
        self, body: bytes, headers: dict[str, str], ranges: bool = True
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return status, bytes and headers of the answer that a request for an object gets.

        Parameters
        ----------
        body : bytes
            The object.
        headers : dict
            Its headers; of another version than ``If-Range`` names all of it is sent.
        ranges : bool
            Whether a range may be sent.

        Returns
        -------
        tuple of int, bytes and dict
            206 with the range, 416 for one that lies behind the end, else 200 with all of it.
        """
        asked = self.headers.get("Range")
        versions = {None, headers.get("ETag"), headers.get("Last-Modified")}
        if not (asked and ranges and self.headers.get("If-Range") in versions):
            return 200, body, headers
        first, last = asked.removeprefix("bytes=").split("-")
        start, end = int(first), min(int(last) + 1 if last else len(body), len(body))
        if start >= len(body):
            return 416, b"", {}
        place = {"Content-Range": f"bytes {start}-{end - 1}/{len(body)}"}
        return 206, body[start:end], place | headers

    def s3_listing(self, path: str, query: Mapping[str, str]) -> None:
        """Send a page of the objects below a bucket's address, as S3 lists them."""
        folder = path.strip("/")
        root = f"{folder}/" if folder else ""
        first = int(query.get("continuation-token", 0))
        page, more = self._page(root, query, first, query.get("max-keys"))
        items = "".join(
            f"<CommonPrefixes><Prefix>{escape(key)}</Prefix></CommonPrefixes>"
            if size is None
            else f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size></Contents>"
            for key, size in page
        )
        token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
        text = (
            f'<ListBucketResult xmlns="{S3_NAMESPACE}">{items}'
            f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{token}</ListBucketResult>"
        )
        self.answer(200, text.encode(), {"Content-Type": "application/xml"})

    def google_listing(self, path: str, query: Mapping[str, str]) -> None:
        """Send a page of the objects of a bucket as Google's JSON API lists them."""
        bucket = path.removeprefix(GOOGLE_BUCKETS).split("/")[0]
        first = int(query.get("pageToken", 0))
        page, more = self._page(f"{bucket}/", query, first, query.get("maxResults"))
        parts = {
            "items": [{"name": key} for key, size in page if size is not None],
            "prefixes": [key for key, size in page if size is None],
            "nextPageToken": str(more or ""),
        }
        self.answer_json({name: part for name, part in parts.items() if part})

    def _page(
        self, root: str, query: Mapping[str, str], first: int, most: str | None
    ) -> tuple[list[tuple[str, int | None]], int | None]:
        """Return a page of a listing.

        Parameters
        ----------
        root : str
            The bucket, with a slash at its end; empty where the address has none.
        query : mapping
            Has ``prefix``, and a ``delimiter`` where folders are wanted instead of what they hold.
        first : int
            Number of the first object of the page.
        most : str or None
            Most objects that are asked for.

        Returns
        -------
        tuple
            Keys below the bucket with lengths, None for a folder; and the number of the next, None
            at the end.
        """
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        names: dict[str, int | None] = {}
        for key, size in self.server.objects(root + prefix):
            key = key.removeprefix(root)
            name, mark, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            names[prefix + name + mark if mark else key] = None if mark else size
        objects = sorted(names.items())
        end = first + min(int(most or self.server.page), self.server.page)
        return objects[first:end], end if end < len(objects) else None


class PublicServer(ThreadingHTTPServer):
    """Serves objects; what they are its subclasses say."""

    daemon_threads = True
    page = 1000
    """Objects on a page of a listing."""

    def __init__(self, port: int = 0, handler: type[PublicHandler] = PublicHandler):
        """Listen at a port, by default at one that is free."""
        super().__init__((HOST, port), handler)

    def handle_error(self, request, client_address) -> None:
        """Say nothing of a client that has gone away, as one does with its last connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """The address."""
        return f"http://{HOST}:{self.server_port}"

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield keys and lengths of the objects whose key begins so."""
        raise NotImplementedError

    def content(self, key: str) -> bytes | None:
        """Return an object, None where there is none."""
        raise NotImplementedError


class FolderHandler(PublicHandler):
    """Keeps connections open, as a download asks for thousands of small objects."""

    protocol_version = "HTTP/1.1"
    # headers and body are sent one after the other: the second does not wait for an answer
    disable_nagle_algorithm = True


class FolderServer(PublicServer):
    """Serves the files of a folder, buckets being the folders in it."""

    def __init__(self, folder: Path, port: int = 0):
        """Take the folder; FileNotFoundError where it is not there."""
        self.folder = Path(folder).resolve()
        if not self.folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder; 'fuxiflow publish' makes one")
        super().__init__(port, FolderHandler)

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield keys and lengths of the files whose path begins so."""
        for path in (self.folder / prefix.rpartition("/")[0]).rglob("*"):
            key = path.relative_to(self.folder).as_posix()
            if key.startswith(prefix) and path.is_file():
                yield key, path.stat().st_size

    def content(self, key: str) -> bytes | None:
        """Return a file, None where there is none below the folder."""
        path = (self.folder / key).resolve()
        inside = path.is_relative_to(self.folder) and path.is_file()
        return path.read_bytes() if inside else None


@contextmanager
def moved(config: Path, url: str) -> Iterator[Path]:
    """Copy a configuration whose addresses are at the default port, with another one's in place.

    Parameters
    ----------
    config : Path
        The configuration.
    url : str
        Address of the server.

    Yields
    ------
    Path
        The copy, which is gone after the block.

    Raises
    ------
    ValueError
        When the configuration has no address at the default port.
    """
    text, usual = config.read_text(encoding="utf-8"), f"http://{HOST}:{DEFAULT_PORT}"
    if usual not in text:
        raise ValueError(f"{config}: it has no address {usual}…, which would be replaced by {url}")
    with TemporaryDirectory() as folder:
        copy = Path(folder) / config.name
        copy.write_text(text.replace(usual, url), encoding="utf-8")
        yield copy


@contextmanager
def running(server: PublicServer) -> Iterator[PublicServer]:
    """Run a server in a thread of its own as long as the block lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
