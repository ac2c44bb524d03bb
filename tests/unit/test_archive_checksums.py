"""Checksums that archives name, by their headers and assets."""

import base64
import hashlib
import zlib

import google_crc32c
import pytest

from fuxiflow.archive import checksums
from fuxiflow.archive.checksums import Checksum, Digests, asset_checksum, checksums_of

BODY = bytes(range(256)) * 9
MD5 = hashlib.md5(BODY).hexdigest()
SHA256 = hashlib.sha256(BODY).hexdigest()


def in_base64(hexadecimal):
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


CRC32 = f"{zlib.crc32(BODY):08x}"
CRC32C = f"{google_crc32c.value(BODY):08x}"


def digests_of(body, functions=()):
    digests = Digests()
    digests.begin(None, 0, functions)
    digests.update(body)
    return digests


@pytest.mark.parametrize(
    ("headers", "function", "digest"),
    [
        ({"ETag": f'"{MD5}"'}, "md5", MD5),
        ({"ETag": f'"{MD5.upper()}"'}, "md5", MD5),
        ({"Content-MD5": in_base64(MD5)}, "md5", MD5),
        ({"x-amz-checksum-sha256": in_base64(SHA256)}, "sha256", SHA256),
        ({"x-amz-checksum-crc32": in_base64(CRC32)}, "crc32", CRC32),
        ({"x-amz-checksum-crc32c": in_base64(CRC32C)}, "crc32c", CRC32C),
        ({"x-goog-hash": f"crc32c={in_base64(CRC32C)}"}, "crc32c", CRC32C),
    ],
)
def test_a_checksum_by_a_header(headers, function, digest, tmp_path):
    (named,) = checksums_of(headers)
    assert (named.function, named.digest) == (function, digest)
    agreeing, other = digests_of(BODY, [function]), digests_of(BODY[:-1] + b"x", [function])
    assert checksums.disagreement([named], agreeing, tmp_path) is None
    assert digest in checksums.disagreement([named], other, tmp_path)


def test_several_in_one_header():
    named = checksums_of({"x-goog-hash": f"crc32c={in_base64(CRC32C)}, md5={in_base64(MD5)}"})
    assert {(one.function, one.digest) for one in named} == {("crc32c", CRC32C), ("md5", MD5)}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ETag": f'"{MD5}-3"'},
        {"ETag": f'W/"{MD5}"'},
        {"ETag": '"65a0-1f4"'},
        {"ETag": f'"{MD5}"', "x-amz-server-side-encryption": "aws:kms"},
        {"ETag": f'"{MD5}"', "Content-Encoding": "gzip"},
        {"x-amz-checksum-crc32": f"{in_base64(CRC32)}-3"},
        {"x-amz-checksum-crc32": in_base64(CRC32), "x-amz-checksum-type": "COMPOSITE"},
        {"x-goog-hash": f"md5={in_base64(MD5)}", "x-goog-stored-content-encoding": "gzip"},
        {"Content-MD5": "no base64"},
    ],
)
def test_what_is_no_checksum_of_the_file(headers):
    assert checksums_of(headers) == []


def test_the_md5_of_a_part_is_not_that_of_the_file():
    assert checksums_of({"Content-MD5": in_base64(MD5)}, whole=False) == []


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (f"1220{SHA256}", ("sha256", SHA256)),
        (f"d50110{MD5}", ("md5", MD5)),
        (MD5, ("md5", MD5)),
        (int(MD5, 16), ("md5", MD5)),
        ("ab" * 14, ("md5", "0000" + "ab" * 14)),
        ("unknown", None),
        (None, None),
        ("", None),
    ],
)
def test_checksums_of_the_data_stores(value, named):
    checksum = asset_checksum(value)
    assert (checksum and (checksum.function, checksum.digest)) == named


def test_the_etag_of_parts_is_no_disagreement(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "PART_SIZES", [1000])
    path = tmp_path / "file"
    path.write_bytes(BODY)
    parts = [hashlib.md5(BODY[i : i + 1000]).digest() for i in range(0, len(BODY), 1000)]
    of_parts = hashlib.md5(b"".join(parts)).hexdigest()
    checksum = asset_checksum(of_parts)
    assert checksums.disagreement([checksum], digests_of(BODY), path) is None
    other = asset_checksum(MD5[::-1])
    assert checksums.disagreement([other], digests_of(BODY), path)
    etag = f'"{other.digest}-3"'
    assert checksums.disagreement([other], digests_of(BODY), path, etag) is None
    certain = Checksum("md5", other.digest, "ETag")
    assert checksums.disagreement([certain], digests_of(BODY), path, etag)


def test_digests_go_on_where_a_killed_process_was(tmp_path):
    part = tmp_path / "part"
    part.write_bytes(BODY[:1000])
    digests = Digests()
    digests.begin(part, 1000, ["crc32c"])
    digests.update(BODY[1000:])
    assert digests["sha256"] == SHA256
    assert digests["crc32c"] == CRC32C
    assert digests.count == len(BODY)
