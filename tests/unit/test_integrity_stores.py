"""A flipped byte or a lost file in every kind of Zarr store is an error or changes no value."""

import logging
import shutil
import warnings

import numpy as np
import pytest
import xarray as xr

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.observations.sparse_grids import SparseGrids, SparseWriter
from fuxiflow.observations.statistics import GridStatistics
from fuxiflow.simulation.errors import ObservationErrors
from fuxiflow.states.climatology import HOURS, NODES, Climatology
from fuxiflow.states.forecasts import Forecasts, ForecastWriter
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries, StateWriter
from fuxiflow.storage import zarr_checks
from fuxiflow.storage.checksums import DamagedError
from fuxiflow.storage.verification import check_product
from fuxiflow.storage.zarr_stores import create_store, open_store
from fuxiflow.verification.cases import QUANTITIES, Cases, StoredCases, write_cases
from fuxiflow.verification.maps import ErrorMaps, read_error_maps
from fuxiflow.world.truth import Truth, TruthWriter
from tests.support.climatologies import build_climatology

GRID = Grid(4, 8)
CHANNELS = channel_table().select(["Z500", "T850", "T2M"])
TIMES = np.datetime64("2022-01-01", "ns") + np.arange(5) * np.timedelta64(6, "h")
RANDOM = np.random.default_rng(0)
FIELDS = RANDOM.normal(size=(5, 3, 4, 8)).astype(np.float32)
MOST_CHUNKS = 12
POSITIONS = 4
"""Seeded places in each file at which a byte is flipped, beside the first and the last."""


def _states(path, compression):
    with StateWriter(path, TIMES, CHANNELS, GRID, shard=2, compression=compression) as writer:
        for i, field in enumerate(FIELDS):
            writer.write(i, None if i == 1 else field)


def _read_states(path):
    states = StateSeries([path])
    return [states.times, states.read_many(states.times), states.grid.lat]


def _forecasts(path):
    with ForecastWriter(path, TIMES[:2], [6, 12], CHANNELS, GRID) as writer:
        for init in range(2):
            for lead in range(2):
                writer.write(init, lead, None if (init, lead) == (1, 1) else FIELDS[lead])


def _read_forecasts(path):
    forecasts = Forecasts([path])
    return [forecasts.init_times, *(forecasts.read_init(time) for time in forecasts.init_times)]


def _grid(path):
    with SparseWriter(path, "s", ["1", "2"], ["K", "K"], GRID, TIMES[0], 6) as writer:
        for hour in (0, 3):
            writer.write(
                hour,
                np.array([1, 5]),
                FIELDS[hour, 0, :2, :2],
                np.zeros(2, np.float32),
                np.zeros((2, 2), np.float32),
                np.ones(2, np.int32),
            )


def _read_grid(path):
    window = SparseGrids([path]).hours(TIMES[0], 0, 6)
    return [getattr(window, name) for name in ("slot", "cell", "values", "zenith", "platform")]


def _statistics(path):
    raw = dict.fromkeys(("surface_geopotential", "land_fraction"), FIELDS[0, 0])
    Statistics(CHANNELS.names, *FIELDS[:3, :, 0, 0], FIELDS[:2, 0], ["a", "b"], raw).write(path)


def _read_statistics(path):
    read = Statistics.read(path)
    return [read.mean, read.std, read.tendency_std, read.statics, *read.raw.values()]


def _climatology(path):
    times = np.datetime64("2022-01-01", "h") + np.arange(0, 24, 6)
    build_climatology(
        path, times, lambda time: FIELDS[0], CHANNELS, GRID, 61, logging.getLogger("test")
    )


def _read_climatology(path):
    mean = Climatology.read(path)
    return [
        mean._node(node, slot) for node in range(0, len(NODES), 9) for slot in range(len(HOURS))
    ]


def _truth(path):
    times = [time.astype("datetime64[us]").item() for time in TIMES[:2]]
    static = dict.fromkeys(("land_fraction", "surface_geopotential"), FIELDS[0, 0])
    fields = dict.fromkeys([*CHANNELS.names, "surface_pressure", "skin_temperature"], FIELDS[1, 1])
    fields["specific_humidity"] = np.zeros((len(CHANNELS.pressure_levels), 4, 8))
    with TruthWriter(path, times, GRID, static, CHANNELS) as writer:
        for time in times:
            writer.write(time, fields)


def _read_truth(path):
    truth = Truth([path])
    names = [*CHANNELS.names, "specific_humidity", "skin_temperature", "surface_pressure"]
    fields = [truth.read(time, names)[name] for time in truth.times for name in names]
    return [*fields, truth.static("land_fraction"), truth.static("surface_geopotential")]


def _cases(path):
    values = {name: FIELDS[:, :1, :2, :2].astype(float) for name in QUANTITIES}
    regions = ["global", "tropics"]
    write_cases(path, {("fuxiflow", "era5"): Cases(TIMES, [6], ["Z500", "T2M"], regions, values)})


def _read_cases(path):
    return [
        array
        for case in StoredCases(path).values()
        for array in (case.times, np.array(case.channels), *case.values.values())
    ]


def _error_maps():
    maps = ErrorMaps(["era5"], [6], CHANNELS.names, ["Z500"], GRID)
    maps.add("era5", 6, FIELDS[0].reshape(3, -1), FIELDS[1].reshape(3, -1))
    return maps


def _maps(path):
    _error_maps().write(path)


def _read_maps(path):
    data = read_error_maps(path)
    return [data[name].values for name in ("error", "rmse", "n", "lat", "channel")]


KINDS = {
    "states, compressed": (lambda path: _states(path, "lz4hc"), _read_states),
    "states, packed": (lambda path: _states(path, "packed"), _read_states),
    "states, as they are": (lambda path: _states(path, "none"), _read_states),
    "forecasts": (_forecasts, _read_forecasts),
    "sparse grid": (_grid, _read_grid),
    "statistics": (_statistics, _read_statistics),
    "statistics of a source": (
        lambda path: GridStatistics(["1", "2"], *FIELDS[:3, 0, 0, :2]).write(path),
        lambda path: [getattr(GridStatistics.read(path), name) for name in ("mean", "std")],
    ),
    "errors of observations": (
        lambda path: ObservationErrors(
            ["1"], FIELDS[0, 0, :2, :1], FIELDS[1, 0, :, :1], FIELDS[0, :2, :1, :1], 7
        ).write(path),
        lambda path: [getattr(ObservationErrors.read(path), n) for n in ("bias", "scan", "factor")],
    ),
    "climatology": (_climatology, _read_climatology),
    "truth": (_truth, _read_truth),
    "cases": (_cases, _read_cases),
    "maps": (_maps, _read_maps),
    "maps of a part": (
        lambda path: _error_maps().write_part(path, []),
        lambda path: [ErrorMaps.read_part(path).dataset()[name].values for name in ("n", "rmse")],
    ),
}


@pytest.fixture(scope="module", params=KINDS, ids=lambda name: name.replace(" ", "-"))
def made(request, tmp_path_factory):
    write, read = KINDS[request.param]
    path = tmp_path_factory.mktemp("store") / "a.zarr"
    write(path)
    return path, read, read(path)


def outcome(path, read, sound):
    """What reading a harmed store does; an error must name the store and the remedy."""
    try:
        values = read(path)
    except (ValueError, FileNotFoundError) as error:
        told = str(path) in str(error) and ("delete" in str(error) or "run its rule" in str(error))
        return "error" if told else f"unclear: {error}"
    if len(values) != len(sound):
        return "silent"
    pairs = zip(values, sound, strict=True)
    same = [np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs]
    return "same" if all(same) else "silent"


def harmed(path, file, place):
    """The bytes of a file with one of them flipped."""
    content = bytearray(file.read_bytes())
    content[place] ^= 1 << int(RANDOM.integers(8))
    return bytes(content)


def files_of(path):
    """All metadata, and some of the chunks where there are many."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    metadata = [file for file in files if file.name == "zarr.json"]
    chunks = [file for file in files if file.name != "zarr.json"]
    taken = RANDOM.permutation(len(chunks))[:MOST_CHUNKS]
    return metadata + [chunks[i] for i in sorted(taken)]


def test_a_flipped_byte_is_an_error_or_changes_nothing(made, tmp_path):
    path, read, sound = made
    copy = tmp_path / "a.zarr"
    shutil.copytree(path, copy)
    outcomes = []
    for file in files_of(path):
        size = file.stat().st_size
        inside = copy / file.relative_to(path)
        for place in {0, size - 1, *RANDOM.integers(0, size, POSITIONS).tolist()}:
            inside.write_bytes(harmed(path, file, place))
            outcomes.append(outcome(copy, read, sound))
            assert outcomes[-1] in ("same", "error"), (file, place)
        shutil.copy2(file, inside)
    assert "error" in outcomes


def test_a_file_that_is_gone_or_cut_is_an_error(made, tmp_path):
    path, read, sound = made
    copy = tmp_path / "a.zarr"
    shutil.copytree(path, copy)
    unread = []
    for file in files_of(path):
        inside = copy / file.relative_to(path)
        inside.unlink()
        if (gone := outcome(copy, read, sound)) == "same":
            unread.append(file)
        assert gone in ("same", "error"), file
        assert check_product(copy).faults, file
        inside.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        assert outcome(copy, read, sound) in ("same", "error"), file
        assert check_product(copy).faults, file
        shutil.copy2(file, inside)
    assert not check_product(copy).faults
    # what a reader does not need is for people: units, names of other axes
    assert not [file for file in unread if file.name == "zarr.json"]


def test_other_programs_open_it_without_a_warning(made):
    path, _, _ = made
    (path / ".snakemake_timestamp").touch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xr.open_zarr(path).load()
    (path / ".snakemake_timestamp").unlink()


def test_every_array_carries_checksums(made):
    documents, faults = zarr_checks.metadata_faults(made[0])
    assert not faults
    arrays = {k: d for k, d in documents.items() if d["node_type"] == "array"}
    assert arrays
    for name, document in arrays.items():
        assert zarr_checks.ArrayLayout(name, document).name == name


def test_an_absent_time_is_named_with_its_store_and_the_remedy(tmp_path):
    path = tmp_path / "a.zarr"
    _states(path, "lz4hc")
    (path / "state" / "c" / "1" / "0" / "0" / "0").unlink()
    with pytest.raises(DamagedError, match=r"a\.zarr: state, time 2022-01-01T12:00:00.*delete"):
        StateSeries([path]).read(TIMES[2])
    _forecasts(path)
    (path / "2m_temperature" / "c" / "0" / "0" / "0" / "0").unlink()
    with pytest.raises(
        DamagedError, match=r"2m_temperature, time 2022-01-01T00:00:00 \+ 6 h: .*absent"
    ):
        Forecasts([path]).read(TIMES[0], 6)


@pytest.mark.parametrize("walk", ["arrays", "array_values", "by name"])
def test_damage_is_named_however_an_array_was_reached(tmp_path, walk):
    path = tmp_path / "a.zarr"
    group = create_store(path)
    group.create_array("depth", data=np.arange(6.0), chunks=(3,), dimension_names=("x",))
    file = path / "depth" / "c" / "1"
    file.write_bytes(file.read_bytes()[:-3])
    found = open_store(path)
    arrays = {
        "arrays": lambda: dict(found.arrays())["depth"],
        "array_values": lambda: next(iter(found.array_values())),
        "by name": lambda: found["depth"],
    }
    with pytest.raises(DamagedError, match=r"a\.zarr: depth, position 3 .*delete"):
        arrays[walk]()[:]
    file.unlink()
    with pytest.raises(DamagedError, match=r"a\.zarr: depth, position 3 .*absent.*delete"):
        arrays[walk]()[:]


def test_what_is_listed_as_pending_may_be_absent(tmp_path):
    writer = StateWriter(tmp_path / "a.zarr", TIMES, CHANNELS, GRID, shard=2)
    writer.write(4, FIELDS[4])
    writer.flush()
    assert not (tmp_path / "a.zarr" / "state" / "c" / "0").exists()
    assert StateSeries([tmp_path / "a.zarr"]).times.tolist() == TIMES[4:].tolist()
    assert not check_product(tmp_path / "a.zarr").faults


def test_a_store_that_is_continued_does_not_pass_over_a_lost_shard(tmp_path):
    writer = StateWriter(tmp_path / "a.zarr", TIMES, CHANNELS, GRID, shard=2)
    for i in range(3):
        writer.write(i, FIELDS[i])
    writer.flush()
    (tmp_path / "a.zarr" / "state" / "c" / "1" / "0" / "0" / "0").unlink()
    assert check_product(tmp_path / "a.zarr").faults
    again = StateWriter(tmp_path / "a.zarr", TIMES, CHANNELS, GRID, shard=2, resume=True)
    assert [again.done(i) for i in range(5)] == [True, True, False, False, False]
