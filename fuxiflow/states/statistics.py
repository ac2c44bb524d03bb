"""Statistics of the state channels over the training period, and the static fields of the networks.

Channels are standardised on transformed values: precipitation enters as log(1 + tp) with tp in mm.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fuxiflow.channels import ChannelTable, channel_table
from fuxiflow.completeness import check_finite
from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.states.coordinates import (
    iso_texts,
    put_coordinate,
    put_grid,
)
from fuxiflow.states.store import StateSeries
from fuxiflow.storage import provenance
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store
from fuxiflow.times import STEP_HOURS

PRECIPITATION = "TP"
TENDENCY_STEP = np.timedelta64(STEP_HOURS, "h")
# invariant fields and their units
RAW = {
    "surface_geopotential": "m2 s-2",
    "land_fraction": "1",
    "lake_cover": "1",
    "low_vegetation_cover": "1",
    "high_vegetation_cover": "1",
}


def transform_precipitation(state: np.ndarray, channels: ChannelTable | list[str]) -> np.ndarray:
    """Return a copy of a state with precipitation, if it is there, as log(1 + max(tp, 0)).

    ``state (..., channel, lat, lon)`` has the channels ``channels``, TP in mm.
    """
    names = channels.names if isinstance(channels, ChannelTable) else list(channels)
    values = np.array(state, np.float32)
    if PRECIPITATION in names:
        index = names.index(PRECIPITATION)
        values[..., index, :, :] = np.log1p(np.maximum(values[..., index, :, :], 0.0))
    return values


@dataclass
class Moments:
    """Count of fields, area-weighted mean and sum of squared deviations, ``(channel,)`` each.

    Moments of parts are merged after Chan, Golub and LeVeque (1983),
    doi:10.1080/00031305.1983.10483115. A channel that is NaN in a field (precipitation of an
    analysis) is not counted there.
    """

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def empty(cls, channels: int) -> "Moments":
        """Return the moments of no field, for a number of channels."""
        return cls(np.zeros(channels), np.zeros(channels), np.zeros(channels))

    @classmethod
    def of(cls, values: np.ndarray, weights: np.ndarray) -> "Moments":
        """Return the moments of a field ``(channel, lat, lon)`` with area weights ``(lat,)``."""
        values = np.asarray(values, float)
        area = (weights / weights.sum())[:, None] / values.shape[-1]
        count = np.isfinite(values).all(axis=(1, 2)).astype(float)
        # a channel that does not count must not spoil the sums with its NaN
        values = np.where(count[:, None, None] > 0, values, 0.0)
        mean = (values * area).sum(axis=(1, 2))
        squares = ((values - mean[:, None, None]) ** 2 * area).sum(axis=(1, 2))
        return cls(count, mean, squares * count)

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both samples together."""
        count = self.count + other.count
        share = np.divide(other.count, count, out=np.zeros_like(count), where=count > 0)
        delta = other.mean - self.mean
        return Moments(
            count,
            self.mean + delta * share,
            self.squares + other.squares + delta**2 * self.count * share,
        )

    @property
    def std(self) -> np.ndarray:
        """Standard deviation ``(channel,)``, NaN where nothing was counted."""
        return np.sqrt(
            np.divide(
                self.squares, self.count, out=np.full_like(self.count, np.nan), where=self.count > 0
            )
        )


def accumulate_moments(
    series: Iterable[tuple[np.datetime64, np.ndarray]], channels: list[str], weights: np.ndarray
) -> tuple[Moments, Moments]:
    """Accumulate the moments of transformed states and of their 6-h differences.

    A difference is taken only where the state 6 h before is there too.

    Parameters
    ----------
    series : Iterable of tuple
        Times and fields ``(channel, lat, lon)`` in order of time.
    channels : list of str
        Channels of the fields.
    weights : np.ndarray
        Area weights ``(lat,)``.

    Returns
    -------
    Moments
        Of the states.
    Moments
        Of the differences.
    """
    moments = Moments.empty(len(channels))
    tendencies = Moments.empty(len(channels))
    previous: tuple[np.datetime64, np.ndarray] | None = None
    for time, state in series:
        values = transform_precipitation(state, channels)
        moments = moments.merge(Moments.of(values, weights))
        if previous is not None and time - previous[0] == TENDENCY_STEP:
            tendencies = tendencies.merge(Moments.of(values - previous[1], weights))
        previous = time, values
    return moments, tendencies


def standardise_static(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Standardise a field ``(lat, lon)`` by its area-weighted mean and standard deviation.

    ``weights (lat,)`` are areas. A constant field is divided by 1.
    """
    moments = Moments.of(values[None], weights)
    std = moments.std[0]
    return (values - moments.mean[0]) / (std if std > 0 else 1.0)


def static_fields(raw: dict[str, np.ndarray], grid: Grid) -> dict[str, np.ndarray]:
    """Return the static fields ``(lat, lon)`` of the networks by name, land fraction first.

    ``raw`` has those of :data:`RAW` that there are. Surface geopotential is standardised, fractions
    and covers are those of the cell, the rest is computed from the grid. FuXi Weather has lake
    cover and covers of vegetation too (arXiv 2408.05472).
    """
    lat, lon = np.meshgrid(np.deg2rad(grid.lat), np.deg2rad(grid.lon), indexing="ij")
    covers = {
        name: values
        for name, values in raw.items()
        if name not in ("surface_geopotential", "land_fraction")
    }
    fields = {
        "land_fraction": raw["land_fraction"],
        "surface_geopotential": standardise_static(raw["surface_geopotential"], grid.area_weights),
        "sin_lat": np.sin(lat),
        "cos_lat": np.cos(lat),
        "sin_lon": np.sin(lon),
        "cos_lon": np.cos(lon),
        **covers,
    }
    return {name: values.astype(np.float32) for name, values in fields.items()}


@dataclass
class Statistics:
    """Statistics of the channels, and the static fields.

    ``mean``, ``std`` and ``tendency_std (channel,)`` are mean, standard deviation and that of 6-h
    differences of transformed values. ``statics (static, lat, lon)`` are what the networks see;
    ``raw`` holds those of :data:`RAW` that there are, ``(lat, lon)``, surface geopotential and land
    fraction among them. ``period`` is the first and last time used.
    """

    channels: list[str]
    mean: np.ndarray
    std: np.ndarray
    tendency_std: np.ndarray
    statics: np.ndarray
    static_names: list[str]
    raw: dict[str, np.ndarray] = field(default_factory=dict)
    period: tuple[str, str] = ("", "")

    @property
    def grid(self) -> Grid:
        """The grid of the static fields, that of the networks."""
        return Grid(*self.statics.shape[-2:])

    @property
    def surface_geopotential(self) -> np.ndarray:
        """Surface geopotential ``(lat, lon)`` in m2 s-2."""
        return self.raw["surface_geopotential"]

    @property
    def land_fraction(self) -> np.ndarray:
        """Land fraction ``(lat, lon)``, 0 to 1."""
        return self.raw["land_fraction"]

    def write(self, path: Path) -> None:
        """Write the statistics as a Zarr v3 store."""
        group = create_store(
            path,
            {
                "Conventions": "CF-1.11",
                "provenance": provenance.as_json(),
                "period": list(self.period),
                "comment": "mean and std of transformed values: TP as log(1 + tp / mm)",
            },
        )
        put_grid(group, self.grid)
        put_coordinate(
            group, "channel", np.array(self.channels), {"long_name": "channel of the state"}
        )
        put_coordinate(group, "static", np.array(self.static_names), {"long_name": "static field"})
        for name, long_name in (
            ("mean", "mean"),
            ("std", "standard deviation"),
            ("tendency_std", "standard deviation of 6-h differences"),
        ):
            put_coordinate(
                group,
                name,
                np.asarray(getattr(self, name), np.float32),
                {"long_name": long_name},
                "channel",
            )
        group.create_array(
            "statics",
            data=np.asarray(self.statics, np.float32),
            dimension_names=("static", "lat", "lon"),
            attributes={"long_name": "static fields of the networks", "units": "1"},
        )
        for name, values in self.raw.items():
            group.create_array(
                name,
                data=np.asarray(values, np.float32),
                dimension_names=("lat", "lon"),
                attributes={"long_name": name.replace("_", " "), "units": RAW[name]},
            )
        consolidate(path)

    @classmethod
    def read(cls, path: Path) -> "Statistics":
        """Read what :meth:`write` wrote.

        Raises FileNotFoundError if it is not there, KeyError for unknown channels.
        """
        group = open_store(path, "statistics")
        names = [str(name) for name in group["channel"][:]]
        channel_table().select(names)
        return cls(
            channels=names,
            statics=group["statics"][:],
            static_names=[str(name) for name in group["static"][:]],
            raw={name: group[name][:] for name in RAW if name in group},
            period=tuple(group.attrs["period"]),
            **{name: group[name][:] for name in ("mean", "std", "tendency_std")},
        )


def compute_statistics(
    states: StateSeries, times: np.ndarray, raw: dict[str, np.ndarray], log: logging.Logger
) -> Statistics:
    """Compute the statistics of a series of states, and the static fields.

    Parameters
    ----------
    states : StateSeries
        The states.
    times : np.ndarray
        Times ``(time,)`` of those that are used, in order.
    raw : dict of str to np.ndarray
        Invariant fields ``(lat, lon)`` on the grid of the states, those of :data:`RAW` that there
        are.
    log : logging.Logger
        Takes progress and counts.

    Returns
    -------
    Statistics
        Statistics and static fields.

    Raises
    ------
    ValueError
        When a channel or its 6-h difference has no spread: it could not be standardised.
    """
    names = states.channels.names
    series = ((time, states.read(time)) for time in progress(times, "statistics", log))
    moments, tendencies = accumulate_moments(series, names, states.grid.area_weights)
    whole = (moments.count == len(times)) | [not channel.analysed for channel in states.channels]
    check_finite(whole, names, f"states from {times[0]} to {times[-1]} in {states.paths[0].parent}")
    period = iso_texts(times[[0, -1]])
    degenerate = [
        name
        for name, std, tendency in zip(names, moments.std, tendencies.std, strict=True)
        if not (std > 0 and tendency > 0)
    ]
    if degenerate:
        raise ValueError(
            f"no spread over {len(times)} times from {period[0]} to {period[1]}: "
            f"{', '.join(degenerate)}"
        )
    statics = static_fields(raw, states.grid)
    log.info("%d times, %d tendencies", len(times), int(tendencies.count.max()))
    return Statistics(
        channels=names,
        mean=moments.mean,
        std=moments.std,
        tendency_std=tendencies.std,
        statics=np.stack(list(statics.values())),
        static_names=list(statics),
        raw=raw,
        period=(period[0], period[1]),
    )
