"""The builder of the committed tables."""

import numpy as np
import pytest
import torch

from fuxiflow.cli import main
from fuxiflow.config import sources
from fuxiflow.operators import gas_absorption, table_builder
from fuxiflow.operators.microwave import DIRECTORY, MicrowaveOperator, OperatorTable, features
from fuxiflow.operators.pass_bands import pass_bands
from fuxiflow.physics import saturation_vapour_pressure


def test_levels_span_the_atmosphere():
    pressure = table_builder.table_levels()
    assert pressure[0] == pytest.approx(0.01)
    assert pressure[-1] == pytest.approx(1085.0)
    assert (np.diff(pressure) > 0).all()


def test_fit_reproduces_absorption_between_its_nodes():
    gas_absorption.use_absorption_model()
    pressure = np.array([100.0, 850.0])
    frequency = np.array([54.4, 183.0])
    coefficients, errors = table_builder.fit_absorption(pressure, frequency)
    assert coefficients.shape == (2, 12, 2)
    assert errors.max() < 0.01
    t, e = 281.0, 0.6 * float(saturation_vapour_pressure(281.0))
    centre, half = table_builder.temperature_box(pressure)
    x, y = (t - centre[1]) / half[1], e / 20.0
    design = np.array(
        [1, x, x**2, x**3, x**4, y, y * x, y * x**2, y * x**3, y**2, y**2 * x, y**2 * x**2]
    )
    np.testing.assert_allclose(
        design @ coefficients[1], gas_absorption.air_absorption(850.0, t, e, frequency), rtol=2e-3
    )


def test_choose_finds_the_nodes_that_matter():
    rng = np.random.default_rng(0)
    nodes = 250.0 + 10.0 * rng.standard_normal((40, 5))
    selection, weights = table_builder.choose_nodes(nodes, 0.25 * nodes[:, 1] + 0.75 * nodes[:, 4])
    assert sorted(selection) == [1, 4]
    np.testing.assert_allclose(dict(zip(selection, weights, strict=True))[4], 0.75, atol=1e-3)


def test_choose_takes_more_nodes_for_a_hard_channel():
    nodes = 250.0 + 10.0 * np.random.default_rng(0).standard_normal((60, 5))
    selection, weights = table_builder.choose_nodes(nodes, nodes.mean(axis=1))
    assert sorted(selection) == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(weights, 0.2, atol=1e-3)


def test_unused_coefficients_are_zero():
    kept = table_builder.without_unused(np.ones((5, 12, 3)), [(0, 2, 1, 4), (2, 3, 0, 2)])
    assert kept[0, :, :2].sum() == kept[3:, :, 2].sum() == 0
    assert kept.sum() == 12 * (2 * 4 + 3)


@pytest.mark.parametrize("instrument", sorted(table_builder.SOURCES))
def test_committed_tables_have_the_channels_of_their_source(instrument):
    operator = MicrowaveOperator.for_instrument(instrument)
    source = sources.load_source(table_builder.SOURCES[instrument])
    assert operator.channels == [channel.name for channel in source.channels]
    assert operator.conical == (instrument == "ssmis")
    torch.testing.assert_close(operator.weights.sum(dim=0), torch.ones(len(source.channels)))
    # the nodes' mean is near the channel's centre: at most the width of a side band away
    for name, band in zip(operator.channels, pass_bands(instrument, source.channels), strict=True):
        node = operator.weights[:, operator.channels.index(name)] > 0
        distance = (operator.frequency[node, None] - torch.tensor(band.centres)).abs().amin(dim=1)
        assert (distance < 0.5 * band.width + 1e-4).all()


def test_group_keeps_every_node_once_and_covers_its_span():
    span = np.array([[10, 89], [0, 50], [12, 89], [30, 89], [2, 52], [31, 89]])
    order, groups = table_builder.group_nodes(span, bottom=89)
    assert sorted(order) == list(range(6))
    assert len(groups) == table_builder.MOST_GROUPS
    assert groups[0][0] == 0
    assert groups[-1][1] == 6
    for first, end, top, last in groups:
        members = span[order[first:end]]
        assert members[:, 0].min() == top
        assert members[:, 1].max() == last


def test_ensemble_is_physical_and_repeatable():
    pressure = table_builder.table_levels()
    one, two = (
        table_builder.random_atmospheres(pressure, 50),
        table_builder.random_atmospheres(pressure, 50),
    )
    np.testing.assert_array_equal(one["temperature"], two["temperature"])
    assert 150 < one["temperature"].min() < one["temperature"].max() < 340
    assert (one["specific_humidity"] > 0).all()
    assert (one["secant"] >= 1).all()


def test_unknown_instrument_is_refused(capsys):
    assert main(["build-operators", "amsr2"]) == 1
    assert "'amsr2', allowed: amsua, atms" in capsys.readouterr().err


@pytest.mark.parametrize("instrument", sorted(table_builder.SOURCES))
def test_a_part_of_each_table_is_rebuilt(instrument):
    gas_absorption.use_absorption_model()
    table = OperatorTable.read(DIRECTORY / f"{instrument}.npz")
    level, (first, _, top, last) = 70, table.groups[0]
    assert top < level < last
    nodes = slice(first, first + 3)
    pressure = table_builder.table_levels(len(table.pressure))[[level]]
    np.testing.assert_allclose(table.pressure[level], pressure, rtol=1e-6)
    rebuilt, _ = table_builder.fit_absorption(pressure, table.frequency[nodes])
    centre, half = (torch.as_tensor(v) for v in table_builder.temperature_box(pressure))
    temperature = centre + half * torch.linspace(-0.6, 0.6, 5, dtype=torch.float64)
    design = features(
        temperature, 0.01 * saturation_vapour_pressure(temperature), centre, half
    ).numpy()
    np.testing.assert_allclose(
        design @ table.coefficients[level][:, nodes], design @ rebuilt[0], rtol=1e-4
    )


@pytest.mark.slow
def test_committed_table_is_what_the_builder_makes():
    committed, built = (
        OperatorTable.read(DIRECTORY / "atms.npz"),
        table_builder.build_table("atms", report=lambda line: None),
    )
    np.testing.assert_allclose(committed.pressure, built.pressure, rtol=1e-6)
    np.testing.assert_allclose(committed.weights.sum(axis=0), 1.0)
    # another machine's rounding may choose between nodes of equal merit, with the same brightness
    # temperatures
    made = {
        k: torch.as_tensor(v)
        for k, v in table_builder.random_atmospheres(built.pressure, 20, seed=5).items()
    }
    one, other = (MicrowaveOperator(table, torch.float64)(**made) for table in (committed, built))
    assert (one - other).abs().max() < 0.1


def test_another_absorption_model_is_fitted_at_the_same_nodes():
    table = OperatorTable.read(DIRECTORY / "mhs.npz")
    same = table_builder.refitted_table(DIRECTORY / "mhs.npz", "R19")
    np.testing.assert_allclose(same.coefficients, table.coefficients, rtol=1e-4, atol=1e-7)
    other = table_builder.refitted_table(DIRECTORY / "mhs.npz", "R20")
    np.testing.assert_array_equal(other.frequency, table.frequency)
    np.testing.assert_array_equal(other.weights, table.weights)
    committed = OperatorTable.read(DIRECTORY / "R20" / "mhs.npz")
    np.testing.assert_allclose(other.coefficients, committed.coefficients, rtol=1e-4, atol=1e-7)
    # what is fitted next is of the assimilation's model again
    again = table_builder.refitted_table(DIRECTORY / "mhs.npz", "R19")
    np.testing.assert_array_equal(again.coefficients, same.coefficients)


def test_the_absorption_models_differ_by_tenths_of_a_kelvin():
    ours, other = (
        MicrowaveOperator(OperatorTable.read(path / "amsua.npz"))
        for path in (DIRECTORY, DIRECTORY / "R20")
    )
    atmospheres = table_builder.random_atmospheres(ours.pressure.numpy().astype(float), 40)
    columns = {name: torch.as_tensor(field).float() for name, field in atmospheres.items()}
    with torch.no_grad():
        difference = (other(**columns) - ours(**columns)).abs().amax(dim=0)
    assert 0.05 < difference.max() < 2.0
