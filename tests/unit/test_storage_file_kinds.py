"""What files are by their content, and compressed files that are read as what they hold."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from fuxiflow.storage import file_kinds

DATA = b"some octets of a file " * 5000
PACK = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def zipped(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, DATA)
    return buffer.getvalue()


def tarred():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return buffer.getvalue()


def write(tmp_path, content, name="x"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"", "empty", "fetch it again"),
        (b"GRIB\0\0\0\2", "GRIB", "it is GRIB"),
        (b"\x01\r\r\n123\r\r\nHTXA85 ECMF 010000\r\r\nGRIB\0\0\0\1", "GRIB", "it is GRIB"),
        (b"BUFR\0\0\x30\4" + bytes(40), "BUFR", "it is BUFR"),
        (b"BUFR\0\0\x30\3" + bytes(8) + b"\x0b" + bytes(30), "NCEP BUFR", "NCEP's local tables"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5", "it is HDF5"),
        (b"<HDF_UserBlock>".ljust(1024) + b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5", "it is HDF5"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50) + b"_NCProperties", "NetCDF-4", "it is NetCDF-4"),
        (b"CDF\1" + bytes(50), "NetCDF classic", "it is NetCDF classic"),
        (gzip.compress(DATA), "gzip", "it is gzip"),
        (bz2.compress(DATA), "bzip2", "it is bzip2"),
        (lzma.compress(DATA), "xz", "it is xz"),
        (zipped("a.grib", "b.grib"), "ZIP", "it is ZIP of a.grib, b.grib: unpack it"),
        (tarred(), "tar", "it is tar"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page", "it is a web page"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "XML", "NoSuchKey"),
        (b'{"message": "not found"}', "JSON", "not found"),
        (b"Access denied\n", "text", "Access denied"),
        (bytes(range(256)), "unknown", "no known format"),
    ],
)
def test_kinds_by_their_first_octets(tmp_path, content, kind, words):
    path = write(tmp_path, content)
    assert file_kinds.file_kind(path) == kind
    assert words in file_kinds.describe_file(path)


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("named", [True, False])
def test_compressed_files_are_unpacked(tmp_path, suffix, named):
    path = write(tmp_path, PACK[suffix](DATA), "x.grib" + (f".{suffix}" if named else ""))
    unpacked = file_kinds.Unpacked()
    found = unpacked(path)
    assert found.name == "x.grib"
    assert found.read_bytes() == DATA
    assert unpacked.original(found) == path
    folder = found.parent.parent
    del unpacked
    assert not folder.exists()


def test_a_zip_file_of_one_member_is_read_and_of_several_refused(tmp_path):
    unpacked = file_kinds.Unpacked()
    one = write(tmp_path, zipped("folder/data.grib"), "x.zip")
    assert unpacked(one).read_bytes() == DATA
    assert file_kinds.plain_names(one) == ["x.zip", "x", "data.grib"]
    with pytest.raises(file_kinds.UnpackError, match=r"y\.zip: it is ZIP of a, b: unpack it"):
        unpacked(write(tmp_path, zipped("a", "b"), "y.zip"))


def test_other_files_are_themselves(tmp_path):
    path = write(tmp_path, DATA, "x.gz")
    unpacked = file_kinds.Unpacked()
    assert unpacked(path) == unpacked.original(path) == path


@pytest.mark.parametrize("pack", [*PACK.values(), lambda _: zipped("x")])
def test_truncated_and_damaged_files_are_named(tmp_path, pack):
    whole = pack(DATA)
    for content in (
        whole[: len(whole) // 2],
        whole[:20] + bytes([whole[20] ^ 255]) + whole[21:40] + bytes(20) + whole[60:],
    ):
        path = write(tmp_path, content, "x.gz")
        with pytest.raises(file_kinds.UnpackError, match=r"x\.gz: .*(fetch it again|unpack it)"):
            file_kinds.Unpacked()(path)


def test_two_files_of_one_name_are_kept_apart(tmp_path):
    unpacked = file_kinds.Unpacked()
    for folder in "ab":
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, gzip.compress(folder.encode()), "x.gz")
    found = [unpacked(tmp_path / folder / "x.gz") for folder in "ab"]
    assert [path.read_bytes() for path in found] == [b"a", b"b"]
