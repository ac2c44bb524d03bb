"""MWTS-III and MWHS-II level 1: every layout against a decoding by h5py, reasons, damage."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from fuxiflow import ROOT
from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.observations.satpy_readers import DIRECTORY
from tests.support.level1_files import orbit, temperatures, write_fy3

CHANNELS = [str(i) for i in range(1, 18)]
NAME = "FY3E_MWTS-_ORBA_L1_20220701_1022_033KM_V0.HDF"
HUMIDITY = "FY3E_MWHS-_ORBA_L1_20220701_1022_015KM_V0.HDF"


def read(files, platforms=("FY-3E",), channels=CHANNELS, reader="fy3_hdf5.mwts3"):
    return list(readers.read(reader, files, platforms, channels))


def only(path, **kwargs):
    (granule,) = read([path], **kwargs)
    return granule


def codes(granule):
    return footprint_table.column_values(granule.footprints, "rejected")


@pytest.fixture(scope="module")
def view():
    return orbit()


def by_hand(path):
    """Read temperatures, coordinates and zenith of a file by h5py alone.

    Temperatures are ``(scan, position, channel)``.
    """
    with h5py.File(path) as file:
        data = file["Data/Earth_Obs_BT"]
        raw, slope = data[()].astype(float), np.ravel(data.attrs["Slope"]).astype(float)
        raw[raw == data.attrs["FillValue"][0]] = np.nan
        lat = file["Geolocation/Latitude"][()]
        if raw.shape[1:] == lat.shape:
            raw = np.stack(list(raw), axis=-1)
        scale = np.where(slope == 0, 1, slope)
        return (
            raw * scale,
            lat,
            file["Geolocation/Longitude"][()],
            file["Geolocation/SensorZenith"][()] * 0.01,
        )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"last": True},
        {"order": ">"},
        {"order": ">", "last": True},
        {"float_": True},
        {"compression": "gzip"},
        {"slopes": np.linspace(0.01, 0.013, 17)},
        {"slopes": np.linspace(0.01, 0.013, 17), "last": True},
        {"unit": 100},
        {"epoch": "2000-01-01T00:00:00"},
        {"epoch": "1958-01-01T00:00:00"},
    ],
    ids=str,
)
def test_every_layout_equals_a_decoding_by_h5py(tmp_path, view, options):
    expected = temperatures(view, 17)
    path = write_fy3(tmp_path / NAME, view, expected, **options)
    granule = only(path)
    found = granule.footprints
    assert len(found) == granule.count == view.lat.size
    assert not codes(granule).any()
    values, lat, lon, zenith = by_hand(path)
    ours = footprint_table.values_of(found).reshape(values.shape)
    assert np.array_equal(ours, values.astype(np.float32))
    assert np.abs(ours - expected).max() < 0.0066
    assert np.array_equal(footprint_table.column_values(found, "lat"), lat.astype("f4").ravel())
    assert np.array_equal(footprint_table.column_values(found, "lon"), lon.astype("f4").ravel())
    assert np.allclose(footprint_table.column_values(found, "zenith"), zenith.ravel(), atol=1e-5)
    azimuth = footprint_table.column_values(found, "azimuth")
    assert np.abs((azimuth - view.azimuth.ravel() + 180) % 360 - 180).max() < 0.006
    times = footprint_table.column_values(found, "time").reshape(view.lat.shape)
    assert (np.abs(times - view.time[:, :1]) < np.timedelta64(1, "ms")).all()
    assert footprint_table.column_values(found, "scan_position")[:97].tolist() == [*range(1, 97), 1]
    assert set(found["platform"].to_pylist()) == {"FY-3E"}


def test_mwhs2_has_15_channels(tmp_path, view):
    path = write_fy3(tmp_path / HUMIDITY, view, temperatures(view, 15), sensor="MWHS")
    granule = only(path, reader="fy3_hdf5.mwhs2", channels=["10", "1"])
    assert footprint_table.channels_of(granule.footprints) == ["10", "1"]
    expected = by_hand(path)[0][..., [9, 0]].reshape(-1, 2)
    assert np.array_equal(footprint_table.values_of(granule.footprints), expected.astype("f4"))
    with pytest.raises(ValueError, match="no channel 16; known: 1, 2"):
        read([], reader="fy3_hdf5.mwhs2", channels=["16"])


def test_missing_values_and_coordinates(tmp_path, view):
    values = temperatures(view, 17)
    values[1] = np.nan
    values[2, 3, 4] = np.nan
    path = write_fy3(tmp_path / NAME, view, values)
    with h5py.File(path, "r+") as file:
        file["Geolocation/Latitude"][0] = file["Geolocation/Longitude"][0] = 0
        file["Geolocation/Latitude"][5, 6] = 999.9
        file["Geolocation/SensorZenith"][6, 7] = 32767
    granule = only(path)
    found = codes(granule).reshape(view.lat.shape)
    assert (found[0] == Reason.LOCATION).all()
    assert (found[1] == Reason.MISSING).all()
    assert found[5, 6] == found[6, 7] == Reason.LOCATION
    assert np.count_nonzero(found) == 2 * 96 + 2
    assert np.isnan(
        footprint_table.values_of(granule.footprints).reshape(values.shape)[2, 3]
    ).tolist() == [i == 4 for i in range(17)]


@pytest.mark.parametrize("options", [{}, {"float_": True}, {"last": True, "order": ">"}], ids=str)
def test_an_all_missing_swath_is_counted(tmp_path, view, options):
    granule = only(
        write_fy3(tmp_path / NAME, view, np.full((*view.lat.shape, 17), np.nan), **options)
    )
    assert (codes(granule) == Reason.MISSING).all()


def test_displaced_footprints_and_times_are_found(tmp_path, view):
    path = write_fy3(tmp_path / NAME, view, temperatures(view, 17))
    with h5py.File(path, "r+") as file:
        file["Geolocation/Latitude"][5, 6] += 0.5
        file["Geolocation/Longitude"][7, 0] -= 1
        file["Geolocation/Scnlin_mscnt"][9] += 20_000
    found = codes(only(path)).reshape(view.lat.shape)
    assert found[5, 6] == found[7, 0] == Reason.LOCATION
    assert (found[9] == Reason.TIME).all()
    assert np.count_nonzero(found) == 98


def test_latitudes_of_another_scale_are_refused_as_a_whole(tmp_path, view):
    path = write_fy3(tmp_path / NAME, view, temperatures(view, 17))
    with h5py.File(path, "r+") as file:
        file["Geolocation/Latitude"].attrs["Slope"] = np.array([0.5], "f4")
        file["Geolocation/Longitude"].attrs["Slope"] = np.array([0.5], "f4")
    assert (codes(only(path)) == Reason.LOCATION).all()


def test_times_outside_the_period_of_the_attributes(tmp_path, view):
    path = write_fy3(tmp_path / NAME, view, temperatures(view, 17))
    with h5py.File(path, "r+") as file:
        file["Geolocation/Scnlin_daycnt"][:] += 3
    assert (codes(only(path)) == Reason.TIME).all()


def spoil(key, value=None):
    def change(path):
        with h5py.File(path, "r+") as file:
            del file[key]
            if value is not None:
                file[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "reason", "counted"),
    [
        (lambda path: path.write_bytes(b""), Reason.EMPTY, False),
        (lambda path: path.write_bytes(b"no HDF5"), Reason.UNREADABLE, False),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), Reason.UNREADABLE, False),
        (spoil("Data/Earth_Obs_BT"), Reason.UNREADABLE, True),
        (spoil("Geolocation/Scnlin_mscnt"), Reason.UNREADABLE, True),
        (spoil("Geolocation/Latitude"), Reason.UNREADABLE, False),
        (spoil("Geolocation/SensorZenith", np.zeros((3, 96), "i2")), Reason.MISMATCH, True),
        (spoil("Data/Earth_Obs_BT", np.zeros((13, 3, 3), "i2")), Reason.UNREADABLE, True),
        (spoil("Geolocation/Latitude", np.zeros((0, 96), "f4")), Reason.EMPTY, False),
    ],
)
def test_damaged_files_are_named(tmp_path, view, change, reason, counted):
    path = write_fy3(tmp_path / NAME, view, temperatures(view, 17))
    change(path)
    granule = only(path)
    assert (granule.reason, granule.count) == (reason, view.lat.size if counted else 0)
    assert granule.message
    assert str(granule.day) == "2022-07-01"


def test_another_number_of_channels_is_refused(tmp_path, view):
    granule = only(write_fy3(tmp_path / NAME, view, temperatures(view, 13)))
    assert granule.reason == Reason.INSTRUMENT
    assert granule.message == "13 channels (MWTS-II), expected 17"


@pytest.mark.parametrize("sensor", ["MWHS", "Microwave Humidity Sounder-II"])
def test_a_file_of_another_instrument_is_refused_whatever_its_name(tmp_path, view, sensor):
    granule = only(write_fy3(tmp_path / NAME, view, temperatures(view, 17), sensor=sensor))
    assert (granule.reason, granule.count) == (Reason.INSTRUMENT, 2208)
    assert granule.message == f"instrument {sensor}, expected MWTS"


def test_platforms_names_versions_and_order(tmp_path, view):
    later = orbit("2022-07-01T12:05:00", 0.5)
    write_fy3(tmp_path / NAME, view, temperatures(view, 17))
    write_fy3(tmp_path / NAME.replace("V0", "V1"), view, temperatures(view, 17))
    write_fy3(
        tmp_path / NAME.replace("1022", "1205").replace("FY3E", "FY3F"),
        later,
        temperatures(later, 17),
        platform="FY-3F",
    )
    (tmp_path / HUMIDITY).write_bytes(b"")
    paths = sorted(tmp_path.iterdir())
    found = [
        (granule.file[4:8], granule.file[31:], granule.reason) for granule in read(reversed(paths))
    ]
    assert [reason for *_, reason in found] == [
        Reason.NAME,
        Reason.SUPERSEDED,
        Reason.USED,
        Reason.PLATFORM,
    ]
    granules = read(paths, platforms=["FY-3F", "FY-3E"])
    assert granules[-1].footprints["platform"][0].as_py() == "FY-3F"


def test_satpy_finds_and_reads_them(tmp_path, view):
    """In a process of its own, with SATPY_CONFIG_PATH as a user sets it."""
    path = write_fy3(tmp_path / NAME, view, temperatures(view, 17), last=True)
    code = (
        "import numpy; from satpy import Scene\n"
        f"scene = Scene([{os.fspath(path)!r}], reader='fy3_mwts3_l1')\n"
        "scene.load(['1', '17', 'satellite_zenith_angle'])\n"
        "lon, lat = scene['17'].attrs['area'].get_lonlats()\n"
        "attributes = scene['17'].attrs\n"
        "print(scene['17'].values.mean(dtype=float), scene['1'].shape, "
        "float(numpy.asarray(lat)[3, 4]), "
        "attributes['platform_name'], attributes['units'], attributes['sensor'], "
        "float(scene['satellite_zenith_angle'][0, 0].values))"
    )
    environment = {
        **os.environ,
        "SATPY_CONFIG_PATH": os.fspath(DIRECTORY),
        "PYTHONPATH": os.fspath(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    mean, rows, columns, lat, platform, units, sensor, zenith = (
        done.stdout.replace("(", "").replace(")", "").split()
    )
    values, lats, _, zeniths = by_hand(path)
    assert float(mean) == pytest.approx(values[..., 16].mean(), abs=1e-4)
    assert (int(rows.strip(",")), int(columns)) == view.lat.shape
    assert (platform, units, sensor) == ("FY-3E", "K", "mwts3")
    assert float(lat) == pytest.approx(lats[3, 4])
    assert float(zenith) == pytest.approx(zeniths[0, 0], abs=1e-3)


FUZZ = """
import sys
from pathlib import Path
import numpy as np
from fuxiflow.observations import footprint_table, readers
from fuxiflow.physics import great_circle
from tests.support.level1_files import mutations
channels = [str(i) for i in range(1, 18)]
path = Path(sys.argv[1])
content = path.read_bytes()
read = lambda: list(readers.read("fy3_hdf5.mwts3", [path], ["FY-3E"], channels))
true, = read()
place = [footprint_table.column_values(true.footprints, name) for name in ("lat", "lon", "time")]
used_files = 0
for i, changed in enumerate(mutations(content, 300, seed=int(sys.argv[2]))):
    path.write_bytes(changed)
    granule, = read()
    if granule.footprints is None:
        assert granule.reason >= 100 and granule.message, i
        continue
    used_files += 1
    used = footprint_table.column_values(granule.footprints, "rejected") == 0
    lat, lon, time = (
        footprint_table.column_values(granule.footprints, name)[used]
        for name in ("lat", "lon", "time")
    )
    if len(used) == len(place[0]) and used.any():
        off = great_circle(lat, lon, place[0][used], place[1][used]).max()
        assert off < 15, (i, off)
        assert np.abs(time - place[2][used]).max() < np.timedelta64(10, "s"), i
    values = footprint_table.values_of(granule.footprints)
    assert not ((values < 2.7) | (values > 350)).any(), i
print(used_files)
"""


@pytest.mark.slow
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_mutations_give_values_within_physics_or_reasons(tmp_path, compression):
    """In a process of its own: neither HDF5 nor the reader may crash or hang."""
    view = orbit(minutes=0.3)
    path = write_fy3(tmp_path / NAME, view, temperatures(view, 17), compression=compression)
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, os.fspath(path), "5"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 50
