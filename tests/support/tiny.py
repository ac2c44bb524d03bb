"""A tiny made-up record for tests: smooth random states on 8 x 16 cells, and observations
of them.
"""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.models import checkpoint
from fuxiflow.models.networks import Design, Networks, SourceDesign
from fuxiflow.observations.sparse_grids import SparseWriter
from fuxiflow.observations.statistics import GridStatistics
from fuxiflow.states.statistics import Statistics, static_fields, transform_precipitation
from fuxiflow.states.store import StateWriter
from fuxiflow.training.parallel import DeviceOptions, make_fabric
from fuxiflow.training.stage_run import TrainingRun
from tests.support.climatologies import build_climatology

GRID = Grid(8, 16)
SOURCE = "noaa20_atms"
START = np.datetime64("2022-01-01T00", "ns")
STEP = np.timedelta64(6, "h")
MODEL = {
    "forecaster": {"patch": 2, "width": 8, "blocks": 1, "heads": 2, "window": [2, 4]},
    "assimilator": {"width": 8, "scales": 2, "blocks": 1},
}
OPTIONS = {"accelerator": "cpu", "precision": "32-true", "workers": 0, "compile": False}


def times(count: int) -> np.ndarray:
    """Six-hourly times from :data:`START`."""
    return START + STEP * np.arange(count)


def states(count: int, seed: int = 0) -> np.ndarray:
    """Waves that travel east, with a phase and an amplitude of each channel's own."""
    random = np.random.default_rng(seed)
    channels = channel_table()
    low = np.array([c.valid_min for c in channels])
    high = np.array([c.valid_max for c in channels])
    middle, scale = 0.5 * (low + high), 0.05 * (high - low)
    middle[-1], scale[-1] = 5.0, 2.0
    phase, number = random.uniform(0, 6, len(channels)), random.integers(1, 4, len(channels))
    lon = np.deg2rad(GRID.lon)[None, None, None]
    east = lon - 0.1 * np.arange(count)[:, None, None, None]
    angle = number[None, :, None, None] * east + phase[None, :, None, None]
    wave = np.sin(angle) * np.cos(np.deg2rad(GRID.lat))[None, None, :, None]
    noise = 0.1 * random.standard_normal((count, len(channels), *GRID.shape))
    return (middle[None, :, None, None] + scale[None, :, None, None] * (wave + noise)).astype(
        np.float32
    )


def write_states(path: Path, fields: np.ndarray, name: str = "state") -> Path:
    """A state store of ``fields (time, channel, lat, lon)``."""
    channels = channel_table()[: fields.shape[1]]
    with StateWriter(path, times(len(fields)), channels, GRID, (name,)) as writer:
        for i, field in enumerate(fields):
            writer.write(i, field, name)
    return path


def write_statistics(path: Path, fields: np.ndarray) -> Path:
    """Statistics of ``fields``."""
    values = transform_precipitation(fields, channel_table())
    change = values[1:] - values[:-1]
    flat = dict.fromkeys(("surface_geopotential", "land_fraction"), np.zeros(GRID.shape))
    statics = static_fields(flat, GRID)
    Statistics(
        channel_table().names,
        values.mean((0, 2, 3)),
        values.std((0, 2, 3)),
        change.std((0, 2, 3)),
        np.stack(list(statics.values())),
        list(statics),
        flat,
        ("2022-01-01", "2022-01-09"),
    ).write(path)
    return path


def write_climatology(path: Path, fields: np.ndarray) -> Path:
    """Climatology of ``fields``."""
    build_climatology(
        path,
        times(len(fields)),
        lambda t: fields[int((t - START) / STEP)],
        channel_table(),
        GRID,
        61,
        logging.getLogger("tiny"),
    )
    return path


def write_grids(directory: Path, days: int, silent: tuple[int, ...] = ()) -> Path:
    """Sparse grids of 22 channels: 20 random cells an hour, none on the ``silent`` days."""
    random = np.random.default_rng(1)
    path = directory / SOURCE / "2022-01.zarr"
    names = [str(i + 1) for i in range(22)]
    with SparseWriter(path, SOURCE, names, ["K"] * 22, GRID, START, 24 * days) as writer:
        for hour in range(24 * days):
            if hour // 24 in silent:
                continue
            cell = np.sort(random.choice(GRID.nlat * GRID.nlon, 20, replace=False))
            values = random.normal(250, 10, (20, 22)).astype(np.float32)
            writer.write(
                hour,
                cell,
                values,
                np.full(20, 30, np.float32),
                random.uniform(-0.5, 0.5, (20, 2)),
                np.ones(20, np.int32),
            )
    return path


def record(directory: Path, count: int = 40) -> SimpleNamespace:
    """All of it: paths ``states``, ``statistics``, ``climatology``, ``grids``,
    ``grid_statistics``.
    """
    fields = states(count)
    grids = write_grids(directory / "grids", count // 4)
    statistics = directory / "grids" / SOURCE / "statistics.zarr"
    GridStatistics(
        [str(i + 1) for i in range(22)],
        np.full(22, 250, np.float32),
        np.full(22, 10, np.float32),
        np.full(22, 99),
    ).write(statistics)
    return SimpleNamespace(
        fields=fields,
        states=[write_states(directory / "states.zarr", fields)],
        statistics=write_statistics(directory / "statistics.zarr", fields),
        climatology=write_climatology(directory / "climatology.zarr", fields),
        grids=[grids],
        grid_statistics=[statistics],
    )


def paths(directory: Path) -> SimpleNamespace:
    """Paths of a :func:`record` that another process has made."""
    grids = directory / "grids" / SOURCE
    return SimpleNamespace(
        states=[directory / "states.zarr"],
        statistics=directory / "statistics.zarr",
        climatology=directory / "climatology.zarr",
        grids=[grids / "2022-01.zarr"],
        grid_statistics=[grids / "statistics.zarr"],
    )


def networks(made: SimpleNamespace, variational: dict | None = None) -> Networks:
    """Untrained networks for a :func:`record`: they persist, and analyse nothing.

    ``variational`` has the settings of a 3D-Var, whose errors are not fitted.
    """
    torch.manual_seed(0)
    source = SourceDesign([str(i + 1) for i in range(22)], (-3, 5), [250.0] * 22, [10.0] * 22)
    statistics = Statistics.read(made.statistics)
    design = Design(
        statistics.channels,
        GRID.shape,
        statistics.static_names,
        MODEL["forecaster"],
        MODEL["assimilator"],
        {SOURCE: source},
        variational=variational,
    )
    return checkpoint.build_networks(design, statistics)


def training_run(directory: Path, stage: str = "test", precision: str = "32-true") -> TrainingRun:
    """A run on the processor with its restart state in ``directory``."""
    fabric = make_fabric(DeviceOptions("cpu", precision))
    return TrainingRun(stage, fabric, directory, directory / "tb", logging.getLogger("test"))


class Plain:
    """An objective of a function of batches, which are not unrolled in spans."""

    def __init__(self, function):
        self.function = function

    def spans(self, batch):
        return [(0, 1)]

    def loss(self, batch, span, carried):
        return {"loss": self.function(batch)}, None


def terms(objective, batch) -> dict:
    """The terms of the loss of a whole batch at once."""
    return objective.loss(batch, (0, batch.cycles or batch.lead), None)[0]
