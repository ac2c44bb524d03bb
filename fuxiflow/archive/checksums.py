"""Checksums that archives name for their files, and those of what was written.

Sources: the ``ETag`` of an object that was stored in one piece (S3: the MD5 in hexadecimal; one of
several parts has a hyphen and is the MD5 of the parts' MD5s), ``Content-MD5``,
``x-amz-checksum-*``, ``x-goog-hash``, and the ``file:checksum`` of the data stores' assets, which
is a multihash by the STAC file extension or, as the stores write it, the ``ETag`` without its
number of parts.
"""

import base64
import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

BLOCK = 1 << 20
MEBIBYTE = 1 << 20
PART_SIZES = [n * MEBIBYTE for n in (5, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 256, 512)]
"""Sizes of the parts in which clients usually upload."""
MULTIHASHES = {"d50110": "md5", "1114": "sha1", "1220": "sha256"}
"""Beginnings of a multihash: code of the function and length (multiformats' table)."""
LENGTHS = {"md5": 32, "sha1": 40, "sha256": 64, "crc32": 8, "crc32c": 8}
"""Hexadecimal digits of a checksum."""


@dataclass(frozen=True)
class Checksum:
    """A checksum in hexadecimal, with the name of the function and of the place that has it.

    Where it ``may_be_of_parts`` it is the MD5 of the file or of the MD5s of its parts.
    """

    function: str
    digest: str
    place: str
    may_be_of_parts: bool = False


class Crc:
    """A cyclic redundancy check with the methods of :mod:`hashlib`."""

    def __init__(self, extend):
        """Begin; ``extend(value, piece)`` returns the check of all so far."""
        self.extend = extend
        self.value = 0

    def update(self, piece: bytes) -> None:
        """Take in the next bytes."""
        self.value = self.extend(self.value, piece)

    def hexdigest(self) -> str:
        """Return the check in hexadecimal."""
        return f"{self.value:08x}"


def hasher(function: str):
    """Return an object that takes in bytes and gives a checksum."""
    if function == "crc32":
        return Crc(lambda value, piece: zlib.crc32(piece, value))
    if function == "crc32c":
        return Crc(google_crc32c.extend)
    return hashlib.new(function, usedforsecurity=False)


class Digests:
    """Checksums of a file while it is written, ``count`` bytes so far."""

    def __init__(self):
        self.hashers = {}
        self.count = 0

    def begin(self, part: Path, size: int, functions: Iterable[str] = ()) -> None:
        """Be ready for what follows the first bytes of a file.

        Nothing is read where these bytes were taken in when they were written.

        Parameters
        ----------
        part : Path
            The file.
        size : int
            Number of bytes that are there.
        functions : Iterable[str]
            Checksums that are asked for beside SHA-256 and MD5.
        """
        functions = {"sha256", "md5", *functions}
        if self.count == size and functions <= set(self.hashers):
            return
        self.hashers = {function: hasher(function) for function in functions}
        self.count = 0
        if size:
            with open(part, "rb") as file:
                while piece := file.read(min(BLOCK, size - self.count)):
                    self.update(piece)

    def update(self, piece: bytes) -> None:
        """Take in bytes that are written."""
        for one in self.hashers.values():
            one.update(piece)
        self.count += len(piece)

    def __getitem__(self, function: str) -> str:
        return self.hashers[function].hexdigest()


def _from_base64(text: str) -> str | None:
    """Return base64 as hexadecimal; None where it is none."""
    try:
        return base64.b64decode(text.strip(), validate=True).hex()
    except ValueError:
        return None


def part_count(etag: str) -> int | None:
    """Return the number of parts that an object was stored in by its ``ETag``; None for one."""
    match = re.fullmatch(r'"?[0-9a-fA-F]{32}-(\d+)"?', etag.strip())
    return int(match[1]) if match else None


def checksums_of(headers: Mapping[str, str], whole: bool = True) -> list[Checksum]:
    """Return the checksums of a file that an answer names.

    Parameters
    ----------
    headers : Mapping[str, str]
        The answer's headers.
    whole : bool
        Whether the answer is the whole file: ``Content-MD5`` is of what was sent.

    Returns
    -------
    list of Checksum
        Those whose meaning is certain; none where the body is compressed for its way.
    """
    if headers.get("Content-Encoding", "identity") != "identity":
        return []
    named: list[tuple[str, str | None, str]] = []
    tag = re.fullmatch(r'"([0-9a-fA-F]{32})"', headers.get("ETag", "").strip())
    # objects encrypted with keys of the customer have another ETag
    encrypted = headers.get("x-amz-server-side-encryption", "AES256") != "AES256" or (
        "x-amz-server-side-encryption-customer-algorithm" in headers
    )
    if tag and not encrypted:
        named.append(("md5", tag[1].lower(), "ETag"))
    if whole and "Content-MD5" in headers:
        named.append(("md5", _from_base64(headers["Content-MD5"]), "Content-MD5"))
    for function in ("crc32", "crc32c", "sha1", "sha256"):
        name = f"x-amz-checksum-{function}"
        if headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT" and name in headers:
            named.append((function, _from_base64(headers[name]), name))
    if headers.get("x-goog-stored-content-encoding", "identity") == "identity":
        for entry in headers.get("x-goog-hash", "").split(","):
            function, _, text = entry.strip().partition("=")
            if function in ("crc32c", "md5"):
                named.append((function, _from_base64(text), "x-goog-hash"))
    # checksums of several parts end with their number, which is no base64
    return [
        Checksum(function, digest, place)
        for function, digest, place in named
        if digest and len(digest) == LENGTHS[function]
    ]


def asset_checksum(value: object) -> Checksum | None:
    """Return the checksum that a data store's asset names as ``file:checksum``, if it is one."""
    text = f"{value:x}" if isinstance(value, int) else str(value or "").strip().lower()
    for beginning, function in MULTIHASHES.items():
        digest = text.removeprefix(beginning)
        if digest != text and re.fullmatch(rf"[0-9a-f]{{{LENGTHS[function]}}}", digest):
            return Checksum(function, digest, "file:checksum")
    # as a number it has lost its zeros in front
    if re.fullmatch(r"[0-9a-f]{26,32}", text):
        return Checksum("md5", text.zfill(32), "file:checksum", may_be_of_parts=True)
    return None


def parts_agree(path: Path, digest: str, count: int | None = None) -> bool | None:
    """Compare a file with the MD5 of the MD5s of its parts, for the usual sizes of parts.

    Parameters
    ----------
    path : Path
        The file.
    digest : str
        The MD5 in hexadecimal.
    count : int, optional
        Number of parts, by default any.

    Returns
    -------
    bool or None
        True where it agrees, None where it does not: the parts may have had another size.
    """
    size = path.stat().st_size
    for part_size in PART_SIZES:
        parts = -(-size // part_size)
        if parts < 2 or count not in (None, parts):
            continue
        joined = hashlib.md5(usedforsecurity=False)
        with open(path, "rb") as file:
            for _ in range(parts):
                one = hashlib.md5(usedforsecurity=False)
                for start in range(0, part_size, BLOCK):
                    one.update(file.read(min(BLOCK, part_size - start)))
                joined.update(one.digest())
        if joined.hexdigest() == digest:
            return True
    return None


def disagreement(
    checksums: Iterable[Checksum], digests: Digests, path: Path, etag: str = ""
) -> str | None:
    """Compare what was written with the checksums that an archive names.

    Parameters
    ----------
    checksums : Iterable[Checksum]
        Those of the archive.
    digests : Digests
        Those of what was written.
    path : Path
        The file.
    etag : str
        The file's ``ETag``.

    Returns
    -------
    str or None
        Expected and found, for a message; None where all agree.
    """
    count = part_count(etag)
    for checksum in checksums:
        written = digests[checksum.function]
        if written == checksum.digest:
            continue
        if checksum.may_be_of_parts:
            of_parts = count is not None and checksum.digest == etag.strip('" ').split("-")[0]
            if of_parts or parts_agree(path, checksum.digest):
                continue
        return (
            f"the {checksum.function.upper()} named by {checksum.place} is {checksum.digest}, "
            f"that of the {digests.count} bytes that came is {written}"
        )
    return None
