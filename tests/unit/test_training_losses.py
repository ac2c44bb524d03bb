"""L_obs: by hand, at the place of the point, without what is missing, and from the training period
alone.
"""

import numpy as np
import pytest
import torch

from fuxiflow.channels import channel_table
from fuxiflow.config import sources
from fuxiflow.config.training import ObservationLoss
from fuxiflow.models.pillars import FootprintBatch
from fuxiflow.observations.sparse_grids import SparseWriter
from fuxiflow.states.climatology import Climatology
from fuxiflow.training import plans, samples
from fuxiflow.training.cycles import CycleObjective
from fuxiflow.training.losses import PointLoss, Points, shared_channels
from tests.support import tiny

SPAN = (tiny.START, tiny.START + np.timedelta64(9, "D") + np.timedelta64(18, "h"))
STATIONS = ["T2M", "R2M", "U10", "V10", "PS", "MSL"]
ANALYSED = channel_table().names[:69]


def write(
    path,
    values,
    *,
    cell=40,
    offset=(0.0, 0.0),
    hours=(0,),
    days=10,
    source="land_stations",
    channels=STATIONS,
    frame="hourly",
    start=tiny.START,
):
    """A store in which one cell reports ``values (channel,)`` at ``hours``."""
    with SparseWriter(
        path, source, channels, ["?"] * len(channels), tiny.GRID, start, 24 * days, frame=frame
    ) as out:
        for hour in hours:
            out.write(
                hour,
                np.array([cell]),
                np.array([values], np.float32),
                np.zeros(1, np.float32),
                np.array([offset], np.float32),
                np.ones(1, np.int32),
            )
    return path


def points_of(networks, grids, *, span=SPAN, **settings):
    return Points(grids, ObservationLoss(sources=list(grids), **settings), networks, span)


def loss_of(networks, points):
    return PointLoss(ANALYSED, tiny.GRID, networks.normaliser.tendency[:69].flatten(), points)


def standardised(networks, name, value):
    i = networks.design.channels.index(name)
    return (value - networks.normaliser.mean[i].item()) / networks.normaliser.std[i].item()


def test_a_station_by_hand(networks, tmp_path):
    report = [280.0, 50.0, np.nan, np.nan, 90000.0, np.nan]
    points = points_of(
        networks, {"land_stations": [write(tmp_path / "a.zarr", report, hours=[24])]}
    )
    time = tiny.START + np.timedelta64(1, "D")
    state = torch.zeros(1, 70, *tiny.GRID.shape)
    row = channel_table()["T2M"]
    share = row.observation_weight / sum(channel_table()[name].loss_weight for name in ANALYSED)
    change = networks.normaliser.tendency[networks.design.channels.index("T2M")].item()
    expected = share * abs(standardised(networks, "T2M", 280.0)) / change
    assert loss_of(networks, points)(state, points.at([time])).item() == pytest.approx(
        expected, rel=1e-5
    )


def test_a_channel_observed_everywhere_counts_its_weight_beside_the_reanalysis(networks, tmp_path):
    cells = tiny.GRID.nlat * tiny.GRID.nlon
    values = np.full((cells, 6), [285.0] + [np.nan] * 5, np.float32)
    with SparseWriter(
        tmp_path / "a.zarr", "land_stations", STATIONS, ["?"] * 6, tiny.GRID, tiny.START, 240
    ) as out:
        out.write(
            0,
            np.arange(cells),
            values,
            np.zeros(cells, np.float32),
            np.zeros((cells, 2), np.float32),
            np.ones(cells, np.int32),
        )
    points = points_of(networks, {"land_stations": [tmp_path / "a.zarr"]})
    state = torch.zeros(1, 69, *tiny.GRID.shape)
    target, i = state.clone(), ANALYSED.index("T2M")
    target[:, i] = standardised(networks, "T2M", 285.0)
    reanalysis = CycleObjective(networks, plans.Unrolling()).analysis_loss(state, target)
    row = channel_table()["T2M"]
    ratio = loss_of(networks, points)(state, points.at([tiny.START])) / reanalysis
    assert ratio.item() == pytest.approx(row.observation_weight / row.loss_weight, rel=1e-5)


def test_states_are_taken_at_the_place_of_the_point(networks, tmp_path):
    """A quarter of a cell north-east of a centre counts 9/16 of its cell, and the neighbours 3/16,
    3/16, 1/16.
    """
    cell = 3 * tiny.GRID.nlon + tiny.GRID.nlon - 1
    store = write(tmp_path / "a.zarr", [280.0] + [np.nan] * 5, cell=cell, offset=(0.25, 0.25))
    points = points_of(networks, {"land_stations": [store]})
    state = torch.zeros(1, 69, *tiny.GRID.shape, requires_grad=True)
    loss_of(networks, points)(state, points.at([tiny.START])).backward()
    found = state.grad[0, ANALYSED.index("T2M")].abs()
    found = found / found.sum()
    expected = torch.zeros(tiny.GRID.shape)
    expected[3, -1], expected[2, -1], expected[3, 0], expected[2, 0] = (
        9 / 16,
        3 / 16,
        3 / 16,
        1 / 16,
    )
    torch.testing.assert_close(found, expected)
    assert state.grad.abs().sum((0, 2, 3)).nonzero().flatten().tolist() == [ANALYSED.index("T2M")]


def test_latitudes_count_by_their_area(networks, tmp_path):
    values = {0: 300.0, 3 * tiny.GRID.nlon: 280.0}  # a cell at the pole and one near the equator
    with SparseWriter(
        tmp_path / "a.zarr", "land_stations", STATIONS, ["?"] * 6, tiny.GRID, tiny.START, 240
    ) as out:
        rows = [[value] + [np.nan] * 5 for value in values.values()]
        out.write(
            0,
            np.array(list(values)),
            np.array(rows, np.float32),
            np.zeros(2, np.float32),
            np.zeros((2, 2), np.float32),
            np.ones(2, np.int32),
        )
    points = points_of(networks, {"land_stations": [tmp_path / "a.zarr"]})
    state = torch.zeros(1, 69, *tiny.GRID.shape, requires_grad=True)
    loss_of(networks, points)(state, points.at([tiny.START])).backward()
    gradient = state.grad[0, ANALYSED.index("T2M")].abs()
    weights = tiny.GRID.area_weights
    assert (gradient[0, 0] / gradient[3, 0]).item() == pytest.approx(
        weights[0] / weights[3], rel=1e-5
    )


def test_nothing_observed_costs_nothing(networks, tmp_path):
    store = write(tmp_path / "a.zarr", [np.nan] * 6)
    points = points_of(networks, {"land_stations": [store]})
    loss, state = loss_of(networks, points), torch.ones(2, 69, *tiny.GRID.shape, requires_grad=True)
    silent = tiny.START + np.timedelta64(5, "D")
    beyond = tiny.START + np.timedelta64(40, "D")
    for times in ([tiny.START] * 2, [silent] * 2, [silent, beyond]):
        found = loss(state, points.at(times))
        (found + 0 * state.sum()).backward()
        assert found.item() == 0
    assert state.grad.abs().sum() == 0


def test_points_are_of_the_hours_about_the_analysis(networks, tmp_path):
    store = write(tmp_path / "a.zarr", [280.0] + [np.nan] * 5, hours=range(48))
    count = {
        half: len(
            points_of(networks, {"land_stations": [store]}, half_width_hours=half).at(
                [tiny.START + 2 * tiny.STEP]
            )["land_stations"]
        )
        for half in (1, 3)
    }
    assert count == {1: 2, 3: 6}


def test_soundings_come_in_their_own_window_and_each_place_once(networks, tmp_path):
    store = write(
        tmp_path / "a.zarr",
        [250.0, 30.0],
        hours=[9, 13],
        source="radiosondes",
        channels=["T500", "R500"],
        frame="single",
    )
    with pytest.raises(ValueError, match=r"radiosondes: .* lack Z50"):
        points_of(networks, {"radiosondes": [store]})
    names = sources.load_source("radiosondes").channel_names
    values = np.arange(len(names), dtype=np.float32)
    store = write(
        tmp_path / "b.zarr",
        values,
        hours=[9, 13],
        source="radiosondes",
        channels=names,
        frame="single",
    )
    points = points_of(networks, {"radiosondes": [store]})
    found = points.at([tiny.START + 2 * tiny.STEP])["radiosondes"]
    assert len(found) == 1
    assert points.positions["radiosondes"] == [
        networks.design.channels.index(name) for name in names
    ]
    i = names.index("T500")
    assert found.values[0, i].item() == pytest.approx(
        standardised(networks, "T500", values[i]), rel=1e-4
    )


@pytest.mark.parametrize(
    ("start", "days"), [(tiny.START, 11), (tiny.START - np.timedelta64(1, "D"), 3)]
)
def test_observations_outside_the_training_period_are_refused(networks, tmp_path, start, days):
    store = write(tmp_path / "a.zarr", [280.0] * 6, days=days, start=start)
    with pytest.raises(ValueError, match="not of the training period"):
        points_of(networks, {"land_stations": [store]})


def test_only_channels_of_the_state_are_compared():
    assert list(shared_channels("land_stations", channel_table().names)) == [
        "T2M",
        "U10",
        "V10",
        "MSL",
    ]
    with pytest.raises(ValueError, match="measures no channel of the state"):
        shared_channels("noaa20_atms", channel_table().names)


def test_cycles_are_drawn_towards_the_observations(record, networks, tmp_path):
    """With the weight of L_obs at 0 the loss is L_state's; above, analysis and background of every
    cycle enter.
    """
    names = sources.load_source("land_stations").channel_names
    store = write(tmp_path / "a.zarr", [285.0] * len(names), hours=range(0, 240), channels=names)
    archive = samples.Archive(
        record.states, {tiny.SOURCE: record.grids}, Climatology.read(record.climatology)
    )
    time = tiny.times(40)[12]
    request = samples.Request(time, lead=1, cycles=2)
    terms = {}
    for weight in (None, 0.0, 2.0):
        points = (
            None
            if weight is None
            else points_of(networks, {"land_stations": [store]}, weight=weight)
        )
        batches = samples.Batches(
            archive,
            lambda step: [request],
            networks.design.sources,
            networks.standardise,
            points=points,
        )
        batch = batches[0]
        assert len(batch.points) == (0 if points is None else 3)
        unrolling = plans.Unrolling(2, background_weight=1.0)
        terms[weight] = tiny.terms(CycleObjective(networks, unrolling, points=points), batch)
    assert set(terms[None]) == {"loss", "analysis", "background", "first_background"}
    assert terms[0.0]["loss"] == terms[None]["loss"]
    seen = terms[2.0]["observed_analysis"] + terms[2.0]["observed_background"]
    assert seen > 0
    assert terms[2.0]["loss"].item() == pytest.approx(
        (terms[None]["loss"] + 2 * seen).item(), rel=1e-5
    )
    terms[2.0]["observed_background"].backward()
    assert any(
        p.grad is not None and p.grad.abs().sum() > 0 for p in networks.forecaster.parameters()
    )


def test_footprints_of_an_empty_batch_are_footprints(networks, tmp_path):
    store = write(tmp_path / "a.zarr", [280.0] * 6)
    found = points_of(networks, {"land_stations": [store]}).at(
        [tiny.START + np.timedelta64(3, "D")]
    )
    assert isinstance(found["land_stations"], FootprintBatch)
    assert len(found["land_stations"]) == 0
