"""Manifests of raw files, receipts, and the files that readers are given."""

import json
import random

import pytest

from fuxiflow.storage import manifests, raw_files
from fuxiflow.storage.manifests import FileEntry, Manifest, RawFileError
from fuxiflow.storage.raw_files import Question, verified_files


@pytest.fixture
def folder(tmp_path):
    """A folder of the embedded world, sealed."""
    folder = tmp_path / "results" / "test" / "raw" / "era5" / "2022-01"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.grib").write_bytes(b"GRIB" + bytes(range(200)) + b"7777")
    (folder / "deep" / "b.grib").write_bytes(b"GRIBxyz7777")
    manifests.seal_folder(folder)
    return folder


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A folder of the raw store with three files of two days and fields."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "resources" / "archive" / "era5" / "2022-01"
    folder.mkdir(parents=True)
    manifest = Manifest()
    for number, (name, day, field) in enumerate(
        [("one", "2022-01-20", "t"), ("two", "2022-01-21", "t"), ("three", "2022-01-21", "q")], 1
    ):
        (folder / name).write_text(name)
        manifest.files[name] = manifests.file_entry(
            folder / name, "https://store", number=number, covers={"days": [day], "fields": [field]}
        )
    manifests.write_manifest(folder, manifest)
    return folder.relative_to(tmp_path)


def names(raw):
    return [path.name for path in verified_files(raw).paths]


def test_a_sealed_folder_gives_its_files(folder, caplog):
    assert names(folder) == ["a.grib", "b.grib"]
    assert verified_files(folder).remark == ""
    assert not caplog.records
    assert set(manifests.read_manifest(folder).files) == {
        "a.grib",
        "deep/b.grib",
        "provenance.json",
    }


def test_sealing_does_not_depend_on_the_time_of_day(folder):
    before = (folder / "manifest.json").read_bytes()
    manifests.seal_folder(folder)
    assert (folder / "manifest.json").read_bytes() == before


def test_every_flipped_byte_of_a_folder_is_an_error_with_file_and_remedy(folder):
    chance = random.Random(5)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for place in chance.sample(range(len(content)), min(25, len(content))):
            flipped = bytearray(content)
            flipped[place] ^= 1 << chance.randrange(8)
            path.write_bytes(flipped)
            # a space of a manifest may become another: nothing of it has changed
            if path.name == "manifest.json" and _same_json(content, bytes(flipped)):
                continue
            with pytest.raises(RawFileError) as caught:
                verified_files(folder)
            text = str(caught.value)
            assert "damaged" in text
            assert f"delete {folder}" in text or f"delete {folder / 'deep'}" in text
        path.write_bytes(content)
    assert names(folder) == ["a.grib", "b.grib"]


def _same_json(one, other):
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize("harm", ["missing", "truncated"])
def test_what_is_missing_or_cut_off_is_named(folder, harm):
    path = folder / "deep" / "b.grib"
    path.unlink() if harm == "missing" else path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RawFileError, match=rf"b\.grib: ({harm}|damaged: 10 bytes instead of 11)"):
        verified_files(folder)


def test_files_that_are_not_wanted_are_not_read(folder):
    (folder / "deep" / "b.grib").write_bytes(b"damaged")
    paths = verified_files(folder, lambda name: name.startswith("a")).paths
    assert [path.name for path in paths] == ["a.grib"]


def test_what_the_manifest_does_not_list_is_not_read_and_said(folder, caplog):
    (folder / "c.grib").write_bytes(b"GRIB7777")
    assert names(folder) == ["a.grib", "b.grib"]
    assert "1 files are not in the manifest and not read, first: c.grib" in caplog.text


def test_a_folder_without_a_manifest_is_read_with_a_remark(tmp_path, caplog):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").touch()
    found = verified_files(tmp_path / "mine")
    assert [path.name for path in found.paths] == ["a"]
    assert (
        found.remark
        == raw_files.unverified_remark(tmp_path / "mine")
        == raw_files.UNVERIFIED_REMARK
    )
    assert "no manifest.json" in caplog.text
    with pytest.raises(FileNotFoundError, match="no such directory"):
        verified_files(tmp_path / "absent")


def test_in_the_raw_store_a_manifest_is_required(stored):
    (stored / "manifest.json").unlink()
    with pytest.raises(RawFileError, match=f"fuxiflow adopt {stored}"):
        verified_files(stored)


def test_in_the_embedded_world_a_manifest_is_required(tmp_path):
    (tmp_path / "a.grib").write_bytes(b"GRIB")
    (tmp_path / "provenance.json").write_text("{}")
    with pytest.raises(raw_files.RawFileError, match=rf"delete {tmp_path} and run"):
        raw_files.verified_files(tmp_path)


def test_one_file_is_verified_by_the_manifest_beside_it(folder):
    assert names(folder / "a.grib") == ["a.grib"]
    (folder / "a.grib").write_bytes(b"GRIB7777")
    with pytest.raises(RawFileError, match=r"a\.grib: damaged"):
        verified_files(folder / "a.grib")


QUESTION = Question(("2022-01-21", "2022-01-31"), ("t",))


def test_a_receipt_speaks_of_days_and_fields(stored, tmp_path):
    receipt = tmp_path / "r.json"
    content = raw_files.write_receipt(receipt, "era5", "2022-01", QUESTION, [stored])
    assert (content["files"], content["bytes"]) == (1, 3)
    assert content["manifests"] == {"resources/archive/era5/2022-01": 2}
    assert names(receipt) == ["two"]
    extra = Question(QUESTION.days, ("q",), (("t", "2022-01-20"),))
    raw_files.write_receipt(receipt, "era5", "2022-01", extra, [stored])
    assert names(receipt) == ["one", "three"]


def test_later_files_change_neither_a_receipt_nor_what_it_reads(stored, tmp_path):
    receipt = tmp_path / "r.json"
    raw_files.write_receipt(receipt, "era5", "2022-01", QUESTION, [stored])
    before = receipt.read_bytes()
    manifest = manifests.read_manifest(stored)
    for number, (name, field) in enumerate([("four", "t"), ("five", "q")], 4):
        (stored / name).write_text(name)
        manifest.files[name] = manifests.file_entry(
            stored / name,
            "x",
            number=number,
            covers={"days": ["2022-01-22"], "fields": [field]},
        )
    manifests.write_manifest(stored, manifest)
    assert names(receipt) == ["two"]
    # one that is made anew takes in what concerns it, and is the same where nothing does
    raw_files.write_receipt(receipt, "era5", "2022-01", QUESTION, [stored])
    assert names(receipt) == ["four", "two"]
    del manifest.files["four"]
    manifests.write_manifest(stored, manifest)
    raw_files.write_receipt(receipt, "era5", "2022-01", QUESTION, [stored])
    assert receipt.read_bytes() == before


def test_a_receipt_that_is_outdated_or_damaged_says_what_to_do(stored, tmp_path):
    receipt = tmp_path / "r.json"
    raw_files.write_receipt(receipt, "era5", "2022-01", QUESTION, [stored])
    manifest = manifests.read_manifest(stored)
    entry = manifest.files["two"]
    manifest.files["two"] = FileEntry(
        entry.bytes, "0" * 64, entry.origin, "", entry.number, entry.covers
    )
    manifests.write_manifest(stored, manifest)
    with pytest.raises(RawFileError, match=f"list other files.*delete {receipt} and run again"):
        verified_files(receipt)
    receipt.write_text(receipt.read_text().replace("2022-01-31", "2022-01-30"))
    with pytest.raises(RawFileError, match=f"digest.*delete {receipt} and run again"):
        verified_files(receipt)


def test_a_damaged_file_of_the_store_is_never_deleted_by_advice(stored, tmp_path):
    receipt = tmp_path / "r.json"
    raw_files.write_receipt(receipt, "era5", "2022-01", QUESTION, [stored])
    (stored / "two").write_text("owt")
    with pytest.raises(RawFileError, match=r"two: damaged.*move the file away.*fuxiflow fetch"):
        verified_files(receipt)


def test_what_a_file_covers_may_be_several_sets():
    blocks = [
        {"days": ["2022-01-01"], "fields": ["t"]},
        {"days": ["2022-01-21"], "fields": ["q"]},
    ]
    assert not QUESTION.concerns(FileEntry(1, "", "", covers={"blocks": blocks}))
    assert not QUESTION.concerns(FileEntry(1, "", "", covers={"blocks": []}))
    assert QUESTION.concerns(FileEntry(1, "", ""))
    assert QUESTION.concerns(FileEntry(1, "", "", covers={"days": ["2022-01-30"]}))


def test_a_manifest_of_old_is_none(tmp_path):
    (tmp_path / "manifest.json").write_text('{"fetched": {"a": 1}, "absent": []}')
    assert manifests.is_manifest_of_old(tmp_path)
    assert manifests.read_manifest(tmp_path) is None
