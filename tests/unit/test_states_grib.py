from datetime import UTC, datetime

import cfgrib
import eccodes
import numpy as np
import pytest

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.states.grib import GribReader, channel_keys, decode_fields
from fuxiflow.states.grib_messages import GribError, describing_sections
from tests.support import grib_files
from tests.support.helpers import realdata

TIME = datetime(2022, 1, 1, 6)
T500 = channel_table()["T500"]


def write(tmp_path, *messages):
    path = tmp_path / "a.grib"
    path.write_bytes(b"".join(messages))
    return path


def inventory(path, reference="era5"):
    faults, ignored = [], []
    entries = GribReader(channel_table(), reference).inventory(
        [path], faults.append, ignored.append
    )
    return entries, faults, ignored


def test_every_channel_of_era5_by_its_keys(tmp_path):
    path = write(
        tmp_path, *(grib_files.era5(c, TIME, grib_files.values(c)) for c in channel_table())
    )
    fields = list(decode_fields([path], channel_table(), "era5"))
    assert [field.entry.channel for field in fields] == list(range(len(channel_table())))
    for channel, field in zip(channel_table(), fields, strict=True):
        assert field.entry.end == TIME
        span = channel.valid_max - channel.valid_min
        np.testing.assert_allclose(field.values, grib_files.values(channel), atol=span * 2e-5)
    assert (fields[-1].entry.end - fields[-1].entry.start).total_seconds() == 6 * 3600


def test_every_channel_of_gfs_by_its_keys(tmp_path):
    path = write(
        tmp_path, *(grib_files.gfs(c, TIME, 12, grib_files.values(c)) for c in channel_table())
    )
    fields = list(decode_fields([path], channel_table(), "gfs"))
    assert [field.entry.channel for field in fields] == list(range(len(channel_table())))
    for channel, field in zip(channel_table(), fields, strict=True):
        assert (field.entry.init, field.entry.lead_hours) == (TIME, 12)
        span = channel.valid_max - channel.valid_min
        np.testing.assert_allclose(field.values, grib_files.values(channel), atol=span * 2e-5)


def test_unknown_reference():
    with pytest.raises(ValueError, match="known in GRIB: era5, gfs"):
        channel_keys(channel_table(), "jra55")


def test_what_is_not_wanted_is_counted_with_the_reason(tmp_path):
    field = grib_files.values(T500)
    member = {"setLocalDefinition": 1, "localDefinitionNumber": 1, "number": 3}
    path = write(
        tmp_path,
        grib_files.era5(T500, TIME, field),
        grib_files.era5(T500, TIME, field, **member),
        grib_files.era5(T500, TIME, field, level=70),
        grib_files.era5(T500, TIME, field, indicatorOfParameter=203),
        grib_files.era5(T500, TIME, field, timeRangeIndicator=3, P1=0, P2=6),
    )
    entries, faults, ignored = inventory(path)
    assert len(entries) == 1
    assert not faults
    assert sorted(ignored) == [
        "not in the channel table",
        "not in the channel table",
        "perturbed ensemble member",
        "step type avg",
    ]


@pytest.mark.parametrize(
    ("i_negative", "j_positive", "j_consecutive"),
    [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0), (0, 0, 1), (1, 1, 1)],
)
def test_any_scanning_order(tmp_path, i_negative, j_positive, j_consecutive):
    field = grib_files.values(T500)
    grid = grib_files.GRID
    stored = field[::-1] if j_positive else field
    stored = stored[:, ::-1] if i_negative else stored
    lat = (-90.0, 90.0) if j_positive else (90.0, -90.0)
    lon = (grid.lon[-1], 0.0) if i_negative else (0.0, grid.lon[-1])
    message = grib_files.era5(
        T500,
        TIME,
        stored.T.reshape(grid.shape) if j_consecutive else stored,
        iScansNegatively=i_negative,
        jScansPositively=j_positive,
        jPointsAreConsecutive=j_consecutive,
        latitudeOfFirstGridPointInDegrees=lat[0],
        latitudeOfLastGridPointInDegrees=lat[1],
        longitudeOfFirstGridPointInDegrees=float(lon[0]),
        longitudeOfLastGridPointInDegrees=float(lon[1]),
    )
    (decoded,) = decode_fields([write(tmp_path, message)], channel_table(), "era5")
    np.testing.assert_allclose(decoded.values, field, atol=0.01)
    assert (decoded.grid.north, decoded.grid.south, decoded.grid.west) == (90.0, -90.0, 0.0)


def test_longitudes_from_the_date_line(tmp_path):
    message = grib_files.era5(
        T500,
        TIME,
        grib_files.values(T500),
        longitudeOfFirstGridPointInDegrees=-180.0,
        longitudeOfLastGridPointInDegrees=150.0,
    )
    (decoded,) = decode_fields([write(tmp_path, message)], channel_table(), "era5")
    assert decoded.grid.lon[0] == 180.0
    assert decoded.grid.nlon == 12


def test_a_repeated_last_column_is_dropped(tmp_path):
    grid = Grid(7, 13, poles=True)
    message = grib_files.encode(
        1,
        grib_files.values(T500, grid=grid),
        {
            "table2Version": 128,
            "indicatorOfParameter": 130,
            "indicatorOfTypeOfLevel": 100,
            "level": 500,
            "dataDate": 20220101,
            "longitudeOfLastGridPointInDegrees": 360.0,
            "iDirectionIncrementInDegrees": 30.0,
        },
        grid,
    )
    (decoded,) = decode_fields([write(tmp_path, message)], channel_table(), "era5")
    assert decoded.grid.nlon == decoded.values.shape[1] == 12


@pytest.mark.parametrize("make", [grib_files.era5, lambda c, t, f: grib_files.gfs(c, t, 0, f)])
def test_missing_values_become_nan(tmp_path, make):
    field = grib_files.values(channel_table()["Z1000"])
    field[2, 3], field[4, 4] = np.nan, 9999.0
    (decoded,) = decode_fields(
        [write(tmp_path, make(channel_table()["Z1000"], TIME, field))],
        channel_table(),
        "era5" if make is grib_files.era5 else "gfs",
    )
    assert np.isnan(decoded.values[2, 3])
    assert np.isnan(decoded.values).sum() == 1
    assert decoded.values[4, 4] == pytest.approx(9999.0, abs=1)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        (
            {"latitudeOfFirstGridPointInDegrees": 60.0, "jDirectionIncrementInDegrees": 25.0},
            "not global: latitude 60.0",
        ),
        (
            {"longitudeOfLastGridPointInDegrees": 165.0, "iDirectionIncrementInDegrees": 15.0},
            "not global",
        ),
    ],
)
def test_fields_that_cannot_be_used_name_file_message_and_reason(tmp_path, keys, reason):
    path = write(tmp_path, grib_files.era5(T500, TIME, grib_files.values(T500), **keys))
    with pytest.raises(GribError, match=rf"a\.grib: message 1 at offset 0: .*{reason}"):
        list(decode_fields([path], channel_table(), "era5"))


def test_rows_in_alternating_directions_are_refused(tmp_path):
    path = write(tmp_path, grib_files.gfs(T500, TIME, 0, grib_files.values(T500), scanningMode=16))
    with pytest.raises(GribError, match="alternating directions"):
        list(decode_fields([path], channel_table(), "gfs"))


@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        ("reduced_gg_pl_32_grib1", "reduced_gg"),
        ("polar_stereographic_pl_grib1", "polar_stereographic"),
        ("sh_ml_grib1", "sh"),
    ],
)
def test_other_grids_are_refused_by_name(tmp_path, sample, kind):
    handle = eccodes.codes_grib_new_from_samples(sample)
    for key, value in {
        "table2Version": 128,
        "indicatorOfParameter": 130,
        "indicatorOfTypeOfLevel": 100,
        "level": 500,
    }.items():
        eccodes.codes_set(handle, key, value)
    path = write(tmp_path, eccodes.codes_get_message(handle))
    eccodes.codes_release(handle)
    with pytest.raises(GribError, match=f"grid type {kind} is not supported"):
        list(decode_fields([path], channel_table(), "era5"))


def test_a_broken_section_is_a_fault_not_a_crash(tmp_path):
    message = bytearray(grib_files.gfs(T500, TIME, 0, grib_files.values(T500)))
    message[16:20] = b"\x00\xff\xff\xff"
    _, (fault,), _ = inventory(write(tmp_path, bytes(message)), "gfs")
    assert "cannot be decoded: section 1" in fault.reason


def test_two_winds_in_one_message(tmp_path):
    u, v = (
        grib_files.gfs(channel_table()[name], TIME, 6, grib_files.values(channel_table()[name]))
        for name in ("U500", "V500")
    )
    body = u[:-4] + v[v.index(describing_sections(v)[4]) :]
    path = write(tmp_path, body[:8] + len(body).to_bytes(8, "big") + body[16:])
    names = [
        channel_table()[field.entry.channel].name
        for field in decode_fields([path], channel_table(), "gfs")
    ]
    assert names == ["U500", "V500"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("era5/era5-levels-members.grib", 16),
        ("era5/ekd_test4.grib", 4),
        ("era5/ekd_pl_regular_ll.grib", 240),
    ],
)
def test_real_era5_equals_cfgrib(name, expected):
    path = realdata(name)
    fields = list(decode_fields([path], channel_table(), "era5"))
    assert len(fields) == expected
    # cfgrib without xarray, whose backends load what corrupts memory when the interpreter ends
    data = cfgrib.open_file(path, indexpath="")
    variables = data.variables
    short = {
        "geopotential": "z",
        "temperature": "t",
        "relative_humidity": "r",
        "u_component_of_wind": "u",
        "v_component_of_wind": "v",
    }
    for field in fields:
        channel = channel_table()[field.entry.channel]
        variable = variables[short[channel.variable]]
        coordinates = {
            "number": 0,
            "isobaricInhPa": channel.level,
            "time": field.entry.init.replace(tzinfo=UTC).timestamp(),
            "step": field.entry.lead_hours,
        }
        key = tuple(
            int(np.flatnonzero(np.atleast_1d(variables[name].data) == coordinates[name])[0])
            for name in variable.dimensions[:-2]
        )
        np.testing.assert_array_equal(field.values, variable.data[(*key, slice(None), slice(None))])
        np.testing.assert_allclose(field.grid.lat, variables["latitude"].data)
        np.testing.assert_allclose(field.grid.lon, variables["longitude"].data)


def test_real_gfs_forecast_equals_eccodes():
    path = realdata("gfs/pygrib_gfs.t12z.pgrbf120.2p5deg.grib2")
    fields = {
        channel_table()[field.entry.channel].name: field
        for field in decode_fields([path], channel_table(), "gfs")
    }
    assert set(fields) == set(channel_table().names)
    assert all(field.entry.lead_hours == 120 for field in fields.values())
    names = {
        "geopotential": "gh",
        "temperature": "t",
        "u_component_of_wind": "u",
        "v_component_of_wind": "v",
        "relative_humidity": "r",
    }
    channels = {
        (names[c.variable], "isobaricInhPa", c.level): c for c in channel_table() if c.level
    }
    channels |= {
        ("2t", "heightAboveGround", 2): channel_table()["T2M"],
        ("10u", "heightAboveGround", 10): channel_table()["U10"],
        ("10v", "heightAboveGround", 10): channel_table()["V10"],
        ("prmsl", "meanSea", 0): channel_table()["MSL"],
        ("tp", "surface", 0): channel_table()["TP"],
    }
    seen = 0
    eccodes.codes_grib_multi_support_on()  # u and v share a message
    with open(path, "rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            key = tuple(eccodes.codes_get(handle, k) for k in ("shortName", "typeOfLevel", "level"))
            if key in channels:
                seen += 1
                values = eccodes.codes_get_values(handle).reshape(73, 144) * channels[key].gfs_scale
                np.testing.assert_array_equal(
                    fields[channels[key].name].values, values.astype(np.float32)
                )
            eccodes.codes_release(handle)
    eccodes.codes_grib_multi_support_off()
    assert seen == 70


def test_real_gfs_wind_analyses():
    path = realdata("gfs_wind_series/gfs.t00z.pgrb2.1p00.f000.2018091500.grib2")
    fields = list(decode_fields([path], channel_table(), "gfs"))
    assert [channel_table()[field.entry.channel].name for field in fields] == ["U10", "V10"]
    data = cfgrib.open_file(
        path, indexpath="", filter_by_keys={"typeOfLevel": "heightAboveGround", "level": 10}
    ).variables
    np.testing.assert_array_equal(fields[0].values, data["u10"].data[:, :])
    np.testing.assert_array_equal(fields[1].values, data["v10"].data[:, :])


def test_real_damaged_file_is_an_error_that_names_the_place():
    path = realdata("era5/era5-levels-corrupted.grib")
    with pytest.raises(
        GribError,
        match=r"era5-levels-corrupted\.grib: message 1 at offset 0: wrong message length 1588",
    ):
        list(decode_fields([path], channel_table(), "era5"))
