"""ERA5 and GFS files: read back with ecCodes and cfgrib, keys as the agencies write them."""

from datetime import date, datetime, timedelta

import cfgrib
import eccodes
import numpy as np
import pytest

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.world.writers.era5 import Era5Writer, forecast_base, write_invariants
from fuxiflow.world.writers.gfs import GfsWriter, forecast_init_times, gfs_file_name, gfs_resolution

GRID = Grid(7, 12, poles=True)
NAMES = ["Z500", "T500", "U500", "V500", "R500", "Z1000", "T1000", "T2M", "U10", "V10", "MSL", "TP"]
CHANNELS = channel_table().select(NAMES)


def fields(seed=0):
    """Plausible fields of all channels, different everywhere."""
    rng = np.random.default_rng(seed)
    means = {"Z": 55000.0, "T": 260.0, "U": 10.0, "V": 0.0, "R": 50.0, "M": 101000.0}
    return {
        name: means[name[0]] * (1 + 0.01 * rng.random(GRID.shape))
        if name != "TP"
        else 9.0 * rng.random(GRID.shape)
        for name in NAMES
    }


def messages(path, *keys):
    """Keys and values of all messages of a file."""
    result = []
    with open(path, "rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            values = eccodes.codes_get_values(handle).reshape(GRID.shape)
            result.append(([eccodes.codes_get(handle, key) for key in keys], values))
            eccodes.codes_release(handle)
    return result


@pytest.mark.parametrize(
    ("valid", "base", "step"),
    [
        (datetime(2022, 3, 1, 0), datetime(2022, 2, 28, 18), 6),
        (datetime(2022, 3, 1, 6), datetime(2022, 2, 28, 18), 12),
        (datetime(2022, 3, 1, 12), datetime(2022, 3, 1, 6), 6),
        (datetime(2022, 3, 1, 18), datetime(2022, 3, 1, 6), 12),
    ],
)
def test_forecast_that_precipitation_comes_from(valid, base, step):
    assert forecast_base(valid) == (base, step)


def test_era5_round_trip(tmp_path):
    times = [datetime(2022, 1, 1) + timedelta(hours=6 * i) for i in range(5)]
    with Era5Writer(tmp_path, GRID, CHANNELS) as writer:
        for i, time in enumerate(times):
            writer.write(time, fields(i))
    upper = messages(
        tmp_path / "pressure_levels.grib",
        "paramId",
        "level",
        "dataDate",
        "dataTime",
        "class",
        "edition",
    )
    assert len(upper) == 5 * 7
    keys, values = upper[7 + 1]
    assert keys == [130, 500, 20220101, 600, "ea", 1]
    np.testing.assert_allclose(values, fields(1)["T500"], atol=2.7 / 65535)
    rain = [
        m
        for m in messages(
            tmp_path / "single_levels.grib",
            "shortName",
            "validityDate",
            "validityTime",
            "stepRange",
            "type",
        )
        if m[0][0] == "tp"
    ]
    assert [keys[1:4] for keys, _ in rain] == [
        [20220101, 0, "0-6"],
        [20220101, 600, "6-12"],
        [20220101, 1200, "0-6"],
        [20220101, 1800, "6-12"],
        [20220102, 0, "0-6"],
    ]
    assert rain[0][0][4] == "fc"
    np.testing.assert_allclose(1000.0 * rain[2][1], fields(2)["TP"], atol=2e-4)


def test_era5_opens_with_cfgrib(tmp_path):
    with Era5Writer(tmp_path, GRID, CHANNELS) as writer:
        for hour in (0, 6):
            writer.write(datetime(2022, 1, 1, hour), fields(hour))
    datasets = cfgrib.open_datasets(
        str(tmp_path / "pressure_levels.grib"), backend_kwargs={"indexpath": ""}
    )
    assert {name for dataset in datasets for name in dataset} == {"z", "t", "u", "v", "r"}
    dataset = next(dataset for dataset in datasets if "t" in dataset)
    assert dataset.t.attrs["GRIB_gridType"] == "regular_ll"
    np.testing.assert_allclose(dataset.latitude, GRID.lat)
    np.testing.assert_allclose(
        dataset.t.sel(isobaricInhPa=500).isel(time=1), fields(6)["T500"], atol=1e-3
    )


def test_invariants(tmp_path):
    land = np.linspace(-0.1, 1.1, 84).reshape(GRID.shape)
    write_invariants(tmp_path / "i.grib", GRID, datetime(2022, 1, 1), 9.8 * 100.0 * land, land)
    (z, height), (lsm, mask) = messages(tmp_path / "i.grib", "shortName", "paramId")
    assert (z, lsm) == (["z", 129], ["lsm", 172])
    np.testing.assert_allclose(mask, np.clip(land, 0, 1), atol=1e-4)
    np.testing.assert_allclose(height, 980.0 * land, atol=0.1)


def test_gfs_round_trip(tmp_path):
    writer, init = GfsWriter(tmp_path, GRID, CHANNELS), datetime(2023, 1, 11, 12)
    analysis, forecast = writer.write(init, 0, fields()), writer.write(init, 18, fields(3))
    assert (
        analysis.relative_to(tmp_path).as_posix()
        == "gfs.20230111/12/atmos/gfs.t12z.pgrb2.30p00.f000"
    )
    keys = ("shortName", "typeOfLevel", "level", "centre", "step", "validityDate", "validityTime")
    first = messages(analysis, *keys)
    assert len(first) == len(NAMES) - 1
    assert first[0][0] == ["gh", "isobaricInhPa", 500, "kwbc", 0, 20230111, 1200]
    np.testing.assert_allclose(9.80665 * first[0][1], fields()["Z500"], atol=9.8 * 60 / 2**13)
    later = messages(forecast, *keys, "stepRange", "paramId")
    assert [m[0][0] for m in later[-5:]] == ["2t", "10u", "10v", "prmsl", "tp"]
    assert later[-1][0][-2] == "12-18"
    assert later[-1][0][4:7] == [18, 20230112, 600]
    np.testing.assert_allclose(later[-1][1], fields(3)["TP"], atol=9.0 / 2**13)


def test_gfs_opens_with_cfgrib(tmp_path):
    path = GfsWriter(tmp_path, GRID, CHANNELS).write(datetime(2023, 1, 11), 6, fields())
    datasets = cfgrib.open_datasets(str(path), backend_kwargs={"indexpath": ""})
    assert {name for dataset in datasets for name in dataset} == {
        "gh",
        "t",
        "u",
        "v",
        "r",
        "t2m",
        "u10",
        "v10",
        "prmsl",
        "tp",
    }


def test_bad_fields_are_refused(tmp_path):
    writer = GfsWriter(tmp_path, GRID, CHANNELS)
    with pytest.raises(ValueError, match="t: expected finite values of shape"):
        writer.write(datetime(2023, 1, 1), 0, fields() | {"T500": np.full(GRID.shape, np.nan)})
    with pytest.raises(ValueError, match="got shape"):
        writer.write(datetime(2023, 1, 1), 0, fields() | {"T500": np.zeros((2, 2))})
    with pytest.raises(ValueError, match="rows on the poles"):
        GfsWriter(tmp_path, Grid(6, 12), CHANNELS)


def test_names_and_init_times():
    assert gfs_resolution(Grid(721, 1440, poles=True)) == "0p25"
    assert gfs_resolution(Grid(49, 96, poles=True)) == "3p75"
    assert (
        gfs_file_name(datetime(2023, 1, 2), 240, Grid(121, 240, poles=True)).name
        == "gfs.t00z.pgrb2.1p50.f240"
    )
    starts = forecast_init_times(datetime(2023, 1, 11), date(2023, 1, 13), 36)
    assert starts == [datetime(2023, 1, 11), datetime(2023, 1, 12, 12)]
    assert forecast_init_times(datetime(2023, 1, 11), date(2023, 1, 11), 12)[-1] == datetime(
        2023, 1, 11, 12
    )
    with pytest.raises(ValueError, match="multiples of 12"):
        forecast_init_times(datetime(2023, 1, 11), date(2023, 1, 13), 18)
    starts = forecast_init_times(datetime(2023, 1, 11, 12), date(2023, 1, 13), 24)
    assert starts == [datetime(2023, 1, 11 + day, 12) for day in range(3)]
