"""3D-Var: its operators, its minimum against explicit matrices, its check and preconditioner."""

import pytest
import torch

from fuxiflow.config.linear_fits import VariationalFit
from fuxiflow.config.variational import Variational
from fuxiflow.models.error_covariances import SourceErrors
from fuxiflow.models.pillars import FootprintBatch, predictors
from fuxiflow.models.variational import Information, VariationalAnalysis
from tests.support import tiny
from tests.support.covariances import (
    CHANNELS,
    COLUMNS,
    ROWS,
    background_errors,
    covariance_matrix,
    drawn,
)

OBSERVED = 22
SIZE = VariationalFit(waves=3, vertical_modes=3, rows=ROWS, rank=6)
EXACT = Variational(
    fit=SIZE, error_factor=1.0, inflation=1.0, limit=1e6, iterations=400, tolerance=1e-6
)


def observation_errors() -> SourceErrors:
    """Correlated errors, other ones over land, with biases."""
    errors = SourceErrors(OBSERVED)
    for i in range(2):
        factor = drawn(OBSERVED, OBSERVED, seed=5 + i) / 8
        errors.covariance[i] = factor @ factor.T + 0.2 * torch.eye(OBSERVED)
    errors.bias.copy_(0.1 * drawn(2, OBSERVED, seed=7))
    return errors


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Networks with random observation equivalents, half of whose cells are land."""
    networks = tiny.networks(tiny.record(tmp_path_factory.mktemp("record"))).eval()
    encoder = networks.assimilator.branches[tiny.SOURCE].pillars
    encoder.equivalent.copy_(0.1 * drawn(*encoder.equivalent.shape, seed=8))
    encoder.modes.copy_(0.1 * drawn(*encoder.modes.shape, seed=9))
    encoder.surface[::2, 0] = 1.0
    return networks


def footprints(count=12, samples=1, missing=True) -> FootprintBatch:
    """Footprints in random cells and hours, some channels of which are missing."""
    generator = torch.Generator().manual_seed(11)
    values = drawn(count, OBSERVED, seed=12)
    if missing:
        values[torch.rand(values.shape, generator=generator) < 0.2] = torch.nan
    return FootprintBatch(
        torch.arange(count) % samples,
        torch.randint(0, 8, (count,), generator=generator),
        torch.randint(0, ROWS * COLUMNS, (count,), generator=generator),
        values,
        30 * torch.rand(count, generator=generator),
        torch.rand(count, 2, generator=generator) - 0.5,
    )


def analysis_of(settings=EXACT, errors=None) -> VariationalAnalysis:
    """3D-Var of the tiny record's source."""
    sources = {tiny.SOURCE: OBSERVED}
    analysis = VariationalAnalysis(
        CHANNELS, (ROWS, COLUMNS), sources, set(), settings.model_dump(mode="json")
    )
    analysis.background.load_state_dict(background_errors().state_dict())
    errors = errors or observation_errors()
    analysis.observation_errors[tiny.SOURCE].load_state_dict(errors.state_dict())
    return analysis


def first_guess(samples=1) -> torch.Tensor:
    """A random first guess."""
    return 0.3 * drawn(samples, 3, CHANNELS, ROWS, COLUMNS, seed=13)


def encoders_of(networks) -> dict:
    """Encoders by source."""
    return {tiny.SOURCE: networks.assimilator.branches[tiny.SOURCE].pillars}


def increment_of(networks, observations, settings=EXACT, guess=None, errors=None) -> torch.Tensor:
    """The increment of some observations."""
    guess = first_guess() if guess is None else guess
    return analysis_of(settings, errors).increment(guess, observations, encoders_of(networks))


def operator_matrix(encoder, observed: FootprintBatch, guess: torch.Tensor) -> torch.Tensor:
    """H as a matrix ``(n * channel, state)``: derivatives of the equivalents by each cell's column.

    A footprint's increment is that of its cell, whatever its place in it.
    """
    column = encoder.columns(observed, guess)

    def equivalents(column: torch.Tensor) -> torch.Tensor:
        surface = encoder.surface[observed.cell]
        x = predictors(column, observed.zenith, surface, encoder.modes)
        return x @ encoder.equivalent.T

    derivatives = torch.func.jacrev(lambda x: equivalents(x).sum(0))(column).transpose(0, 1)
    operator = torch.zeros(len(observed), OBSERVED, CHANNELS, ROWS * COLUMNS)
    for i, cell in enumerate(observed.cell):
        operator[i][:, encoder.seen, cell] = derivatives[i]
    return operator.flatten(2).flatten(0, 1).double()


def test_the_increment_is_the_best_linear_estimate(networks):
    """x = B H^T (H B H^T + R)^-1 d with explicit matrices, missing channels left out."""
    errors, observed, guess = observation_errors(), footprints(), first_guess()
    encoder = networks.assimilator.branches[tiny.SOURCE].pillars
    operator = operator_matrix(encoder, observed, guess)
    surface = (encoder.surface[observed.cell, 0] > 0.5).long()
    departures = observed.values - encoder.predictors(observed, guess) @ encoder.equivalent.T
    departures = (departures - errors.bias[surface]).flatten().double()
    noise = torch.block_diag(*errors.covariance[surface]).double()
    there = departures.isfinite()
    operator, departures, noise = operator[there], departures[there], noise[there][:, there]
    background = covariance_matrix(background_errors())
    gain = background @ operator.T
    expected = gain @ torch.linalg.solve(operator @ gain + noise, departures)
    increment = increment_of(networks, {tiny.SOURCE: observed}).flatten()
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(increment.double(), expected, atol=2e-3, rtol=1e-2)


def test_the_preconditioner_is_the_inverse_of_even_observations():
    """With the same information in each cell of a row one iteration is enough."""
    analysis = analysis_of(EXACT.model_copy(update={"iterations": 1}))
    factor = drawn(ROWS, 3, 3, seed=19)
    matrix = factor @ factor.mT
    information = Information(
        matrix.repeat_interleave(COLUMNS, 0), drawn(ROWS * COLUMNS, 3, seed=20)
    )
    analysis.set_preconditioner(matrix)
    once = analysis.minimise(information, 1)
    expected = analysis_of().minimise(information, 1)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(once, expected, atol=1e-3, rtol=1e-3)


def test_observations_that_agree_leave_a_perfect_guess(networks):
    encoder = networks.assimilator.branches[tiny.SOURCE].pillars
    observed, guess = footprints(), first_guess()
    observed.values = encoder.predictors(observed, guess) @ encoder.equivalent.T
    errors = observation_errors()
    errors.bias.zero_()
    increment = increment_of(networks, {tiny.SOURCE: observed}, guess=guess, errors=errors)
    torch.testing.assert_close(increment, torch.zeros_like(increment), atol=1e-5, rtol=0)


@pytest.mark.parametrize("observations", [{}, {tiny.SOURCE: footprints(count=0)}])
def test_no_observations_give_no_increment(networks, observations):
    assert not increment_of(networks, observations, guess=first_guess(samples=2)).any()


def test_samples_of_a_batch_do_not_meet(networks):
    observed, guess = footprints(samples=2), first_guess(samples=2)
    both = increment_of(networks, {tiny.SOURCE: observed}, guess=guess)
    for i in range(2):
        alone = observed.rows(observed.sample == i)
        alone.sample = torch.zeros_like(alone.sample)
        one = increment_of(networks, {tiny.SOURCE: alone}, guess=guess[i : i + 1])
        torch.testing.assert_close(both[i : i + 1], one, atol=1e-4, rtol=1e-4)


def test_gross_departures_are_left_out(networks):
    settings = EXACT.model_copy(update={"limit": 5.0})
    errors = observation_errors()
    errors.background.fill_(10.0)
    sound, gross = footprints(), footprints()
    gross.values[3, 4] = 1e4
    sound.values[3, 4] = torch.nan
    increments = [
        increment_of(networks, {tiny.SOURCE: one}, settings, errors=errors)
        for one in (sound, gross)
    ]
    assert torch.equal(*increments)


def test_channels_that_are_not_used_count_as_missing(networks):
    errors, observed = observation_errors(), footprints()
    errors.used[:, 5:] = False
    increment = increment_of(networks, {tiny.SOURCE: observed}, errors=errors)
    observed.values[:, 5:] = torch.nan
    assert torch.equal(increment, increment_of(networks, {tiny.SOURCE: observed}))


@pytest.mark.parametrize("change", [{"inflation": 100.0}, {"inflations": {tiny.SOURCE: 100.0}}])
def test_inflated_errors_draw_less(networks, change):
    observed = {tiny.SOURCE: footprints()}
    inflated = EXACT.model_copy(update=change)
    draw, less = (
        increment_of(networks, observed, settings).square().mean() for settings in (EXACT, inflated)
    )
    assert less < 0.2 * draw


def test_inflation_is_of_the_source_or_of_its_kind():
    settings = Variational(inflation=3.0, sparse_inflation=2.0, inflations={"gnssro": 7.0})
    assert settings.inflation_of("amsua", sparse=False) == 3
    assert settings.inflation_of("radiosondes", sparse=True) == 2
    assert settings.inflation_of("gnssro", sparse=True) == 7


def test_a_source_without_errors_is_refused(networks):
    with pytest.raises(KeyError, match=r"no errors of sources \['iasi'\]; known: \['noaa20_atms'"):
        increment_of(networks, {"iasi": footprints()})
