"""Statistics of the state channels over the training period, and the static fields of the networks.

Channels are standardised on transformed values: precipitation enters as log(1 + tp) with tp in mm.
"""

import logging
from collections.abc import Iterable, Sequence
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
from fuxiflow.storage.moments import Moments, SegmentMoments
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store
from fuxiflow.times import STEP_HOURS

PRECIPITATION = "TP"
STATE, DIFFERENCE = "state", "difference"
"""Kinds of samples that the statistics are made of."""
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
        values[..., index, :, :] = _log_precipitation(values[..., index, :, :])
    return values


def _log_precipitation(amount: np.ndarray) -> np.ndarray:
    return np.log1p(np.maximum(amount, 0.0))


def accumulate_moments(
    series: Iterable[tuple[np.datetime64, np.ndarray]],
    channels: list[str],
    weights: np.ndarray,
    since: np.datetime64 | None = None,
) -> tuple[Moments, Moments]:
    """Accumulate the moments of transformed states and of their 6-h differences.

    A difference is taken only where the state 6 h before is there too.

    Parameters
    ----------
    series : Iterable of tuple
        Times and fields ``(channel, lat, lon)`` in order of time. Precipitation is transformed in
        place.
    channels : list of str
        Channels of the fields.
    weights : np.ndarray
        Area weights ``(lat,)``.
    since : np.datetime64, optional
        The first time that counts; the state before it is there for the first difference alone. By
        default all count.

    Returns
    -------
    Moments
        Of the states.
    Moments
        Of the differences.
    """
    moments = Moments.empty(len(channels))
    tendencies = Moments.empty(len(channels))
    precipitation = channels.index(PRECIPITATION) if PRECIPITATION in channels else None
    previous: tuple[np.datetime64, np.ndarray] | None = None
    for time, state in series:
        if precipitation is not None:
            state[precipitation] = _log_precipitation(state[precipitation])
        if since is None or time >= since:
            moments = moments.merge(Moments.of_field(state, weights))
            if previous is not None and time - previous[0] == TENDENCY_STEP:
                difference = Moments.of_field(state, weights, before=previous[1])
                tendencies = tendencies.merge(difference)
        previous = time, state
    return moments, tendencies


def standardise_static(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Standardise a field ``(lat, lon)`` by its area-weighted mean and standard deviation.

    ``weights (lat,)`` are areas. A constant field is divided by 1.
    """
    moments = Moments.of_field(values[None], weights)
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


def segment_moments(
    states: StateSeries, dates: Sequence[str], log: logging.Logger
) -> SegmentMoments:
    """Compute the moments of the states of some days, and of their 6-h differences.

    Parameters
    ----------
    states : StateSeries
        The states, with the one 6 h before the first day where there is one: the difference from it
        belongs to these days.
    dates : Sequence of str
        First and last day, both included.
    log : logging.Logger
        Takes progress.

    Returns
    -------
    SegmentMoments
        Of the kinds :data:`STATE` and :data:`DIFFERENCE`.

    Raises
    ------
    IncompleteError
        When a channel that every state has is NaN in one.
    """
    names, weights = states.channels.names, states.grid.area_weights
    since, end = (np.datetime64(day, "D") for day in dates)
    end = end + np.timedelta64(1, "D")
    times = states.times[(states.times >= since - TENDENCY_STEP) & (states.times < end)]
    series = ((time, states.read(time)) for time in progress(times, "statistics", log))
    moments, tendencies = accumulate_moments(series, names, weights, since)
    own = times[times >= since]
    whole = (moments.count == len(own)) | [not channel.analysed for channel in states.channels]
    check_finite(whole, names, f"states from {since} to {dates[1]} in {states.paths[-1]}")
    log.info("%d times, %d tendencies", len(own), int(tendencies.count.max()))
    first, last = iso_texts(own[[0, -1]]) if len(own) else ("", "")
    return SegmentMoments(names, {STATE: moments, DIFFERENCE: tendencies}, first, last)


def complete_statistics(
    moments: SegmentMoments, raw: dict[str, np.ndarray], grid: Grid
) -> Statistics:
    """Make the statistics of merged moments, and the static fields.

    Parameters
    ----------
    moments : SegmentMoments
        Moments of all states, as :func:`segment_moments` makes them.
    raw : dict of str to np.ndarray
        Invariant fields ``(lat, lon)`` on the grid of the states, those of :data:`RAW` that there
        are.
    grid : Grid
        Grid of the states.

    Returns
    -------
    Statistics
        Statistics and static fields.

    Raises
    ------
    ValueError
        When a channel or its 6-h difference has no spread: it could not be standardised.
    """
    states, tendencies = moments.kinds[STATE], moments.kinds[DIFFERENCE]
    degenerate = [
        name
        for name, std, tendency in zip(moments.channels, states.std, tendencies.std, strict=True)
        if not (std > 0 and tendency > 0)
    ]
    if degenerate:
        raise ValueError(
            f"no spread over {int(states.count.max())} times from {moments.first} to "
            f"{moments.last}: {', '.join(degenerate)}"
        )
    statics = static_fields(raw, grid)
    return Statistics(
        channels=moments.channels,
        mean=states.mean,
        std=states.std,
        tendency_std=tendencies.std,
        statics=np.stack(list(statics.values())),
        static_names=list(statics),
        raw=raw,
        period=(moments.first, moments.last),
    )
