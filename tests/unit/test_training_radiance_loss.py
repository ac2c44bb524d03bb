"""The radiance loss: by the operator at the footprint's place, blind to a bias, to cloud and to
nothing seen.
"""

import numpy as np
import pytest
import torch
import yaml

from fuxiflow import ROOT
from fuxiflow.config import configuration
from fuxiflow.config.training import ObservationLoss
from fuxiflow.models.pillars import FootprintBatch
from fuxiflow.operators import columns
from fuxiflow.operators.microwave import MicrowaveOperator
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.statistics import Statistics
from fuxiflow.training import plans, samples
from fuxiflow.training.cycles import CycleObjective
from fuxiflow.training.losses import Points
from fuxiflow.training.radiance_loss import GROSS, RadianceLoss
from tests.support import tiny

SETTINGS = ObservationLoss(radiances=[tiny.SOURCE])
SPAN = (tiny.START, tiny.START + np.timedelta64(9, "D") + np.timedelta64(18, "h"))
CELLS = tiny.GRID.nlat * tiny.GRID.nlon
T500, T700 = 20, 22  # temperatures at 500 and 700 hPa among the channels of a state


@pytest.fixture
def loss(record, networks):
    return RadianceLoss(SETTINGS, networks, Statistics.read(record.statistics), {tiny.SOURCE: -1})


def everywhere(values, zenith=20.0):
    """Footprints at the centres of all cells, values (cell, channel) in K."""
    zeros = torch.zeros(CELLS, dtype=torch.int64)
    return FootprintBatch(
        zeros,
        zeros,
        torch.arange(CELLS),
        values,
        torch.full((CELLS,), zenith),
        torch.zeros(CELLS, 2),
    )


def state_of(networks, record, step=4):
    return networks.normaliser(torch.from_numpy(record.fields[step]))[None, :69]


def observed_of(loss, state):
    """What the state's own equivalents would be, measured everywhere."""
    blank = everywhere(torch.zeros(CELLS, 22))
    with torch.no_grad():
        return {tiny.SOURCE: everywhere(loss.equivalents(tiny.SOURCE, state, blank))}


def test_equivalents_are_those_of_the_operator(networks, record, loss):
    state = state_of(networks, record)
    found = observed_of(loss, state)[tiny.SOURCE].values
    operator = MicrowaveOperator.for_instrument("atms")
    cell = 3 * tiny.GRID.nlon + 5
    column = torch.from_numpy(record.fields[4][:69, 3, 5])[None]
    zero, latitude = torch.zeros(1), torch.tensor([tiny.GRID.lat[3]], dtype=torch.float32)
    expected = columns.brightness_temperatures_from_state(
        operator, column, networks.design.channels[:69], zero, zero, latitude, torch.tensor([20.0])
    )
    torch.testing.assert_close(found[cell], expected[0], atol=2e-2, rtol=0)


def test_a_perfect_state_costs_nothing_and_a_bias_neither(networks, record, loss):
    state = state_of(networks, record)
    observed = observed_of(loss, state)
    assert loss(state, observed).item() < 1e-4
    observed[tiny.SOURCE].values += torch.linspace(-2, 2, 22)
    assert loss(state, observed).item() < 1e-4


def test_one_warm_cell_by_hand(networks, record, loss):
    """Of N cells one departs by d: the mean is dA, its share of the area, and the mean distance 2 d
    A (1 - A).
    """
    state = state_of(networks, record)
    observed = observed_of(loss, state)
    row, d = 3, 2.0
    observed[tiny.SOURCE].values[row * tiny.GRID.nlon, 6] += (
        d * 10.0
    )  # standard deviation 10 K, scale 1
    weights = np.repeat(tiny.GRID.area_weights, tiny.GRID.nlon)
    share = weights[row * tiny.GRID.nlon] / weights.sum()
    assert loss(state, observed).item() == pytest.approx(2 * d * share * (1 - share) / 22, rel=1e-2)


def test_the_gradient_draws_the_column_under_the_footprint_to_what_was_seen(networks, record, loss):
    state = state_of(networks, record).requires_grad_()
    warmer = state.detach().clone()
    row, column = divmod(40, tiny.GRID.nlon)
    warmer[:, T500 - 7 : T500 + 6, row, column] += 0.2
    observed = observed_of(loss, warmer)
    value = loss(state, observed)
    value.backward()
    gradient = state.grad[0].flatten(1)
    assert gradient[T500, 40] < 0
    assert gradient[T700, 40] < 0
    others = torch.arange(CELLS) != 40
    assert gradient[T500, others].abs().max() < 0.05 * gradient[T500, 40].abs()
    assert loss(0.5 * (state.detach() + warmer), observed) < 0.6 * value


def test_gross_departures_and_missing_channels_are_left_out(networks, record, loss):
    state = state_of(networks, record)
    observed = observed_of(loss, state)
    observed[tiny.SOURCE].values[7, 0] -= 10.0 * (GROSS + 1)
    observed[tiny.SOURCE].values[9, 3] = np.nan
    observed[tiny.SOURCE].values[:, 12] = np.nan
    assert loss(state, observed).item() < 1e-4


def test_nothing_seen_costs_nothing(networks, record, loss):
    state = state_of(networks, record).requires_grad_()
    nothing = {
        tiny.SOURCE: everywhere(torch.zeros(CELLS, 22)).rows(torch.zeros(0, dtype=torch.int64))
    }
    found = loss(state, nothing)
    (found + 0 * state.sum()).backward()
    assert found.item() == 0


def test_footprints_are_thinned_evenly(networks, record):
    few = ObservationLoss(radiances=[tiny.SOURCE], radiance_footprints=3)
    thin = RadianceLoss(few, networks, Statistics.read(record.statistics), {tiny.SOURCE: -1})
    seen = []
    thin._source = lambda name, state, found: seen.append(found.cell.tolist()) or state.sum()
    thin(torch.zeros(1, 69, *tiny.GRID.shape), {tiny.SOURCE: everywhere(torch.zeros(CELLS, 22))})
    assert seen == [[0, 64, 127]]


def test_channels_must_be_those_of_the_operator(record, networks):
    networks.design.sources[tiny.SOURCE].channels[0] = "23.8H"
    with pytest.raises(ValueError, match=r"channels 23\.8H, 2, .* the operator of atms 1, 2"):
        RadianceLoss(SETTINGS, networks, Statistics.read(record.statistics), {tiny.SOURCE: -1})


def test_cycles_are_drawn_towards_radiances(record, networks):
    archive = samples.Archive(
        record.states, {tiny.SOURCE: record.grids}, Climatology.read(record.climatology)
    )
    request = samples.Request(tiny.times(40)[12], lead=1, cycles=2)
    settings = ObservationLoss(radiances=[tiny.SOURCE], radiance_weight=0.5)
    points = Points({tiny.SOURCE: record.grids}, settings, networks, SPAN)
    radiances = RadianceLoss(
        settings, networks, Statistics.read(record.statistics), points.first_hours
    )
    terms = {}
    for given in (None, radiances):
        batches = samples.Batches(
            archive,
            lambda step: [request],
            networks.design.sources,
            networks.standardise,
            points=points if given else None,
        )
        objective = CycleObjective(
            networks,
            plans.Unrolling(2, background_weight=1.0),
            points=points if given else None,
            radiances=given,
        )
        terms[given] = tiny.terms(objective, batches[0])
    found = terms[radiances]
    seen = found["radiance_analysis"] + found["radiance_background"]
    assert seen > 0
    assert "observed_analysis" not in found
    assert found["loss"].item() == pytest.approx(
        (terms[None]["loss"] + 0.5 * seen).item(), rel=1e-5
    )
    found["radiance_analysis"].backward()
    assert all(torch.isfinite(p.grad).all() for p in networks.parameters() if p.grad is not None)
    assert any(
        p.grad is not None and p.grad.abs().sum() > 0 for p in networks.assimilator.parameters()
    )


@pytest.mark.parametrize(
    ("radiances", "message"),
    [
        (["noaa21_atms"], r"observation_loss\.radiances: .*noaa21_atms"),
        (
            ["land_stations"],
            r"observation_loss\.radiances: there is no observation operator for land_stations",
        ),
    ],
)
def test_the_configuration_names_what_has_no_operator(radiances, message):
    values = yaml.safe_load((ROOT / "config" / "test.yaml").read_text())
    values["experiments"]["full"] = {
        "sources": ["noaa20_atms", "land_stations"],
        "training": {"joint": {"observation_loss": {"radiances": radiances}}},
    }
    with pytest.raises(ValueError, match=message):
        configuration.validate_configuration(values)
