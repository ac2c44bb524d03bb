"""Recognise what a file is by its first octets, and unpack files that were compressed as a whole.

Archives deliver web pages in place of data, ZIP files that are named as GRIB, and compressed files.
What a file is goes into messages; gzip, bzip2, xz and ZIP files of one member are simply read.
"""

import bz2
import gzip
import hashlib
import lzma
import shutil
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

SUFFIXES = (".gz", ".bz2", ".xz", ".zip", ".Z")
"""Suffixes of compressed files, which stand behind the names of what they hold."""
_HEAD = 4096  # octets that are looked at
_LARGEST = 64 << 30  # octets; more than any raw file, so that a small file cannot fill the disk
_HEADINGS = 64  # octets before a message: bulletin headings, or padding
_HDF5_PLACES = (0, 512, 1024, 2048)  # a block of the agency's own may stand before HDF5
_OPENERS: dict[str, Callable[[Path], BinaryIO]] = {
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "xz": lzma.open,
}
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"PK\x03\x04": "ZIP",
    b"PK\x05\x06": "ZIP",
    b"\x1f\x9d": "compress (.Z)",
    b"CDF\x01": "NetCDF classic",
    b"CDF\x02": "NetCDF classic",
    b"CDF\x05": "NetCDF classic",
    b"\x0e\x03\x13\x01": "HDF4",
    b"PAR1": "Parquet",
    b"%PDF": "PDF",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
}
_REMEDIES = {
    "ZIP": "unpack it, or ask the archive for single files",
    "tar": "unpack it into this folder",
    "compress (.Z)": "unpack it by uncompress",
    "Zstandard": "unpack it by zstd -d",
    "7-Zip": "unpack it",
    "web page": "a download that failed: fetch it again, and log in or accept the licence first",
    "XML": "an answer of the archive, no data: fetch the file again",
    "JSON": "an answer of the archive, or a list beside the data: fetch the file again",
    "text": "an error message or a note, no data: fetch the file again",
    "empty": "fetch it again",
    "NCEP BUFR": "a source with the reader ncep or prepbufr takes it; else take another archive's "
    "WMO BUFR",
}


_NO_GRIB = {
    "NetCDF-4": "ask the archive for GRIB (data_format: grib)",
    "NetCDF classic": "ask the archive for GRIB (data_format: grib)",
    "ZIP": "ask the archive for single files (download_format: unarchived)",
    "BUFR": "these are observations, no fields",
}


class UnpackError(OSError):
    """A compressed file that cannot be unpacked; the text names the file, its kind and a remedy."""


def file_kind(path: Path) -> str:
    """Return what a file is by its content, such as ``GRIB``, ``gzip`` or ``web page``.

    ``unknown`` where nothing is recognised. OSError when it cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    return kind_of_content(head)


def kind_of_content(head: bytes) -> str:
    """Return what the first octets of a file say that it is; see :func:`file_kind`."""
    if not head:
        return "empty"
    if any(head.startswith(b"\x89HDF\r\n\x1a\n", place) for place in _HDF5_PLACES):
        # NetCDF-4 lies in HDF5, and names its own properties near the beginning
        return "NetCDF-4" if b"_NCProperties" in head or b"_nc3_strict" in head else "HDF5"
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar":
        return "tar"
    if b"GRIB" in head[: _HEADINGS + 4]:
        return "GRIB"
    if (place := head.find(b"BUFR")) >= 0:
        # category 11 of section 1 holds NCEP's own tables
        edition, section = head[place + 7 : place + 8], head[place + 8 :]
        category = section[10:11] if edition == b"\4" else section[8:9]
        return "NCEP BUFR" if category == b"\x0b" else "BUFR"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")) or b"<html" in text[:1000]:
        return "web page"
    if text.startswith(b"<?xml") or text.startswith(b"<error"):
        return "XML"
    if text.startswith((b"{", b"[")):
        return "JSON"
    printable = sum(32 <= octet < 127 or octet in b"\t\r\n" for octet in head)
    return "text" if printable > 0.95 * len(head) else "unknown"


def describe_file(path: Path, format_needed: str = "", expected: str = "") -> str:
    """Say in a few words what a file is, and what to do about it.

    Parameters
    ----------
    path : Path
        The file.
    format_needed : str
        The format that it should have, where remedies depend on it: ``GRIB``.
    expected : str
        What it should be, where the text is to say that too.

    Returns
    -------
    str
        What it is and the remedy, or why it cannot be read.
    """
    try:
        kind = file_kind(path)
    except OSError as error:
        return str(error)
    names = {
        "empty": "it is empty",
        "NetCDF-4": "it is NetCDF-4 (HDF5)",
        "NCEP BUFR": "it is BUFR with NCEP's local tables (prepbufr or a dump)",
        "unknown": "it is of no known format",
    }
    what = names.get(kind, f"it is {kind}" if kind != "web page" else "it is a web page (HTML)")
    if kind == "ZIP":
        what += _members(path)
    if kind in ("text", "web page", "JSON", "XML"):
        with open(path, "rb") as file:
            first = " ".join(file.read(120).decode("utf-8", "replace").split())
        what += f", {first[:60]!r}"
    what += f", not {expected}" if expected else ""
    remedies = _REMEDIES | (_NO_GRIB if format_needed == "GRIB" else {})
    return f"{what}: {remedies[kind]}" if kind in remedies else what


def _members(path: Path) -> str:
    """List the first members of a ZIP file, empty where it has no list."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError):
        return " (damaged)"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f" of {', '.join(names[:3])}{more}" if names else " without a file"


def plain_names(path: Path) -> list[str]:
    """Return the names under which a file may be known: its own, and that of what it holds.

    A compressed file has the name without the suffix, and a ZIP file of one member the member's.
    """
    path = Path(path)
    names = [path.name]
    if path.suffix in SUFFIXES:
        names.append(path.stem)
        if path.suffix == ".zip" and (member := _only_member(path)):
            names.append(Path(member.filename).name)
    return names


def _only_member(path: Path) -> zipfile.ZipInfo | None:
    """Return the one file in a ZIP file, None where it is damaged or holds another number."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError):
        return None
    return members[0] if len(members) == 1 else None


class Unpacked:
    """Unpacks compressed files into a temporary folder, which goes when this object goes.

    Calling it with a file returns the file itself where it is not compressed, else the file that it
    holds, under the same name without the suffix of its compression.
    """

    def __init__(self):
        self._folder: Path | None = None
        self._originals: dict[Path, Path] = {}

    def __call__(self, path: Path, name: str = "") -> Path:
        """Return a file to read in place of ``path``.

        Parameters
        ----------
        path : Path
            Any file.
        name : str
            Name of the unpacked file; by default that of ``path`` without its suffix.

        Returns
        -------
        Path
            ``path``, or the unpacked file.

        Raises
        ------
        UnpackError
            When a compressed file is damaged, or when a ZIP file holds several files.
        """
        path = Path(path)
        kind = file_kind(path)
        if kind not in _OPENERS and kind != "ZIP":
            return path
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="fuxiflow-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        # files of one name may lie in several folders
        place = self._folder / hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]
        place.mkdir(exist_ok=True)
        target = place / (name or (path.stem if path.suffix in SUFFIXES else path.name))
        if not target.exists():
            _unpack(path, kind, target)
        self._originals[target] = path
        return target

    def original(self, path: Path) -> Path:
        """Return the file that an unpacked one comes from; any other file itself."""
        return self._originals.get(Path(path), Path(path))


def _unpack(path: Path, kind: str, target: Path) -> None:
    """Unpack a compressed file.

    Parameters
    ----------
    path : Path
        The compressed file.
    kind : str
        Its kind: ``gzip``, ``bzip2``, ``xz`` or ``ZIP``.
    target : Path
        The file that is written, whole or not at all.

    Raises
    ------
    UnpackError
        When it is damaged, or a ZIP file of several members.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        if kind == "ZIP":
            member = _only_member(path)
            if member is None:
                raise UnpackError(f"{path}: {describe_file(path)}")
            with zipfile.ZipFile(path) as archive, archive.open(member) as source:
                _copy(path, source, part)
        else:
            with _OPENERS[kind](path) as source:
                _copy(path, source, part)
    except UnpackError:
        part.unlink(missing_ok=True)
        raise
    except (
        OSError,
        EOFError,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,  # of an encrypted member
    ) as error:
        part.unlink(missing_ok=True)
        raise UnpackError(
            f"{path}: a {kind} file that is truncated or damaged ({error}): fetch it again"
        ) from error
    part.replace(target)


def _copy(path: Path, source: BinaryIO, target: Path) -> None:
    """Copy what is unpacked, up to :data:`_LARGEST`.

    Parameters
    ----------
    path : Path
        The compressed file, for the message.
    source : BinaryIO
        Its unpacked content.
    target : Path
        The file that is written.

    Raises
    ------
    UnpackError
        When the content is larger than any raw file.
    """
    size = 0
    with open(target, "wb") as file:
        while piece := source.read(1 << 20):
            size += len(piece)
            if size > _LARGEST:
                raise UnpackError(f"{path}: unpacks to more than {_LARGEST} octets: no raw file")
            file.write(piece)
