"""AAPP level 1c: AMSU-A and MHS of either byte order, against a decoding by words and satpy."""

import logging
import os
import subprocess
import sys
from datetime import date

import numpy as np
import pytest

from fuxiflow import ROOT
from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.ingest import ingest
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.observations.satpy_readers import DIRECTORY, aapp_l1c
from fuxiflow.physics import great_circle
from fuxiflow.storage.manifests import seal_folder
from tests.support.level1_files import mutations, orbit, temperatures, write_aapp

NAMES = {
    "amsua": "amsual1c_metopc_20220701_1022_12345.l1c",
    "mhs": "mhsl1c_metopc_20220701_1022_12345.l1c",
}
CHANNELS = {"amsua": 15, "mhs": 5}
LAYOUTS = {
    "amsua": (aapp_l1c.AMSUA_HEADER, aapp_l1c.AMSUA_SCAN, 10),
    "mhs": (aapp_l1c.MHS_HEADER, aapp_l1c.MHS_SCAN, 12),
}
# words of a record and, from 0, of its first latitude, angle and temperature (atmlab's definitions,
# checked by hand)
WORDS = {"amsua": (768, 25, 85, 208), "mhs": (1152, 14, 194, 557)}


def swath_of(instrument):
    """A swath with the instrument's number of positions, nadir within: AMSU-A 30, MHS 90."""
    return (
        orbit(minutes=3, columns=slice(2, 92, 3), stride=3)
        if instrument == "amsua"
        else orbit(columns=slice(3, 93))
    )


def write(directory, instrument, order="<", satellite=3, values=None):
    view = swath_of(instrument)
    values = temperatures(view, CHANNELS[instrument]) if values is None else values
    return write_aapp(
        directory / NAMES[instrument], view, values, *LAYOUTS[instrument], satellite, order
    )


def read(path, instrument, platforms=("Metop-C",), channels=None):
    channels = channels or [str(i + 1) for i in range(CHANNELS[instrument])]
    return list(readers.read(f"aapp_l1c.{instrument}", [path], platforms, channels))


def codes(granule):
    return footprint_table.column_values(granule.footprints, "rejected")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("instrument", ["amsua", "mhs"])
def test_files_of_either_byte_order_word_by_word(tmp_path, instrument, order):
    path = write(tmp_path, instrument, order)
    view = swath_of(instrument)
    (granule,) = read(path, instrument)
    found = granule.footprints
    record, place, angle, first = WORDS[instrument]
    words = np.frombuffer(path.read_bytes(), order + "i4").reshape(-1, record)[1:]
    positions, channels = view.lat.shape[1], CHANNELS[instrument]
    assert len(found) == granule.count == view.lat.size
    assert not codes(granule).any()
    expected = words[:, first : first + positions * channels].reshape(-1, channels) * 0.01
    assert np.allclose(footprint_table.values_of(found), expected, atol=2e-5)
    lat_lon = words[:, place : place + 2 * positions].reshape(-1, 2) * 1e-4
    assert np.allclose(footprint_table.column_values(found, "lat"), lat_lon[:, 0], atol=1e-5)
    assert np.allclose(footprint_table.column_values(found, "lon"), lat_lon[:, 1], atol=2e-5)
    angles = words[:, angle : angle + 4 * positions].reshape(-1, 4) * 0.01
    assert np.allclose(footprint_table.column_values(found, "zenith"), angles[:, 0], atol=1e-5)
    assert np.allclose(footprint_table.column_values(found, "azimuth"), angles[:, 1], atol=3e-5)
    times = footprint_table.column_values(found, "time").reshape(view.lat.shape)
    assert (np.abs(times - view.time[:, :1]) < np.timedelta64(1, "ms")).all()
    assert set(found["platform"].to_pylist()) == {"Metop-C"}


def test_missing_values_and_flags(tmp_path):
    view = swath_of("mhs")
    values = temperatures(view, 5)
    values[1], values[2, 3, 4] = np.nan, np.nan
    path = write(tmp_path, "mhs", values=values)
    content = np.frombuffer(path.read_bytes(), "<i4").reshape(-1, 1152).copy()
    for scan, flag in ((5, 31), (6, 30), (7, 28), (8, 27)):
        content[scan, 4] = np.uint32(1 << flag).astype(np.int32)
    content[10, 14:194] = 0
    path.write_bytes(content.tobytes())
    (granule,) = read(path, "mhs")
    found = codes(granule).reshape(view.lat.shape)
    reasons = {
        1: Reason.MISSING,
        4: Reason.QUALITY,
        5: Reason.TIME,
        6: Reason.MISSING,
        7: Reason.LOCATION,
        9: Reason.LOCATION,
    }
    for scan in range(len(found)):
        assert (found[scan] == reasons.get(scan, Reason.USED)).all(), scan
    assert np.isnan(
        footprint_table.values_of(granule.footprints).reshape(values.shape)[2, 3]
    ).tolist() == [False] * 4 + [True]


def test_an_all_missing_swath_is_counted(tmp_path):
    view = swath_of("amsua")
    (granule,) = read(
        write(tmp_path, "amsua", values=np.full((*view.lat.shape, 15), np.nan)), "amsua"
    )
    assert (codes(granule) == Reason.MISSING).all()


def test_platforms_and_channels(tmp_path):
    path = write(tmp_path, "mhs", satellite=19)
    (granule,) = read(path, "mhs")
    assert (granule.reason, granule.count) == (Reason.PLATFORM, swath_of("mhs").lat.size)
    (granule,) = read(path, "mhs", ["Metop-C", "NOAA-19"], ["5", "2"])
    assert footprint_table.channels_of(granule.footprints) == ["5", "2"]
    with pytest.raises(ValueError, match="no channel 6; known: 1, 2, 3, 4, 5"):
        read(path, "mhs", channels=["6"])


def test_a_truncated_file_gives_its_whole_scans_and_counts_the_others(tmp_path):
    path = write(tmp_path, "amsua")
    scans = len(swath_of("amsua"))
    path.write_bytes(path.read_bytes()[: 768 * 4 * 11 + 100])
    used, lost = read(path, "amsua")
    assert (len(used.footprints), lost.reason, lost.count) == (
        300,
        Reason.UNREADABLE,
        (scans - 10) * 30,
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", Reason.EMPTY), (b"short", Reason.UNREADABLE), (b"\0" * 9000, Reason.UNREADABLE)],
)
def test_other_files_are_refused(tmp_path, content, reason):
    (tmp_path / NAMES["mhs"]).write_bytes(content)
    (granule,) = read(tmp_path / NAMES["mhs"], "mhs")
    assert (granule.reason, str(granule.day)) == (reason, "2022-07-01")


def test_one_instrument_is_not_the_other(tmp_path):
    (granule,) = read(write(tmp_path, "amsua"), "mhs")
    assert granule.reason == Reason.UNREADABLE
    assert "no header of AAPP level 1c of mhs" in granule.message


def test_a_header_without_antenna_correction_is_said_in_the_log_and_the_ledger(tmp_path, caplog):
    path = write(tmp_path, "mhs")
    content = bytearray(path.read_bytes())
    assert not read(path, "mhs")[0].message
    start = aapp_l1c.MHS_HEADER.fields["vnantennacorr"][1]
    content[start : start + 4] = bytes(4)
    path.write_bytes(content)
    (granule,) = read(path, "mhs")
    assert "may be antenna temperatures" in granule.message
    (tmp_path / "files").mkdir()
    path.rename(tmp_path / "files" / path.name)
    seal_folder(tmp_path / "files")
    found = ingest(
        tmp_path / "files",
        "*",
        "aapp_l1c.mhs",
        "mhs",
        ["Metop-C"],
        ["1"],
        date(2022, 7, 1),
        tmp_path / "mhs.parquet",
        logging.getLogger("test"),
    )
    assert found[["reason", "count", "message"]].to_numpy().tolist() == [
        ["read", granule.count, granule.message]
    ]
    assert f"{path.name}: {granule.message}" in caplog.text


@pytest.mark.parametrize(
    ("instrument", "reader"), [("amsua", "amsua_l1c_aapp"), ("mhs", "mhs_l1c_aapp")]
)
def test_satpy_reads_the_same(tmp_path, instrument, reader):
    """AMSU-A through our satpy reader, MHS through satpy's own.

    In a process of its own, as a user would.
    """
    path = write(tmp_path, instrument)
    code = (
        "import numpy; from satpy import Scene\n"
        f"scene = Scene([{os.fspath(path)!r}], reader={reader!r})\n"
        "scene.load(['1', '5', 'longitude', 'sensor_zenith_angle'])\n"
        f"numpy.savez({os.fspath(tmp_path / 'found.npz')!r}, "
        "one=scene['1'].values, five=scene['5'].values, "
        "zenith=scene['sensor_zenith_angle'].values, lon=scene['longitude'].values)"
    )
    environment = {
        **os.environ,
        "SATPY_CONFIG_PATH": os.fspath(DIRECTORY),
        "PYTHONPATH": os.fspath(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (granule,) = read(path, instrument)
    values, theirs = footprint_table.values_of(granule.footprints), np.load(tmp_path / "found.npz")
    for name, ours in {
        "one": values[:, 0],
        "five": values[:, 4],
        "lon": footprint_table.column_values(granule.footprints, "lon"),
        "zenith": footprint_table.column_values(granule.footprints, "zenith"),
    }.items():
        assert np.allclose(theirs[name].ravel(), ours, atol=3e-5), name


@pytest.mark.slow
@pytest.mark.parametrize("instrument", ["amsua", "mhs"])
def test_mutations_give_values_within_physics_or_reasons(tmp_path, instrument):
    """One byte changed or the file cut off: no exception.

    Positions stay within 15 km of the true ones, times within 10 s.
    """
    path = write(tmp_path, instrument)
    true = read(path, instrument)[0].footprints
    place = [footprint_table.column_values(true, name) for name in ("lat", "lon", "time")]
    for changed in mutations(path.read_bytes(), 250, seed=3):
        path.write_bytes(changed)
        for granule in read(path, instrument, ["Metop-C", "Metop-B"]):
            if granule.footprints is None:
                assert granule.reason >= 100
                assert granule.message
                continue
            used = codes(granule) == 0
            lat, lon, time = (
                footprint_table.column_values(granule.footprints, name)[used]
                for name in ("lat", "lon", "time")
            )
            expected = [column[: len(used)][used] for column in place]
            assert (great_circle(lat, lon, *expected[:2]) < 15).all()
            assert (np.abs(time - expected[2]) < np.timedelta64(10, "s")).all()
            values = footprint_table.values_of(granule.footprints)
            assert not ((values < 2.7) | (values > 350)).any()
