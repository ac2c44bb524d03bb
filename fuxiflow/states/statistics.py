"""Statistics of the state channels over the training period, and the static fields of the networks.

Channels are standardised on transformed values: precipitation enters as log(1 + tp) with tp in mm.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import zarr

from fuxiflow.channels import ChannelTable, channel_table
from fuxiflow.grids import Grid
from fuxiflow.states.coordinates import consolidate, open_existing, put_coordinate, put_grid
from fuxiflow.storage import provenance

PRECIPITATION = "TP"
TENDENCY_STEP = np.timedelta64(6, "h")
RAW = {
    "surface_geopotential": "m2 s-2",
    "land_fraction": "1",
    "lake_cover": "1",
    "low_vegetation_cover": "1",
    "high_vegetation_cover": "1",
}


def transform_precipitation(state: np.ndarray, channels: ChannelTable | list[str]) -> np.ndarray:
    """A copy of a state ``(..., channel, lat, lon)`` with TP, if it is there, as log(1 + max(tp, 0))."""
    names = channels.names if isinstance(channels, ChannelTable) else list(channels)
    values = np.array(state, np.float32)
    if PRECIPITATION in names:
        index = names.index(PRECIPITATION)
        values[..., index, :, :] = np.log1p(np.maximum(values[..., index, :, :], 0.0))
    return values


@dataclass
class Moments:
    """Count of fields, mean and sum of squared deviations, by channel, area-weighted; streams and merges.

    Update after Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115. A channel that is NaN in a field
    (precipitation of an analysis) is not counted there.
    """

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def empty(cls, channels: int) -> "Moments":
        """Moments of nothing, for ``channels`` channels."""
        return cls(np.zeros(channels), np.zeros(channels), np.zeros(channels))

    @classmethod
    def of(cls, values: np.ndarray, weights: np.ndarray) -> "Moments":
        """Moments of one field ``(channel, lat, lon)`` with area weights ``(lat,)`` of mean 1."""
        values = np.asarray(values, float)
        area = (weights / weights.sum())[:, None] / values.shape[-1]
        count = np.isfinite(values).all(axis=(1, 2)).astype(float)
        values = np.where(count[:, None, None] > 0, values, 0.0)
        mean = (values * area).sum(axis=(1, 2))
        squares = ((values - mean[:, None, None]) ** 2 * area).sum(axis=(1, 2))
        return cls(count, mean, squares * count)

    def merge(self, other: "Moments") -> "Moments":
        """The moments of both samples together."""
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
    """Moments of the transformed states, and of their 6-h differences, of ``(time, field)`` pairs in order of time.

    Differences are taken only where the state 6 h before is there too.
    """
    moments, tendencies = Moments.empty(len(channels)), Moments.empty(len(channels))
    previous: tuple[np.datetime64, np.ndarray] | None = None
    for time, state in series:
        values = transform_precipitation(state, channels)
        moments = moments.merge(Moments.of(values, weights))
        if previous is not None and time - previous[0] == TENDENCY_STEP:
            tendencies = tendencies.merge(Moments.of(values - previous[1], weights))
        previous = time, values
    return moments, tendencies


def standardise_static(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A field ``(lat, lon)`` less its area mean, divided by its area-weighted standard deviation (1 if constant)."""
    moments = Moments.of(values[None], weights)
    std = moments.std[0]
    return (values - moments.mean[0]) / (std if std > 0 else 1.0)


def static_fields(raw: dict[str, np.ndarray], grid: Grid) -> dict[str, np.ndarray]:
    """The static fields ``(lat, lon)`` by name, land fraction first; ``raw`` has those of :data:`RAW` that there are.

    Surface geopotential is standardised, fractions and covers are those of the cell, the rest is computed from the
    grid. FuXi Weather has lake cover and covers of vegetation too (arXiv 2408.05472).
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
    """Mean, standard deviation and that of 6-h differences ``(channel,)``, of transformed values; static fields.

    ``statics (static, lat, lon)`` are what the networks see; ``raw`` holds those of :data:`RAW` that there are,
    ``(lat, lon)``, surface geopotential and land fraction among them. ``period`` is the first and last time used.
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
        """Write as Zarr v3."""
        group = zarr.create_group(
            path,
            overwrite=True,
            attributes={
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
        """Read what :meth:`write` wrote; FileNotFoundError if it is not there, KeyError for unknown channels."""
        group = open_existing(path, "statistics")
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
