"""Occultations: where they are, what they see, and the files that the project's reader opens."""

from datetime import date, datetime

import netCDF4
import numpy as np
import pytest
import torch

from fuxiflow import physics
from fuxiflow.channels import PRESSURE_LEVELS
from fuxiflow.config import sources
from fuxiflow.config import world as settings
from fuxiflow.observations import footprint_table, readers
from fuxiflow.operators import radio_occultation
from fuxiflow.world import occultations
from fuxiflow.world.truth import Truth
from fuxiflow.world.windows import TruthWindows
from fuxiflow.world.writers import occultation_netcdf
from tests.support.world_truth import write_truth

SOURCE = sources.load_source("gnssro")
DAY = date(2022, 7, 1)
OPTIONS = settings.ObservedOccultations(daily=30, spacing_metres=200, noise=0.0)


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    store = write_truth(tmp_path_factory.mktemp("truth") / "2022-07.zarr", datetime(2022, 7, 1), 9)
    return TruthWindows(Truth([store]), occultations.VARIABLES)


def platform(name):
    return next(platform for platform in SOURCE.flown if platform.name == name)


def test_great_circles_by_hand():
    one = np.array([0.0]), np.array([0.0])
    for azimuth, expected in (
        (0.0, (30.0, 0.0)),
        (90.0, (0.0, 30.0)),
        (180.0, (-30.0, 0.0)),
        (270.0, (0.0, -30.0)),
    ):
        result = occultations.destination(*one, np.array([azimuth]), np.array([30.0]))
        np.testing.assert_allclose(np.ravel(result), expected, atol=1e-9)
        assert occultations.bearing(*one, *result)[0] == pytest.approx(azimuth % 360.0, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "reach", "arc"), [("COSMIC-2", 45.0, 22.9), ("Metop-B", 90.0, 27.9)]
)
def test_occultations_are_at_the_limb_of_their_receiver(name, reach, arc):
    time = np.datetime64("2022-07-01", "ns") + (np.arange(300) * 288).astype("timedelta64[s]")
    lat, lon, azimuth = occultations.occultation_places(
        platform(name), time, np.random.default_rng(0)
    )
    below = occultations.track(name, platform(name).orbit, time)
    far = physics.great_circle(lat, lon, *below[:2]) / physics.EARTH_RADIUS
    np.testing.assert_allclose(np.degrees(far), arc, atol=1.0)
    assert np.abs(lat).max() < reach
    assert np.abs(lat).max() > 0.85 * reach
    assert ((azimuth >= 0) & (azimuth < 360)).all()


def test_files_are_read_back_and_agree_with_the_operator(truth, tmp_path):
    """The operator makes heights of the truth's columns by thin hypsometric layers."""
    seen = occultations.observe_occultations(SOURCE, platform("Metop-C"), truth, DAY, OPTIONS, 1)
    path = occultation_netcdf.write_occultations(tmp_path / "day.nc", seen, ["Metop-C"] * len(seen))
    granules = list(
        readers.read(SOURCE.reader, [path], SOURCE.platform_names, SOURCE.channel_names)
    )
    assert [granule.reason for granule in granules] == [granules[0].reason]
    written = granules[0].footprints
    assert set(written["platform"].to_pylist()) == {"Metop-C"}
    assert not footprint_table.column_values(written, "rejected").any()
    np.testing.assert_allclose(footprint_table.column_values(written, "lat"), seen.lat, atol=1e-4)
    np.testing.assert_allclose(
        footprint_table.column_values(written, "azimuth"), seen.azimuth, atol=1e-3
    )
    assert (
        np.abs(footprint_table.column_values(written, "time") - seen.time)
        <= np.timedelta64(1, "ms")
    ).all()
    window = truth.window(datetime(2022, 7, 1), datetime(2022, 7, 2))
    here = window.values(seen.lat, seen.lon, seen.time)
    columns = [
        torch.from_numpy(np.stack([here[f"{name}{level}"] for level in PRESSURE_LEVELS], axis=1))
        for name in ("T", "log_q", "Z")
    ]
    profile, height = radio_occultation.refractivity_column(
        columns[0], columns[1].exp(), columns[2], torch.from_numpy(seen.lat)
    )
    target = torch.tensor([channel.height for channel in SOURCE.channels], dtype=torch.float64)
    expected = radio_occultation.refractivity_at_heights(profile, height, target).numpy()
    values = footprint_table.values_of(written)
    # near the ground they differ in the air's temperature
    both = np.isfinite(values) & np.isfinite(expected) & (target.numpy() > 2000.0)
    assert both.sum() > 4000
    # the truth for tests is not in hydrostatic balance: heights between its levels differ by tens
    # of metres
    assert np.abs(values[both] / expected[both] - 1.0).max() < 0.02
    assert np.abs(values[both] / expected[both] - 1.0).mean() < 0.004


def test_refractivity_of_an_isothermal_dry_column_is_exponential():
    scale = physics.GAS_CONSTANT_DRY * 250.0 / physics.GRAVITY
    column = {
        "surface_pressure": 1000.5,
        "T2M": 250.0,
        "surface_geopotential": physics.GRAVITY * scale * np.log(1013.0 / 1000.5),
    }
    for level in PRESSURE_LEVELS:
        geopotential = physics.GRAVITY * scale * np.log(1013.0 / level)
        column |= {f"T{level}": 250.0, f"log_q{level}": -30.0, f"Z{level}": geopotential}
    height = np.array([500.0, 5000.0, 15_000.0])
    seen_values = occultations.refractivity_profile(column, 45.0, height)
    normal = radio_occultation.geometric_height(
        torch.tensor([9.80665 * 5000.0]), torch.tensor([45.0])
    ).item()
    rate = 5000.0 / normal
    expected = 77.6 * 1013.0 * np.exp(-height * rate / scale) / 250.0
    np.testing.assert_allclose(seen_values, expected, rtol=6e-3)
    assert np.isnan(occultations.refractivity_profile(column, 45.0, np.array([0.0]))).all()


def test_errors_have_the_shares_stated():
    height = np.arange(0.0, 50_001.0, 250.0)
    errors = occultations.relative_errors(height, 4000, np.random.default_rng(1))
    np.testing.assert_allclose(
        errors.std(axis=0)[[0, 32, 120, 200]], occultations.ERROR_SHARES, rtol=0.06
    )
    # half a kilometre apart they are alike, two kilometres apart not
    correlation = np.corrcoef(errors[:, [60, 62, 68]].T)
    assert correlation[0, 1] > 0.5
    assert abs(correlation[0, 2]) < 0.1


def test_bytes_repeat_and_days_are_independent(truth, tmp_path):
    options = OPTIONS.model_copy(update={"noise": 1.0})
    paths = []
    for name in ("a.nc", "b.nc"):
        other = occultations.observe_occultations(
            SOURCE, platform("COSMIC-2"), truth, date(2022, 7, 2), options, 5
        )
        paths.append(
            occultation_netcdf.write_occultations(tmp_path / name, other, ["COSMIC-2"] * len(other))
        )
        occultations.observe_occultations(SOURCE, platform("COSMIC-2"), truth, DAY, options, 5)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with netCDF4.Dataset(paths[0]) as file:
        assert "synthetic" in file.title


def test_periods_and_unknown_receivers(truth, tmp_path):
    assert (
        occultations.observe_occultations(
            SOURCE,
            platform("FY-3E"),
            truth,
            DAY,
            OPTIONS.model_copy(update={"start": date(2022, 7, 2)}),
            1,
        )
        is None
    )
    assert (
        occultations.observe_occultations(
            SOURCE, platform("FY-3E"), truth, date(2022, 7, 3), OPTIONS, 1
        )
        is None
    )
    seen = occultations.observe_occultations(SOURCE, platform("FY-3E"), truth, DAY, OPTIONS, 1)
    with pytest.raises(KeyError, match="known: COSMIC-2"):
        occultation_netcdf.write_occultations(tmp_path / "x.nc", seen, ["Aqua"] * len(seen))
