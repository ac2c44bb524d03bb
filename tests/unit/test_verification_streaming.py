"""Scoring reads each field once and holds few of them, whatever the leads and start times."""

import itertools
import logging
import tracemalloc
import weakref
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow.channels import channel_table
from fuxiflow.grids import REGIONS, Grid
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts, ForecastWriter
from fuxiflow.verification.area_means import PieceWeights, forecast_means, own_means
from fuxiflow.verification.collection import (
    case_order,
    climatology_cases,
    collect_cases,
    valid_time,
)
from fuxiflow.verification.metrics import region_weights
from fuxiflow.verification.references import Normals, Reference, ReferenceSet

GRID = Grid(36, 72)
CELLS = region_weights(GRID, list(REGIONS)).reshape(len(REGIONS), -1)
CHANNELS = channel_table().select(["Z500", "T850", "T2M"])
START = np.datetime64("2023-03-10", "ns")
LOG = logging.getLogger("test")
FIELD = 4 * len(CHANNELS) * GRID.nlat * GRID.nlon


def starts(count: int) -> np.ndarray:
    return START + np.arange(count) * np.timedelta64(12, "h")


class Counted:
    """Makes fields of times, counts how often each was made, and how many of them live."""

    channels, grid, paths = CHANNELS, GRID, ["memory"]
    living = most = 0

    def __init__(self, seed: int):
        self.seed = seed
        self.made: Counter = Counter()

    def __contains__(self, time) -> bool:
        return True

    def read(self, time) -> np.ndarray:
        time = np.datetime64(time, "ns")
        self.made[time] += 1
        generator = np.random.default_rng([self.seed, int(time.astype(int) // 10**9)])
        field = generator.normal(size=(len(CHANNELS), *GRID.shape)).astype(np.float32)
        Counted.living += 1
        Counted.most = max(Counted.most, Counted.living)
        weakref.finalize(field, self._gone)
        return field

    at = read

    def forecast(self, init, lead) -> np.ndarray:
        return self.read(init + np.timedelta64(lead, "m")).reshape(len(CHANNELS), -1)

    @staticmethod
    def _gone() -> None:
        Counted.living -= 1


def collect(count: int, leads: list[int], budget: int = FIELD):
    """Score two systems against two references whose memory holds one field each."""
    Counted.living = Counted.most = 0
    normals = Normals(Counted(0), CHANNELS.names, budget)
    weights = PieceWeights.of_cells(CELLS)
    references = [
        Reference(name, Counted(i), normals, weights, budget)
        for i, name in enumerate(("era5", "truth"), 1)
    ]
    systems = {name: Counted(i) for i, name in enumerate(("forecasts", "persistence"), 3)}
    readers = {name: made.forecast for name, made in systems.items()}
    against = ReferenceSet(normals, references, list(REGIONS))
    cases = collect_cases(readers, starts(count), leads, against, LOG).cases
    return cases, normals, references, systems


def test_each_field_is_read_once():
    leads = [6, 12, 18, 24]
    _, normals, references, systems = collect(6, leads)
    valid = {valid_time(init, lead) for init in starts(6) for lead in leads}
    assert normals.climatology.made == Counter(dict.fromkeys(valid, 1))
    for reference in references:
        assert reference.states.made == Counter(dict.fromkeys(valid, 1))
    for made in systems.values():
        assert set(made.made.values()) == {1}
        assert len(made.made) == 6 * len(leads)


@pytest.mark.parametrize(("count", "leads"), [(2, 2), (12, 2), (2, 20), (12, 20)])
def test_few_fields_live_whatever_the_leads_and_start_times(count, leads):
    collect(count, [6 * i for i in range(1, leads + 1)])
    # the one that is read, and the climatology that anomalies are taken from; anomalies of the two
    # references are arrays of their own
    assert Counted.most <= 3


def test_memory_does_not_grow_with_leads_and_start_times():
    collect(2, [6, 12])
    peaks = []
    for count, leads in ((2, 2), (16, 20)):
        tracemalloc.start()
        cases, *_ = collect(count, [6 * i for i in range(1, leads + 1)])
        kept = sum(value.nbytes for one in cases.values() for value in one.values.values())
        peaks.append(tracemalloc.get_traced_memory()[1] - kept)
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 5 * FIELD


def test_cases_do_not_depend_on_what_memory_holds():
    narrow, *_ = collect(3, [6, 12], budget=1)
    wide, *_ = collect(3, [6, 12], budget=1 << 30)
    for key, one in narrow.items():
        for name, value in one.values.items():
            np.testing.assert_array_equal(value, wide[key].values[name])


def test_climatology_as_a_forecast_reads_each_state_once():
    normals = Normals(Counted(0), CHANNELS.names, FIELD)
    reference = Reference("era5", Counted(1), normals, PieceWeights.of_cells(CELLS), FIELD)
    against = ReferenceSet(normals, [reference], list(REGIONS))
    climatology_cases(starts(5), [6, 12, 18], against, reference)
    assert set(reference.states.made.values()) == {1}


# ------------------------------------------------------------------------------- order of cases


@given(
    st.integers(1, 8),
    st.lists(st.integers(1, 40), min_size=1, max_size=12, unique=True).map(sorted),
)
def test_every_case_comes_once(count, steps):
    leads = [6 * step for step in steps]
    order = list(case_order(starts(count), leads))
    assert sorted(order) == [(i, j) for i in range(count) for j in range(len(leads))]


def test_cases_come_by_valid_time_within_an_hour_of_the_day():
    times = starts(6)
    valid = [valid_time(times[i], 6 * j + 6) for i, j in case_order(times, [6, 12, 18, 24])]
    changes = sum(a != b for a, b in itertools.pairwise(valid))
    assert changes + 1 == len(set(valid))
    hours = [str(time)[11:13] for time in valid]
    assert sum(a != b for a, b in itertools.pairwise(hours)) == 3


# --------------------------------------------------------------------------- stores on the way


LEADS = list(range(0, 54, 6))


def write_forecasts(path):
    """Write forecasts of two start times and nine leads, and return the fields in them."""
    shape = (2, len(LEADS), len(CHANNELS), *GRID.shape)
    # in steps that the store keeps
    fields = np.rint(np.random.default_rng(5).normal(250, 5, shape) * 1024) / 1024
    fields = fields.astype(np.float32)
    with ForecastWriter(path, starts(2), LEADS, CHANNELS, GRID) as writer:
        for i, j in np.ndindex(2, len(LEADS)):
            writer.write(i, j, fields[i, j])
    return fields


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "forecasts.zarr"
    return path, write_forecasts(path)


def test_some_channels_are_read_without_the_variables_of_others(stored):
    path, fields = stored
    for name in ("temperature", "2m_temperature"):
        for file in (path / name / "c").rglob("*"):
            if file.is_file():
                file.write_bytes(b"")
    forecasts = Forecasts([path], ["Z500"])
    assert forecasts.channels.names == ["Z500"]
    np.testing.assert_array_equal(forecasts.read(starts(2)[0], 12), fields[0, 2, :1])
    np.testing.assert_array_equal(forecasts.read_init(starts(2)[1]), fields[1, :, :1])
    with pytest.raises(KeyError, match=r"U850 is not forecast; known: Z500, T850, T2M"):
        Forecasts([path], ["U850"])


def test_channels_come_in_the_order_asked_for(stored):
    path, fields = stored
    forecasts = Forecasts([path], ["T2M", "Z500"])
    np.testing.assert_array_equal(forecasts.read(starts(2)[0], 0), fields[0, 0, [2, 0]])


class Nodes:
    """Fields of nodes and hours, of which each is noise; counts how often each was read."""

    def __init__(self):
        self.read: Counter = Counter()

    def __getitem__(self, key):
        self.read[key] += 1
        generator = np.random.default_rng(key)
        return generator.normal(size=(len(CHANNELS), *GRID.shape)).astype(np.float32)


def test_climatology_of_two_fields_reads_each_node_once_in_the_order_of_cases():
    few, all_ = Nodes(), Nodes()
    narrow = Climatology(CHANNELS, GRID, few, 31, budget=FIELD)
    wide = Climatology(CHANNELS, GRID, all_, 31, budget=1 << 30)
    times = starts(40)
    for i, _ in case_order(times, [0]):
        np.testing.assert_array_equal(narrow.at(times[i]), wide.at(times[i]))
    assert set(few.read.values()) == {1}
    assert few.read == all_.read


# ------------------------------------------------------------------------------- area means


def old_means(field, normal, references, weights):
    """The means as they were made before: products of whole fields times all weights."""
    anomaly = (field - normal).astype(float)
    products = [anomaly, anomaly**2, *(anomaly * reference for reference in references)]
    return np.stack([product @ weights.T for product in products])


@given(st.integers(0, 2**32 - 1), st.sampled_from([(4, 8), (18, 36), (19, 30), (36, 72)]))
def test_area_means_equal_products_of_whole_fields(seed, shape):
    generator = np.random.default_rng(seed)
    grid = Grid(*shape)
    known = [name for name in REGIONS if grid.region(name).any()]
    cells = region_weights(grid, known).reshape(len(known), -1)
    field, normal = generator.normal(280, 10, (2, 3, cells.shape[1])).astype(np.float32)
    references = list(generator.normal(0, 5, (2, 3, cells.shape[1])).astype(np.float32))
    weights = PieceWeights.of_cells(cells)
    expected = old_means(field, normal, references, cells)
    scale = np.abs(expected).max(axis=(1, 2), keepdims=True)
    means = forecast_means(field, normal, references, weights)
    assert (np.abs(means - expected) < 1e-10 * scale).all()
    own = own_means(references[0], weights)
    np.testing.assert_allclose(own[0], references[0].astype(float) @ cells.T, atol=1e-10)
    np.testing.assert_allclose(own[1], references[0].astype(float) ** 2 @ cells.T, rtol=1e-10)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 4))
def test_pieces_give_every_cell_its_weights(seed, cells, regions):
    weights = np.random.default_rng(seed).integers(0, 3, (regions, cells)) / 7.0
    pieces = PieceWeights.of_cells(weights)
    np.testing.assert_array_equal(
        np.repeat(pieces.weights, np.diff(pieces.edges), axis=0), weights.T
    )
    assert len(pieces) == regions


def test_rows_are_few_pieces():
    weights = PieceWeights.of_cells(region_weights(Grid(720, 1440), list(REGIONS)).reshape(5, -1))
    assert len(weights.edges) - 1 < 900


@pytest.mark.parametrize("of", ["field", "normal", "reference"])
@pytest.mark.parametrize("cell", [0, 1300, -1])
def test_one_missing_cell_leaves_no_region(of, cell):
    arrays = {name: np.ones((1, CELLS.shape[1]), np.float32) for name in ("field", "normal")}
    arrays["reference"] = np.ones_like(arrays["field"])
    arrays[of][0, cell] = np.nan
    weights = PieceWeights.of_cells(CELLS)
    means = forecast_means(arrays["field"], arrays["normal"], [arrays["reference"]], weights)
    assert np.isnan(means[2]).all()
    assert np.isnan(means[:2]).all() == (of != "reference")


def test_without_a_reference_the_own_means_are_there():
    field = np.random.default_rng(0).normal(size=(2, CELLS.shape[1])).astype(np.float32)
    means = forecast_means(field, np.zeros_like(field), [], PieceWeights.of_cells(CELLS))
    np.testing.assert_allclose(means[0], field @ CELLS.T, atol=1e-7)
    assert means.shape == (2, 2, len(REGIONS))
