"""3D-Var: its operators, its minimum against explicit matrices, its check, and its file."""

import numpy as np
import pytest
import torch

from fuxiflow.config.variational import Variational
from fuxiflow.models import variational
from fuxiflow.models.pillars import FootprintBatch, states_by_cell
from fuxiflow.models.variational import BackgroundErrors, SourceErrors, VariationalAssimilator
from fuxiflow.storage.checksums import DamagedError
from tests.support import tiny

CHANNELS, ROWS, COLUMNS, OBSERVED = 69, 8, 16, 22
EXACT = Variational(error_factor=1.0, inflation=1.0, limit=1e6, iterations=400, tolerance=1e-7)
TIME = np.array(["2022-01-03"], "datetime64[ns]")


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random numbers of a shape."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def background_errors(waves=3, modes=3, rank=6) -> BackgroundErrors:
    """A B of random roots."""
    size = {"waves": waves, "vertical_modes": modes, "rows": ROWS, "rank": rank}
    layer = BackgroundErrors(CHANNELS, (ROWS, COLUMNS), **size)
    layer.scale.copy_(drawn(CHANNELS, ROWS, COLUMNS, seed=1).abs() + 0.5)
    layer.vertical.copy_(torch.linalg.qr(drawn(CHANNELS, CHANNELS, seed=2)).Q[:, :modes])
    root = drawn(waves + 1, ROWS * modes, rank, 2, seed=3) / 4
    for wave in range(waves + 1):
        if layer.is_real[wave]:
            root[wave, ..., 1] = 0
        layer.set_root(wave, torch.view_as_complex(root[wave]))
    return layer


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


def assimilator(networks, settings=EXACT, errors=None) -> VariationalAssimilator:
    """3D-Var of the tiny record's source."""
    errors = {tiny.SOURCE: errors or observation_errors()}
    return VariationalAssimilator(networks, background_errors(), errors, settings)


def first_guess(samples=1) -> torch.Tensor:
    """A random first guess."""
    return 0.3 * drawn(samples, 3, CHANNELS, ROWS, COLUMNS, seed=13)


def analysed(networks, observations, settings=EXACT, guess=None, errors=None) -> torch.Tensor:
    """The analysis of some observations."""
    guess = first_guess() if guess is None else guess
    with torch.inference_mode():
        return assimilator(networks, settings, errors).analyse(guess, None, observations, TIME)


def covariance_matrix(layer: BackgroundErrors) -> torch.Tensor:
    """B as a matrix, ``(state, state)``, from the states of each part of the control by itself."""
    shape = (layer.waves + 1, layer.rank)
    columns = []
    for part in (1, 1j):
        units = torch.zeros(*shape, layer.waves + 1, layer.rank, dtype=torch.complex64)
        for wave in range(layer.waves + 1):
            if part == 1 or not layer.is_real[wave]:
                units[wave, :, wave, :] = part * torch.eye(layer.rank)
        columns.append(layer.states(units.flatten(2)).flatten(1))
    root = torch.cat(columns).double()
    return root.T @ root


def operator_matrix(encoder, observed: FootprintBatch, guess: torch.Tensor) -> torch.Tensor:
    """H as a matrix ``(n * channel, state)``, by differentiating the equivalents."""

    def equivalents(increment: torch.Tensor) -> torch.Tensor:
        states = guess + increment.view(1, 1, CHANNELS, ROWS, COLUMNS)
        return (encoder.predictors(observed, states) @ encoder.equivalent.T).flatten()

    zero = torch.zeros(CHANNELS * ROWS * COLUMNS)
    return torch.func.jacrev(equivalents)(zero).double()


def test_the_analysis_is_the_best_linear_estimate(networks):
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
    increment = (analysed(networks, {tiny.SOURCE: observed}) - guess[:, 1]).flatten()
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(increment.double(), expected, atol=2e-3, rtol=1e-2)


def test_the_operator_and_its_adjoint_have_the_same_inner_products(networks):
    encoder = networks.assimilator.branches[tiny.SOURCE].pillars
    term = variational.linearise(encoder, footprints(missing=False), first_guess())
    states = drawn(1, CHANNELS, ROWS, COLUMNS, seed=14)
    values = drawn(12, OBSERVED, seed=15)
    total = torch.zeros(ROWS * COLUMNS, CHANNELS)
    term.add_adjoint(values, total)
    torch.testing.assert_close(
        (term.equivalents(states) * values).sum(),
        (total * states_by_cell(states)[0]).sum(),
        rtol=1e-4,
        atol=1e-4,
    )


def test_states_drawn_have_the_covariance():
    layer = background_errors(waves=2, modes=1, rank=2)
    states = layer.draw(20000, torch.Generator().manual_seed(0)).flatten(1)
    sampled = (states.T[:60] @ states[:, :60]).double() / len(states)
    expected = covariance_matrix(layer)[:60, :60]
    torch.testing.assert_close(sampled, expected, atol=0.05 * expected.abs().max(), rtol=0)


def test_observations_that_agree_leave_a_perfect_guess(networks):
    encoder = networks.assimilator.branches[tiny.SOURCE].pillars
    observed, guess = footprints(), first_guess()
    observed.values = encoder.predictors(observed, guess) @ encoder.equivalent.T
    errors = observation_errors()
    errors.bias.zero_()
    analysis = analysed(networks, {tiny.SOURCE: observed}, guess=guess, errors=errors)
    torch.testing.assert_close(analysis, guess[:, 1])


@pytest.mark.parametrize("observations", [{}, {tiny.SOURCE: footprints(count=0)}])
def test_no_observations_give_the_background(networks, observations):
    guess = first_guess(samples=2)
    assert torch.equal(analysed(networks, observations, guess=guess), guess[:, 1])


def test_samples_of_a_batch_do_not_meet(networks):
    observed, guess = footprints(samples=2), first_guess(samples=2)
    both = analysed(networks, {tiny.SOURCE: observed}, guess=guess)
    for i in range(2):
        alone = observed.rows(observed.sample == i)
        alone.sample = torch.zeros_like(alone.sample)
        one = analysed(networks, {tiny.SOURCE: alone}, guess=guess[i : i + 1])
        torch.testing.assert_close(both[i : i + 1], one, atol=1e-4, rtol=1e-4)


def test_gross_departures_are_left_out(networks):
    settings = EXACT.model_copy(update={"limit": 5.0})
    errors = observation_errors()
    errors.background.fill_(10.0)
    sound, gross = footprints(), footprints()
    gross.values[3, 4] = 1e4
    sound.values[3, 4] = torch.nan
    analyses = [
        analysed(networks, {tiny.SOURCE: one}, settings, errors=errors) for one in (sound, gross)
    ]
    assert torch.equal(*analyses)


def test_channels_that_are_not_used_count_as_missing(networks):
    errors, observed = observation_errors(), footprints()
    errors.used[:, 5:] = False
    analysis = analysed(networks, {tiny.SOURCE: observed}, errors=errors)
    observed.values[:, 5:] = torch.nan
    assert torch.equal(analysis, analysed(networks, {tiny.SOURCE: observed}))


@pytest.mark.parametrize("change", [{"inflation": 100.0}, {"inflations": {tiny.SOURCE: 100.0}}])
def test_inflated_errors_draw_less(networks, change):
    observed, guess = {tiny.SOURCE: footprints()}, first_guess()
    inflated = EXACT.model_copy(update=change)
    draw, less = (
        (analysed(networks, observed, settings) - guess[:, 1]).square().mean()
        for settings in (EXACT, inflated)
    )
    assert less < 0.2 * draw


def test_inflation_is_of_the_source_or_of_its_kind():
    settings = Variational(inflation=3.0, sparse_inflation=2.0, inflations={"gnssro": 7.0})
    assert settings.inflation_of("amsua", sparse=False) == 3
    assert settings.inflation_of("radiosondes", sparse=True) == 2
    assert settings.inflation_of("gnssro", sparse=True) == 7


def test_a_source_without_errors_is_refused(networks):
    with pytest.raises(KeyError, match=r"no errors of sources \['iasi'\]; known: \['noaa20_atms'"):
        analysed(networks, {"iasi": footprints()})


def test_a_file_gives_the_same_analyses_and_damage_is_seen(networks, tmp_path):
    path, observed = tmp_path / "variational.pt", {tiny.SOURCE: footprints()}
    variational.save_variational(path, background_errors(), {tiny.SOURCE: observation_errors()})
    again = variational.load_variational(path, networks, EXACT)
    guess = first_guess()
    assert torch.equal(again.analyse(guess, None, observed, TIME), analysed(networks, observed))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"variational\.pt"):
        variational.load_variational(path, networks, EXACT)
