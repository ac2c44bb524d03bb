"""Vectorised absorption and pass-bands against pyrtlib and by hand."""

import numpy as np
import pytest

from fuxiflow.config import sources
from fuxiflow.operators import gas_absorption
from fuxiflow.operators.pass_bands import pass_bands, quadrature, side_bands
from fuxiflow.operators.table_builder import SOURCES


@pytest.fixture(autouse=True)
def _model():
    gas_absorption.use_absorption_model()


@pytest.mark.parametrize("model", ["R19", "R20"])
@pytest.mark.parametrize("frequency", [23.8, 54.4, 57.6125, 88.2, 183.3])
def test_absorption_equals_pyrtlib(frequency, model):
    from pyrtlib.rt_equation import RTEquation

    gas_absorption.use_absorption_model(model)
    rng = np.random.default_rng(0)
    p = np.exp(rng.uniform(np.log(0.05), np.log(1050.0), 12))
    t, e = rng.uniform(190.0, 300.0, 12), rng.uniform(0.0, 0.03, 12) * p
    wet, dry = RTEquation.clearsky_absorption(p, t, e, frequency, None, None)
    np.testing.assert_allclose(
        gas_absorption.air_absorption(p, t, e, frequency), wet + dry, rtol=1e-12
    )


def test_absorption_broadcasts():
    grid = gas_absorption.air_absorption(
        np.array([[500.0], [900.0]]), 270.0, 2.0, np.array([50.3, 54.4, 183.0])
    )
    assert grid.shape == (2, 3)
    assert grid[1, 2] == pytest.approx(
        float(gas_absorption.air_absorption(900.0, 270.0, 2.0, 183.0))
    )


def test_reference_profiles_are_the_published_ones():
    t, q = gas_absorption.afgl_profiles(np.array([1013.0, 0.01]))
    # tropical and subarctic winter surface temperatures of AFGL-TR-86-0110
    assert t[0, 0] == pytest.approx(299.7, abs=0.2)
    assert t[4, 0] == pytest.approx(257.2, abs=0.5)
    assert t.shape == q.shape == (6, 2)
    assert q[0, 0] > q[4, 0] > 0


def test_side_bands():
    assert side_bands("89.0") == (89.0,)
    np.testing.assert_allclose(side_bands("10+-2+-0.5"), [7.5, 8.5, 11.5, 12.5])


def test_quadrature_averages_over_the_bands():
    bands = pass_bands("atms", sources.load_source("noaa20_atms").channels)
    frequency, weights = quadrature(bands, 3)
    assert weights.shape == (3 * 41, 22)
    np.testing.assert_allclose(weights.sum(axis=0), 1.0)
    np.testing.assert_allclose(weights.T @ frequency, [band.frequency for band in bands])
    # the mean of (f - centre)^2 over a box of width w is w^2/12
    assert weights[:, 0] @ (frequency - 23.8) ** 2 == pytest.approx(0.27**2 / 12)


def test_a_band_on_a_line_has_more_nodes():
    bands = pass_bands("ssmis", sources.load_source("ssmis").channels)
    weights = quadrature(bands, 3)[1]
    counts = dict(zip([band.name for band in bands], (weights > 0).sum(axis=0), strict=True))
    # 63.283248 +- 0.285271 GHz are oxygen lines, two bands of five times three nodes; the next are
    # four bands beside
    assert counts["19"] == counts["20"] == 30
    assert counts["21"] == 12
    np.testing.assert_allclose(weights.sum(axis=0), 1.0)


@pytest.mark.parametrize(
    ("instrument", "channels"),
    [(i, len(sources.load_source(s).channels)) for i, s in SOURCES.items()],
)
def test_every_channel_of_a_source_has_a_pass_band(instrument, channels):
    bands = pass_bands(instrument, sources.load_source(SOURCES[instrument]).channels)
    assert len(bands) == channels
    assert all(0.0 < band.width < 3.1 for band in bands)
    for band in bands:
        # side bands do not overlap
        gaps = np.diff(sorted(band.centres))
        assert (gaps >= band.width - 1e-6).all(), band


def test_unsaid_side_bands_of_amsua_89_ghz():
    band = pass_bands("amsua", sources.load_source("amsua").channels)[-1]
    assert band.centres == (88.0, 90.0)
    assert band.width == 1.0


def test_unknown_instrument_and_channel_are_named():
    channels = sources.load_source("noaa20_atms").channels
    with pytest.raises(KeyError, match="known: atms"):
        pass_bands("amsr2", channels)
    odd = channels[0].model_copy(update={"frequency": "36.5"})
    with pytest.raises(KeyError, match=r"no channel at 36\.5 GHz"):
        pass_bands("atms", [odd])
