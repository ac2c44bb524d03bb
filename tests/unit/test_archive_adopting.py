"""Files that came by other ways are taken into the raw store, and the store is verified."""

import json
from datetime import datetime, timedelta

import pytest

from fuxiflow.archive import adopting, fetching, orders, raw_store
from fuxiflow.archive.needs import Need, era5_fields
from fuxiflow.archive.raw_store import MonthFolder
from fuxiflow.channels import channel_table
from fuxiflow.config.archives import load_archives
from fuxiflow.storage.manifests import RawFileError, read_manifest
from tests.support import grib_files

MONTH = "2022-01"


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources" / "archive").mkdir(parents=True)
    return tmp_path / "resources" / "archive"


def folder_of(store, product="noaa20_atms", month=MONTH, **files):
    folder = store / product / month
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return folder


HDF5 = b"\x89HDF\r\n\x1a\n" + b"x" * 50


@pytest.mark.parametrize(
    ("name", "day"),
    [
        (
            "SATMS_j01_d20230701_t0000000_e0000320_b1_c20230702010203000000_oebc_ops.h5",
            "2023-07-01",
        ),
        ("amsual1c_noaa19_20220301_0123_67890.l1c", "2022-03-01"),
        ("NSS.AMAX.NK.D22032.S0000.E0153.B1234567.GC", "2022-02-01"),
        ("W_XX-EUMETSAT-Darmstadt_C_EUMS_20220305110000_iasi.bin", "2022-03-05"),
        ("report_2022-03-05.bufr", "2022-03-05"),
        ("FY3E_MWTS-_ORBA_L1_20220715_0012_033KM_V0.HDF", "2022-07-15"),
        ("notes_99999999.bin", ""),
    ],
)
def test_the_day_in_a_name(name, day):
    assert adopting.day_in_name(name) == day


def test_a_folder_without_a_manifest_is_adopted(store):
    folder = folder_of(store, a_d20220105_x__h5=HDF5, b_d20220106_x__h5=HDF5)
    (line,) = adopting.adopt(folder, store)
    assert line.endswith("2 files adopted, 2 in its manifest")
    manifest = read_manifest(folder)
    entry = manifest.files["a_d20220105_x.h5"]
    assert (entry.bytes, entry.origin) == (58, f"adopted from {folder}")
    assert entry.covers == {"days": ["2022-01-05", "2022-01-06"]}
    assert set(manifest.complete) == {"2022-01-05", "2022-01-06"}
    # what comes later is added, what is there stays
    (folder / "c_d20220107_x.h5").write_bytes(HDF5)
    (line,) = adopting.adopt(store, store)
    assert line.endswith("1 files adopted, 3 in its manifest")
    assert read_manifest(folder).files["a_d20220105_x.h5"] == entry


def test_an_empty_folder_is_an_outage(store):
    folder = folder_of(store)
    list(adopting.adopt(folder, store))
    assert read_manifest(folder).files == {}
    assert set(read_manifest(folder).complete) == {"*"}


def test_files_from_elsewhere_are_linked_into_the_store(store, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a_d20220105_x.h5").write_bytes(HDF5)
    with pytest.raises(ValueError, match="--product and --month"):
        list(adopting.adopt(mine, store))
    list(adopting.adopt(mine, store, "noaa20_atms", MONTH, "a disk of the agency"))
    target = store / "noaa20_atms" / MONTH / "a_d20220105_x.h5"
    assert target.samefile(mine / "a_d20220105_x.h5")
    assert read_manifest(target.parent).files[target.name].origin == "a disk of the agency"
    (mine / "a_d20220105_x.h5").unlink()
    (mine / "a_d20220105_x.h5").write_bytes(HDF5 + b"other")
    with pytest.raises(RawFileError, match="another file of this name"):
        list(adopting.adopt(mine, store, "noaa20_atms", MONTH))
    assert target.read_bytes() == HDF5


@pytest.mark.parametrize(
    ("product", "name", "content", "words"),
    [
        ("noaa20_atms", "a.h5", b"", "it is empty"),
        ("noaa20_atms", "a.h5", b"BUFR", "it is BUFR, not HDF5 or NetCDF-4"),
        ("gnssro", "a_nc", b"<html>", "it is a web page"),
        ("amsua", "a.bufr", HDF5, "it is HDF5, not BUFR"),
        ("amsua", "a.l1c", b"<html>", "it is a web page"),
        ("era5", "a", HDF5, "it is no whole NetCDF-4 file"),
        ("gfs", "a", HDF5, "it is HDF5, not GRIB"),
        ("era5", "a.grib", b"GRIB and the beginning of", "cut off"),
    ],
)
def test_what_is_not_of_its_kind_is_refused(store, product, name, content, words):
    folder = folder_of(store, product)
    (folder / name).write_bytes(content)
    with pytest.raises(RawFileError, match=rf"{folder / name}: {words}"):
        list(adopting.adopt(folder, store))


def test_all_that_is_refused_is_named_and_nothing_is_taken_in(store, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a_d20220105_x.h5").write_bytes(HDF5)
    (mine / "b_d20220305_x.h5").write_bytes(HDF5)
    (mine / "c_d20220105_x.h5").write_bytes(b"<html>")
    with pytest.raises(RawFileError) as caught:
        list(adopting.adopt(mine, store, "noaa20_atms", MONTH))
    first, second, last = str(caught.value).splitlines()
    assert "b_d20220305_x.h5: it is of 2022-03-05, not of 2022-01" in first
    assert "c_d20220105_x.h5: it is a web page" in second
    assert last.endswith("then run the same command again")
    assert not (store / "noaa20_atms").exists()


def test_a_run_does_not_pass_over_what_was_refused_before(store):
    folder = folder_of(store, "amsua", a_20220105__bufr=b"BUFR", b_20220105__bufr=b"<html>")
    need = Need("amsua", MONTH, ("2022-01-05", "2022-01-05"))
    log = fetching.logging.getLogger("test")
    for _ in range(2):
        with pytest.raises(RawFileError, match="it is a web page"):
            fetching.fetch_need(need, store, load_archives(), log)
    (folder / "b_20220105.bufr").unlink()
    fetching.fetch_need(need, store, load_archives(), log)
    assert set(read_manifest(folder).files) == {"a_20220105.bufr"}


def test_a_file_that_is_brought_again_is_compared_with_its_manifest(store, tmp_path):
    mine = tmp_path / "a_d20220105_x.h5"
    mine.write_bytes(HDF5)
    list(adopting.adopt(mine, store, "noaa20_atms", MONTH))
    (line,) = adopting.adopt(mine, store, "noaa20_atms", MONTH)
    assert line.endswith("0 files adopted, 1 in its manifest")
    # the store has a link to it
    mine.write_bytes(HDF5[:-1] + b"y")
    with pytest.raises(RawFileError, match="damaged: its content"):
        list(adopting.adopt(mine, store, "noaa20_atms", MONTH))


@pytest.mark.parametrize("padding", [b"", b"\0" * 84, b"\n"])
def test_octets_after_the_last_message_are_no_damage(store, padding):
    folder = folder_of(store, "era5", "2022-01")
    channel = channel_table()["T500"]
    message = grib_files.era5(channel, datetime(2022, 1, 20), grib_files.values(channel))
    (folder / "a.grib").write_bytes(message + padding)
    list(adopting.adopt(folder, store))
    assert read_manifest(folder).files["a.grib"].covers["days"] == ["2022-01-20"]
    # the beginning of a further message is
    (folder / "b.grib").write_bytes(message + message[:-9])
    with pytest.raises(RawFileError, match="cut off"):
        list(adopting.adopt(folder, store))


def era5_files(folder, days=2):
    """ERA5 of some days as CDS delivers it: analyses, hourly precipitation, the evening before."""
    folder.mkdir(parents=True)
    start = datetime(2022, 1, 20)
    pieces = []
    for hour in range(0, 24 * days, 6):
        time = start + timedelta(hours=hour)
        for channel in channel_table().analysed:
            pieces.append(grib_files.era5(channel, time, grib_files.values(channel)))
    (folder / "analyses.grib").write_bytes(b"".join(pieces))
    rain = channel_table()["TP"]
    field = grib_files.values(rain)
    (folder / "rain.grib").write_bytes(
        b"".join(
            grib_files.era5(rain, start + timedelta(hours=hour), field, span=1)
            for hour in range(24 * days)
        )
    )
    (folder / "before.grib").write_bytes(
        b"".join(
            grib_files.era5(rain, start - timedelta(hours=hour), field, span=1)
            for hour in range(1, 6)
        )
    )


def test_fields_of_era5_are_read_from_its_messages(store):
    era5_files(store / "era5" / MONTH)
    (line,) = adopting.adopt(store / "era5", store)
    assert "3 files adopted" in line
    files = read_manifest(store / "era5" / MONTH).files
    need = Need("era5", MONTH, ("2022-01-20", "2022-01-21"), era5_fields())
    covers = [entry.covers for entry in files.values()]
    assert not list(orders.era5_orders(need, covers, 8, lambda: None))
    del files["rain.grib"]
    covers = [entry.covers for entry in files.values()]
    (order,) = orders.era5_orders(need, covers, 8, lambda: None)
    assert order.covers["fields"] == ["total_precipitation"]


def test_fields_of_gfs_are_read_from_its_messages(store):
    folder = store / "gfs" / "2023-07"
    folder.mkdir(parents=True)
    init = datetime(2023, 7, 1, 6)
    channels = channel_table().analysed
    (folder / "mine.f000").write_bytes(
        b"".join(grib_files.gfs(c, init, 0, grib_files.values(c)) for c in channels)
    )
    list(adopting.adopt(folder, store))
    covers = read_manifest(folder).files["mine.f000"].covers
    assert (covers["init"], covers["lead"], covers["days"]) == ("2023-07-01T06", 0, ["2023-07-01"])
    assert len(covers["fields"]) == 69


def test_a_manifest_of_old_is_taken_over_and_nothing_is_fetched_again(store, caplog):
    folder = folder_of(store, a_d20220105_x__h5=HDF5)
    (folder / "manifest.json").write_text(
        json.dumps({"fetched": {"a_d20220105_x.h5": 58}, "absent": ["b_d20220105_x.h5"]})
    )
    need = Need("noaa20_atms", MONTH, ("2022-01-05", "2022-01-05"))
    log = fetching.logging.getLogger("test")
    # the address answers nothing, and is not asked
    fetching.fetch_need(need, store, load_archives(), log)
    manifest = read_manifest(folder)
    assert set(manifest.files) == {"a_d20220105_x.h5"}
    assert manifest.absent["b_d20220105_x.h5"]["origin"] == "a manifest of old"


def test_invariants_of_old_are_linked_into_their_folder(store):
    (store / "era5").mkdir()
    (store / "era5" / "invariants.grib").write_bytes(b"GRIB 7777")
    need = Need("era5", "invariants", ("", ""))
    fetching.fetch_need(need, store, load_archives(), fetching.logging.getLogger("test"))
    linked = store / "era5" / "invariants" / "invariants.grib"
    assert linked.samefile(store / "era5" / "invariants.grib")
    assert set(read_manifest(linked.parent).files) == {"invariants.grib"}


def test_the_store_is_verified_file_by_file(store):
    folder = folder_of(store, a__h5=HDF5, b__h5=HDF5, c__h5=HDF5)
    list(adopting.adopt(folder, store))

    def faults():
        return dict(adopting.verify_month(MonthFolder(store, "noaa20_atms", MONTH)))

    assert faults() == {}
    (folder / "a.h5").write_bytes(HDF5[:-1] + b"y")
    (folder / "b.h5").unlink()
    (folder / "d.h5").write_bytes(HDF5)
    assert {name: text.split(":")[0] for name, text in faults().items()} == {
        "a.h5": "damaged",
        "b.h5": "missing, but listed in the manifest",
        "d.h5": "not listed in the manifest",
    }
    folder_of(store, "amsua", a__bufr=b"BUFR")
    assert (
        "missing"
        in dict(adopting.verify_month(MonthFolder(store, "amsua", MONTH)))["manifest.json"]
    )


BUFR = b"BUFR" + b"x" * 50
NEED = Need("amsua", MONTH, ("2022-01-05", "2022-01-07"))
LOG = fetching.logging.getLogger("test")


def fetched(store):
    """Fetch :data:`NEED`; the names in the folder's manifest."""
    fetching.fetch_need(NEED, store, load_archives(), LOG)
    return set(read_manifest(store / "amsua" / MONTH).files)


@pytest.mark.parametrize("bad", ["a_20220105.bufr", "b_20220106.bufr", "c_20220107.bufr"])
def test_a_folder_that_was_adopted_in_part_is_not_taken_for_whole(store, bad):
    names = ["a_20220105.bufr", "b_20220106.bufr", "c_20220107.bufr"]
    folder = folder_of(store, "amsua", **dict.fromkeys(names, BUFR))
    (folder / bad).write_bytes(b"<html>")
    for _ in range(2):
        with pytest.raises(RawFileError, match=f"{bad}: it is a web page"):
            fetching.fetch_need(NEED, store, load_archives(), LOG)
    (folder / bad).write_bytes(BUFR)
    assert fetched(store) == {*names}
    assert set(read_manifest(folder).complete) == {"2022-01-05", "2022-01-06", "2022-01-07"}


def test_a_process_that_is_killed_while_it_adopts_loses_no_file(store, monkeypatch):
    names = {f"{letter}_2022010{day}.bufr" for day, letter in enumerate("abcd", 4)}
    folder_of(store, "amsua", **dict.fromkeys(names, BUFR))
    monkeypatch.setattr(raw_store, "SAVE_SECONDS", -1.0)
    listed = []

    class Killed(BaseException):
        pass

    def save(folder, at_once=True):
        # nothing is written after the kill
        if len(listed) > 2:
            raise Killed
        listed.append(write(folder, at_once))

    write = MonthFolder.save
    with monkeypatch.context() as patch:
        patch.setattr(MonthFolder, "save", save)
        with pytest.raises(Killed):
            fetched(store)
    assert len(read_manifest(store / "amsua" / MONTH).files) == 3
    assert fetched(store) == names


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_to_a_place_that_is_not_mounted_is_no_outage(store, link):
    folder = folder_of(store, "amsua")
    (folder / ("a_20220105.bufr" if link == "file" else "linked")).symlink_to("/not/mounted")
    for _ in range(2):
        with pytest.raises(RawFileError, match="a link to /not/mounted, which is not there: mount"):
            fetched(store)


def test_linked_folders_are_followed(store, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a_20220105.bufr").write_bytes(BUFR)
    folder = folder_of(store, "amsua", b_20220106__bufr=BUFR)
    (folder / "linked").symlink_to(elsewhere)
    (folder / "again").symlink_to(folder)
    assert fetched(store) == {"b_20220106.bufr", "linked/a_20220105.bufr"}


def test_what_links_stand_for_is_brought_into_the_store(store, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (tmp_path / "real").write_bytes(BUFR)
    (mine / "a_20220105.bufr").symlink_to("../real")
    list(adopting.adopt(mine, store, "amsua", MONTH))
    assert (store / "amsua" / MONTH / "a_20220105.bufr").read_bytes() == BUFR


def test_a_file_that_nobody_can_be_asked_for_is_not_forgotten(store):
    folder = folder_of(store, "amsua", a_20220105__bufr=BUFR, b_20220106__bufr=BUFR)
    assert len(fetched(store)) == 2
    (folder / "a_20220105.bufr").unlink()
    for _ in range(2):
        with pytest.raises(RawFileError, match=r"a_20220105.bufr: missing.* bring it again, or"):
            fetched(store)
    (folder / "manifest.json").unlink()
    assert fetched(store) == {"b_20220106.bufr"}


def test_files_that_were_added_later_are_named(store, caplog):
    folder_of(store, "amsua", a_20220105__bufr=BUFR)
    assert len(fetched(store)) == 1
    folder = folder_of(store, "amsua", b_20220106__bufr=BUFR)
    assert len(fetched(store)) == 1
    assert f"first: b_20220106.bufr; to use them run 'fuxiflow adopt {folder}'" in caplog.text
    caplog.clear()
    list(adopting.adopt(folder, store))
    assert len(fetched(store)) == 2
    assert "adopt" not in caplog.text


@pytest.mark.parametrize(
    ("product", "month", "words"),
    [
        ("amsa", MONTH, "did you mean .amsua"),
        ("../amsua", MONTH, "no product"),
        ("amsua", "2022-1", "no month"),
        ("amsua", "2022-13", "no month"),
        ("amsua", "../../x", "no month"),
        ("amsua", "invariants", "no month"),
    ],
)
def test_files_go_where_a_reader_looks_for_them(store, tmp_path, product, month, words):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a_20220105.bufr").write_bytes(BUFR)
    with pytest.raises(ValueError, match=words):
        list(adopting.adopt(mine, store, product, month))
    assert not [*tmp_path.rglob("manifest.json")]


def test_an_adopted_folder_without_files_is_told(store, tmp_path):
    (tmp_path / "mine").mkdir()
    (line,) = adopting.adopt(tmp_path / "mine", store, "amsua", MONTH)
    assert "the source counts as out" in line
