"""The first-guess check: what is left out, what is not, and that nothing else changes."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.config.first_guess import FirstGuess
from fuxiflow.grids import Grid
from fuxiflow.models.first_guess_check import FirstGuessCheck, band_by_cell
from fuxiflow.models.pillars import FootprintBatch
from fuxiflow.observations.biweight import BANDS
from tests.support import tiny

CHANNELS = [str(i + 1) for i in range(22)]
CELLS = tiny.GRID.nlat * tiny.GRID.nlon
KELVIN = 0.1  # the source's standard deviation is 10 K


def drawn(*shape, seed=0):
    """Random numbers of a shape."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def table(observation=3.0, background=4.0, bias=0.0):
    """Errors in K, alike in all channels and bands unless an array by band says otherwise."""
    rows = pd.DataFrame(
        [(tiny.SOURCE, channel, band) for channel in CHANNELS for band in BANDS],
        columns=["source", "channel", "band"],
    )
    number = rows["band"].map({band: i for i, band in enumerate(BANDS)}).to_numpy()
    for name, value in (
        ("observation_error", observation),
        ("background_error", background),
        ("bias", bias),
    ):
        rows[name] = np.broadcast_to(value, 3)[number]
    return rows


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Networks with random observation equivalents."""
    networks = tiny.networks(tiny.record(tmp_path_factory.mktemp("record"))).eval()
    encoder = networks.assimilator.branches[tiny.SOURCE].pillars
    encoder.equivalent.copy_(0.1 * drawn(*encoder.equivalent.shape, seed=8))
    encoder.modes.copy_(0.1 * drawn(*encoder.modes.shape, seed=9))
    return networks


GUESS = 0.3 * drawn(1, 3, 69, *tiny.GRID.shape, seed=13)


def observed(networks, kelvin, guess=GUESS):
    """Footprints, one in each cell, that lie ``kelvin (cell, channel)`` from the first guess."""
    footprints = FootprintBatch(
        torch.zeros(CELLS, dtype=torch.int64),
        torch.arange(CELLS) % 8,
        torch.arange(CELLS),
        torch.zeros(CELLS, 22),
        30 * torch.rand(CELLS, generator=torch.Generator().manual_seed(1)),
        torch.zeros(CELLS, 2),
    )
    encoder = networks.assimilator.branches[tiny.SOURCE].pillars
    equivalents = encoder.predictors(footprints, guess) @ encoder.equivalent.T
    footprints.values = equivalents + KELVIN * torch.as_tensor(kelvin, dtype=torch.float32)
    return footprints


def far(networks, kelvin, errors=None, **settings):
    check = FirstGuessCheck(networks, table() if errors is None else errors, FirstGuess(**settings))
    return check.far(tiny.SOURCE, observed(networks, kelvin), GUESS).numpy()


@given(seed=st.integers(0, 2**16), limit=st.floats(1, 8))
@settings(max_examples=30)
def test_what_is_farther_than_the_limit_is_left_out_and_no_more(networks, seed, limit):
    """Errors of 3 and 4 K make one of 5 K."""
    random = np.random.default_rng(seed)
    kelvin = random.normal(0, 5, (CELLS, 22))
    planted = random.random(kelvin.shape) < 0.02
    kelvin[planted] += random.choice([-1, 1], planted.sum()) * random.uniform(
        50, 500, planted.sum()
    )
    kelvin[random.random(kelvin.shape) < 0.1] = np.nan
    marks = far(networks, kelvin, limit=limit)
    distance = np.abs(kelvin)
    with np.errstate(invalid="ignore"):
        assert marks[distance > 5 * limit + 0.01].all()
        assert not marks[distance < 5 * limit - 0.01].any()
    assert not marks[np.isnan(kelvin)].any()


@pytest.mark.parametrize(
    ("errors", "factor", "inside"),
    [
        (table(), 2.0, (-42.7, 42.7)),
        (table(background=0.0), 1.0, (-15, 15)),
        (table(bias=10.0), 1.0, (-15, 35)),
    ],
)
def test_background_errors_count_by_their_factor_and_a_bias_is_expected(
    networks, errors, factor, inside
):
    for kelvin, expected in (
        (inside[0] + 0.1, False),
        (inside[1] - 0.1, False),
        (inside[0] - 0.1, True),
        (inside[1] + 0.1, True),
    ):
        marks = far(networks, np.full((CELLS, 22), kelvin), errors, error_factor=factor)
        assert (marks == expected).all(), kelvin


def test_bands_of_latitude_have_limits_of_their_own(networks):
    errors = table(observation=np.array([1.0, 2.0, 3.0]), background=0.0)
    marks = far(networks, np.full((CELLS, 22), 8.0), errors).all(1).reshape(tiny.GRID.shape)
    latitude = np.abs(Grid(*tiny.GRID.shape).lat)
    assert (marks == (latitude <= 30)[:, None]).all()
    assert band_by_cell(tiny.GRID).tolist() == np.repeat([2, 1, 1, 0, 0, 1, 1, 2], 16).tolist()


def test_an_extreme_that_the_first_guess_knows_of_is_kept(networks):
    extreme = GUESS + 20.0
    check = FirstGuessCheck(networks, table(), FirstGuess())
    footprints = observed(networks, np.zeros((CELLS, 22)), extreme)
    assert not check.far(tiny.SOURCE, footprints, extreme).any()
    assert check.far(tiny.SOURCE, footprints, GUESS).any()


def test_a_channel_without_errors_has_no_limit(networks):
    errors = table()
    errors.loc[errors["channel"] == "3", "observation_error"] = np.nan
    errors = errors[errors["channel"] != "4"]
    marks = far(networks, np.full((CELLS, 22), 1e4), errors)
    assert not marks[:, 2:4].any()
    assert marks[:, [0, 1, *range(4, 22)]].all()


def test_observations_within_the_limits_are_handed_on_as_they_are(networks):
    footprints = observed(networks, drawn(CELLS, 22))
    check = FirstGuessCheck(networks, table(), FirstGuess())
    kept, rejected = check.screen({tiny.SOURCE: footprints}, GUESS)
    assert kept[tiny.SOURCE] is footprints
    assert rejected == {}


def test_what_is_left_out_is_missing_and_counted(networks):
    kelvin = np.zeros((CELLS, 22))
    kelvin[[5, 6], 0] = 100.0
    kelvin[7, 4] = -100.0
    kelvin[9] = 100.0
    footprints = observed(networks, kelvin)
    footprints.values[10] = torch.nan
    kept, rejected = FirstGuessCheck(networks, table(), FirstGuess()).screen(
        {tiny.SOURCE: footprints}, GUESS
    )
    counts = dict.fromkeys(CHANNELS, 1) | {"1": 3, "5": 2}
    assert rejected == {tiny.SOURCE: counts}
    # a footprint that has lost all its values is none; one that never had any is left alone
    rows = torch.arange(CELLS) != 9
    expected = footprints.rows(rows)
    expected.values[[5, 6], 0] = expected.values[7, 4] = torch.nan
    for item in fields(FootprintBatch):
        torch.testing.assert_close(
            getattr(kept[tiny.SOURCE], item.name),
            getattr(expected, item.name),
            rtol=0,
            atol=0,
            equal_nan=True,
        )
    # what was given is as it was
    assert footprints.values[9].isfinite().all()


def test_a_source_of_which_nothing_is_left_is_absent(networks):
    check = FirstGuessCheck(networks, table(), FirstGuess())
    wrong = observed(networks, np.full((CELLS, 22), 100.0))
    kept, rejected = check.screen({tiny.SOURCE: wrong}, GUESS)
    assert kept == {}
    assert rejected == {tiny.SOURCE: dict.fromkeys(CHANNELS, CELLS)}


def test_a_source_that_was_not_fitted_is_said(networks):
    check = FirstGuessCheck(networks, table().assign(source="other"), FirstGuess())
    with pytest.raises(KeyError, match=r"no errors of departures of noaa20_atms; known: \[\]"):
        check.screen({tiny.SOURCE: observed(networks, np.zeros((CELLS, 22)))}, GUESS)
