"""NASA's ATMS level 1B: made files in the documented layout against satpy's reader, bad ones."""

import h5py
import numpy as np
import pytest
from netCDF4 import Dataset

from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.readers.atms_l1b import CHANNELS
from fuxiflow.observations.rejection_codes import Reason
from tests.support.bufr_files import swath

PLATFORMS = {
    "SNPP": "SUOMI-NPP > Suomi National Polar-orbiting Partnership",
    "J1": "JPSS-1 > Joint Polar Satellite System - 1",
}
FILL = np.float32(9.96921e36)


def write(
    directory,
    short="J1",
    start="2022-07-01T10:00",
    version="v03_15.G.220701200000",
    scans=4,
    **changed,
):
    """A level 1B file; ``changed`` replaces variables."""
    elements, values = swath("atms", scans=scans, start=start)
    shape = (scans, 96)
    seconds = (np.datetime64(start, "s") - np.datetime64("1993-01-01", "s")) / np.timedelta64(
        1, "s"
    )
    lines = np.repeat(np.arange(scans), 96)
    minute = start.replace("-", "").replace(":", "")
    path = directory / f"SNDR.{short}.ATMS.{minute}.m06.g101.L1B.std.{version}.nc"
    with Dataset(path, "w") as file:
        file.setncatts(
            {
                "platform": PLATFORMS[short],
                "instrument": "ATMS > Advanced Technology Microwave Sounder",
                "time_coverage_start": f"{start}:00Z",
                "time_coverage_end": f"{start[:14]}06:00Z",
            }
        )
        for name, size in (("atrack", scans), ("xtrack", 96), ("channel", 22)):
            file.createDimension(name, size)
        arrays = {
            "antenna_temp": values.reshape(*shape, 22),
            "lat": elements[5001],
            "lon": elements[6001],
            "sat_zen": elements[7024],
            "sat_azi": elements[5021],
            "antenna_temp_qc": np.zeros((*shape, 22)),
            "instrument_state": np.zeros(shape),
            # ten leap seconds came between 1993 and 2022
            "obs_time_tai93": seconds + 10 + lines * 8 / 3,
        } | changed
        for name, array in arrays.items():
            kind = {"obs_time_tai93": "f8", "antenna_temp_qc": "u1", "instrument_state": "u1"}.get(
                name, "f4"
            )
            dimensions = ("atrack", "xtrack", "channel")[
                : 3 if name.startswith("antenna_temp") else 2
            ]
            variable = file.createVariable(
                name, kind, dimensions, fill_value=255 if kind == "u1" else FILL
            )
            variable[:] = np.asarray(array).reshape([file.dimensions[d].size for d in dimensions])
    return path


def read(*paths, platforms=("NOAA-20",), channels=CHANNELS):
    return list(readers.read("atms_l1b", paths, platforms, channels))


def only(*paths, **kwargs):
    (granule,) = read(*paths, **kwargs)
    return granule


def codes(granule):
    return footprint_table.column_values(granule.footprints, "rejected")


def test_values_come_back_as_satpy_gives_them(tmp_path):
    from satpy.readers.atms_l1b_nc import AtmsL1bNCFileHandler

    path = write(tmp_path)
    granule = only(path)
    handler = AtmsL1bNCFileHandler(str(path), {}, {"antenna_temperature": "antenna_temp"})
    expected = handler["antenna_temp"].values.reshape(-1, 22)
    found = granule.footprints
    assert np.array_equal(footprint_table.values_of(found), expected)
    for name, variable in (
        ("lat", "lat"),
        ("lon", "lon"),
        ("zenith", "sat_zen"),
        ("azimuth", "sat_azi"),
    ):
        assert np.array_equal(
            footprint_table.column_values(found, name), handler[variable].values.ravel()
        )
    assert (granule.count, granule.day.isoformat()) == (384, "2022-07-01")
    assert set(found["platform"].to_pylist()) == {"NOAA-20"}
    assert not codes(granule).any()
    time = np.datetime64("2022-07-01T10:00:00", "us")
    assert (
        np.abs(footprint_table.column_values(found, "time")[:96] - time) < np.timedelta64(1, "ms")
    ).all()


def test_antenna_temperatures_have_names_of_their_own(tmp_path):
    with pytest.raises(ValueError, match="no channel 1; known: antenna_1, antenna_2"):
        read(write(tmp_path), channels=["1"])
    found = only(write(tmp_path), channels=["antenna_22", "antenna_1"]).footprints
    assert footprint_table.channels_of(found) == ["antenna_22", "antenna_1"]


def test_fill_values_flags_and_impossible_places(tmp_path):
    elements, values = swath("atms", scans=4)
    lat, lon, zenith = elements[5001].copy(), elements[6001].copy(), elements[7024].copy()
    lat[:96] = lon[:96] = 0
    lat[100], lon[110], zenith[120] = FILL, lon[110] + 20, 10
    values[130], values[131, 3], values[132, 4] = FILL, 1000.0, -5
    state, quality = np.zeros(384), np.zeros((384, 22))
    state[140], quality[150, 7] = 1, 2
    granule = only(
        write(
            tmp_path,
            lat=lat,
            lon=lon,
            sat_zen=zenith,
            antenna_temp=values,
            instrument_state=state,
            antenna_temp_qc=quality,
        )
    )
    wrong = dict.fromkeys((*range(96), 100, 110, 120), Reason.LOCATION) | {
        130: Reason.MISSING,
        140: Reason.QUALITY,
    }
    assert {i: code for i, code in enumerate(codes(granule).tolist()) if code} == wrong
    found = np.argwhere(
        np.isnan(footprint_table.values_of(granule.footprints)) & (np.arange(384) != 130)[:, None]
    ).tolist()
    assert found == [[131, 3], [132, 4], [150, 7]]


def test_times_outside_the_granule(tmp_path):
    seconds = (np.datetime64("2022-07-01T10:00:10") - np.datetime64("1993-01-01")) / np.timedelta64(
        1, "s"
    )
    times = np.full(384, seconds)
    times[0], times[1], times[2] = FILL, seconds + 3600, 1e30
    assert np.flatnonzero(
        codes(only(write(tmp_path, obs_time_tai93=times))) == Reason.TIME
    ).tolist() == [0, 1, 2]


def test_versions_platforms_names_and_order(tmp_path):
    paths = [
        write(tmp_path, start="2022-07-01T12:00"),
        write(tmp_path, start="2022-07-01T11:00"),
        write(tmp_path, start="2022-07-01T11:00", version="v03_16.G.230101000000"),
        write(tmp_path, short="SNPP"),
        tmp_path / "SNDR.nc",
    ]
    paths[4].write_bytes(b"")
    found = {granule.file: granule for granule in read(*paths)}
    reasons = [found[path.name].reason for path in paths]
    assert reasons == [Reason.USED, Reason.SUPERSEDED, Reason.USED, Reason.PLATFORM, Reason.NAME]
    assert list(found)[-2:] == [paths[2].name, paths[0].name]
    assert found[paths[3].name].message == "platform Suomi-NPP, expected NOAA-20"
    assert found[paths[3].name].count == 384


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b""), Reason.EMPTY),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), Reason.UNREADABLE),
        (lambda path: _remove(path, "lat"), Reason.UNREADABLE),
        (lambda path: _remove(path, "antenna_temp"), Reason.UNREADABLE),
    ],
)
def test_damaged_files_are_named(tmp_path, spoil, reason):
    path = write(tmp_path)
    spoil(path)
    assert only(path).reason == reason


def _remove(path, name):
    with h5py.File(path, "r+") as file:
        del file[name]


@pytest.mark.slow
def test_no_damage_gives_impossible_footprints(tmp_path):
    path = write(tmp_path)
    data, random = path.read_bytes(), np.random.default_rng(5)
    for i in range(200):
        spoilt = bytearray(data)
        spoilt[int(random.integers(len(data) if i % 2 else 12000))] ^= 1 << int(random.integers(8))
        path.write_bytes(spoilt[: int(random.integers(len(data)))] if i % 10 == 9 else spoilt)
        granule = only(path)
        if granule.footprints is None:
            assert granule.message
            continue
        used = granule.footprints.filter(codes(granule) == 0)
        values = footprint_table.values_of(used)
        assert ((values[np.isfinite(values)] > 2.7) & (values[np.isfinite(values)] < 400)).all()
        assert (np.abs(footprint_table.column_values(used, "lat") - 10) < 5).all()
        assert (
            np.abs(footprint_table.column_values(used, "time") - np.datetime64("2022-07-01T10:00"))
            < np.timedelta64(7, "m")
        ).all()
