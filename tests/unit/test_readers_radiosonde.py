"""Soundings from BUFR: mandatory and interpolated levels, units, levels below ground, damage."""

from itertools import islice

import eccodes
import numpy as np
import pytest

from fuxiflow import physics
from fuxiflow.observations import bufr_messages, footprint_table, readers
from fuxiflow.observations.rejection_codes import Reason
from tests.support import report_files as files
from tests.support.helpers import realdata

LEVELS = [50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000]
CHANNELS = [f"{variable}{level}" for variable in "ZTUVR" for level in LEVELS]
SURFACE = 131072
MISSING = float("nan")


def read(paths, platforms=("radiosonde",), channels=CHANNELS):
    return list(readers.read("radiosonde", paths, list(platforms), channels))


def values(tmp_path, levels, channels, **columns):
    """Values of ``channels`` from one sounding."""
    message = files.bufr(
        files.TEMP, [files.sounding(levels, **columns)], 2, replications=files.temp(len(levels))
    )
    path = tmp_path / "x.bufr"
    path.write_bytes(message)
    (granule,) = read([path], channels=channels)
    return footprint_table.values_of(granule.footprints)[0]


def test_the_height_of_the_station_travels_in_the_table(tmp_path):
    level = files.sounding([1000], airTemperature=[290.0])
    level |= {"heightOfStationGroundAboveMeanSeaLevel": 103.0}
    path = tmp_path / "x.bufr"
    path.write_bytes(files.bufr(files.TEMP, [level], 2, replications=files.temp(1)))
    (granule,) = read([path])
    assert footprint_table.column_values(granule.footprints, "height").tolist() == [103.0]


def test_mandatory_levels_are_taken_and_600_hpa_interpolated(tmp_path):
    found = values(
        tmp_path,
        [1000, 700, 500],
        ["T1000", "T700", "T600", "T500", "T850", "T400"],
        airTemperature=[290.0, 280.0, 260.0],
    )
    weight = np.log(700 / 600) / np.log(700 / 500)
    assert found == pytest.approx(
        [290, 280, 280 - 20 * weight, 260, MISSING, MISSING], abs=0.01, nan_ok=True
    )


def test_a_reported_level_counts_whatever_is_about_it(tmp_path):
    found = values(
        tmp_path, [1000, 850, 300], ["T850", "T700", "T500"], airTemperature=[290.0, 283.0, 230.0]
    )
    assert found == pytest.approx([283, MISSING, MISSING], nan_ok=True)


def test_heights_become_geopotential_and_bend_with_temperature(tmp_path):
    lapse = 60.0  # K for a change of one in log p
    pressure = np.array([850.0, 700.0, 500.0])
    s = np.log(1000 / pressure)
    height = (physics.GAS_CONSTANT_DRY / physics.GRAVITY) * (290 * s - lapse * s**2 / 2)
    found = values(
        tmp_path,
        pressure,
        ["Z850", "Z600"],
        nonCoordinateGeopotentialHeight=np.round(height),
        airTemperature=290 - lapse * s,
    )
    at = np.log(1000 / 600)
    exact = physics.GAS_CONSTANT_DRY * (290 * at - lapse * at**2 / 2)
    assert found[0] == pytest.approx(physics.GRAVITY * np.round(height[0]), abs=0.01)
    assert found[1] == pytest.approx(exact, abs=physics.GRAVITY)
    linear = physics.GRAVITY * np.interp(at, s, height)
    assert abs(linear - exact) > 100  # what the straight line would miss


def test_winds_and_humidity(tmp_path):
    found = values(
        tmp_path,
        [925, 850],
        ["U925", "V925", "R925", "U850", "R850"],
        airTemperature=[285.0, 280.0],
        dewpointTemperature=[285.0, MISSING],
        windDirection=[270.0, 180.0],
        windSpeed=[12.0, MISSING],
    )
    assert found == pytest.approx([12, 0, 100, MISSING, MISSING], abs=1e-4, nan_ok=True)


def test_what_is_below_the_ground_is_not_used(tmp_path):
    columns = {
        "extendedVerticalSoundingSignificance": [65536, SURFACE, 65536],
        "nonCoordinateGeopotentialHeight": [100.0, 800.0, 1500.0],
        "airTemperature": [MISSING, 280.0, 275.0],
    }
    found = values(tmp_path, [1000, 920, 850], ["Z1000", "Z850", "T850", "T925"], **columns)
    assert found == pytest.approx([MISSING, 1500 * physics.GRAVITY, 275, MISSING], nan_ok=True)


@pytest.mark.parametrize("compressed", [False, True])
def test_several_soundings_in_a_message(tmp_path, compressed):
    subsets = [
        files.sounding([850, 700], airTemperature=[280.0 + i, 270.0 + i]) | {"stationNumber": i}
        for i in range(1, 4)
    ]
    replications = files.temp(2)
    path = tmp_path / "x.bufr"
    path.write_bytes(files.bufr(files.TEMP, subsets, 2, compressed, replications))
    (granule,) = read([path], channels=["T850", "T700"])
    assert footprint_table.values_of(granule.footprints).tolist() == [
        [281, 271],
        [282, 272],
        [283, 273],
    ]
    assert granule.footprints["station"].to_pylist() == ["10001", "10002", "10003"]


def test_others_are_refused(tmp_path):
    path = tmp_path / "x.bufr"
    path.write_bytes(
        files.bufr(
            files.LAND,
            [files.land()],
            0,
            replications={"delayedDescriptorReplicationFactor": [0, 0]},
        )
    )
    (granule,) = read([path])
    assert (granule.reason, granule.count) == (Reason.PLATFORM, 1)
    with pytest.raises(ValueError, match="no channel T70; known: Z50"):
        read([path], channels=["T70"])


def test_real_soundings_keep_their_mandatory_levels():
    """420 real soundings have every value that ecCodes finds at a pressure of the state."""
    path = realdata("bufr/pdbufr_temp.bufr")
    (granule,) = read([path])
    found = granule.footprints.to_pandas().set_index("station")
    assert len(found) == granule.count == 420
    assert found["rejected"].value_counts().to_dict() == {Reason.USED: 417, Reason.MISSING: 3}
    compared = 0
    with open(path, "rb") as file:
        while (handle := eccodes.codes_bufr_new_from_file(file)) is not None:
            eccodes.codes_set(handle, "unpack", 1)
            if eccodes.codes_is_defined(handle, "pressure") and eccodes.codes_is_defined(
                handle, "airTemperature"
            ):
                compared += compare(handle, found)
            eccodes.codes_release(handle)
    assert compared > 10_000


def compare(handle, found):
    """Compare one sounding's values at levels of the state with its row.

    Return how many were equal.
    """
    names = [
        "pressure",
        "airTemperature",
        "nonCoordinateGeopotential",
        "windSpeed",
        "windDirection",
        "dewpointTemperature",
        "verticalSoundingSignificance",
    ]
    levels = int(eccodes.codes_get_double_array(handle, "delayedDescriptorReplicationFactor")[0])
    if levels == 0:
        return 0
    pressure, temperature, geopotential, speed, direction, dew_point, significance = (
        np.where(
            (column := eccodes.codes_get_double_array(handle, name)[:levels]) > -1e99,
            column,
            np.nan,
        )
        for name in names
    )
    block, number = (
        eccodes.codes_get_double(handle, name) for name in ("blockNumber", "stationNumber")
    )
    row = found.loc[f"{block:02.0f}{number:03.0f}"] if block > 0 else None
    if row is None or row.ndim > 1:
        return 0
    surface = pressure[np.nan_to_num(significance).astype(int) & 64 > 0]
    ground = surface.max() if len(surface) else pressure[np.isfinite(temperature)].max(initial=0)
    vapour = 100 * physics.saturation_over_water(dew_point)
    wanted = {
        "T": temperature,
        "Z": geopotential,
        "U": -speed * np.sin(np.deg2rad(direction)),
        "V": -speed * np.cos(np.deg2rad(direction)),
        "R": vapour / physics.saturation_vapour_pressure(temperature),
    }
    count = 0
    for name, column in wanted.items():
        for level in LEVELS:
            at = np.flatnonzero(
                (pressure == 100 * level) & np.isfinite(column) & (pressure <= ground)
            )
            if len(at):
                assert row[f"channel_{name}{level}"] == pytest.approx(
                    column[at[0]], rel=1e-5, abs=1e-3
                )
                count += 1
    return count


@pytest.mark.slow
def test_flipped_bits_cost_what_they_hit(tmp_path):
    """200 flips and cuts of eight real soundings.

    All stay accounted for, in their year and on the Earth.
    """
    source = tmp_path / "eight.bufr"
    source.write_bytes(
        b"".join(
            m.data
            for m in islice(bufr_messages.read_messages(realdata("bufr/pdbufr_temp.bufr")), 8)
        )
    )
    paths = files.spoiled(tmp_path, [source], 200)
    found = read(paths)
    accounted = files.accounted(found)
    assert all(
        accounted[path.name] >= 8 for path in paths if path.stat().st_size == source.stat().st_size
    )
    rows = files.used(found)
    assert len(rows) > 1_000
    assert rows["lat"].between(-90, 90).all()
    assert rows["lon"].between(-180, 180).all()
    assert rows["time"].dt.year.eq(2008).mean() > 0.99
