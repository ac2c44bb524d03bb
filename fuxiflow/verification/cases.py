"""Sufficient statistics of each case: all that is kept of a pair of fields.

A case is one start time and lead time (or one analysis time, lead 0). Of its anomalies f' and r'
from climatology, for each channel and region, five area means are enough for every score and its
interval: ``<f'>, <f'^2>, <f' r'>, <r'>, <r'^2>``. They are summed in double precision, so that
``<(f - r)^2>`` may be taken from them without loss. A field with a missing cell is not scored in
any region (all its means are NaN).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from fuxiflow.storage import provenance
from fuxiflow.storage.datasets import read_dataset, write_dataset

# values a product holds at a time (4 MiB): stays in cache, and bounds memory on large grids
BLOCK_VALUES = 1 << 19
# area means of an anomaly alone: what a reference is asked for
OWN_MEANS = ("mean", "power")
QUANTITIES = ("square", "error", "correlation", "variance", "reference_variance")


def _reduce(
    products: Sequence[tuple[np.ndarray, np.ndarray]], anomaly: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Average an anomaly, and products of two fields each, over regions.

    Parameters
    ----------
    products : sequence of tuples
        Pairs of fields ``(channel, cell)`` that are multiplied.
    anomaly : np.ndarray
        Anomaly ``(channel, cell)``.
    weights : np.ndarray
        Area weights ``(region, cell)``, summing to 1 in each region.

    Returns
    -------
    np.ndarray
        Region means ``(1 + products, channel, region)``, the anomaly's first.
    """
    channels, cells = anomaly.shape
    means = np.empty((1 + len(products), channels, weights.shape[0]))
    step = max(BLOCK_VALUES // cells, 1)
    columns = np.ascontiguousarray(weights.T)
    buffer = np.empty((min(step, channels), cells))
    for first in range(0, channels, step):
        part = slice(first, first + step)
        product = buffer[: len(anomaly[part])]
        product[:] = anomaly[part]
        means[0, part] = product @ columns
        for i, (a, b) in enumerate(products, start=1):
            np.multiply(a[part], b[part], out=product, dtype=float)
            means[i, part] = product @ columns
    return means


def own_means(anomaly: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average an anomaly ``(channel, cell)`` and its square over regions.

    ``weights (region, cell)`` sum to 1 in each region. Returns ``<a'>`` and ``<a'^2>``,
    ``(2, channel, region)``.
    """
    return _reduce([(anomaly, anomaly)], anomaly, weights)


def absent_means(channels: int, regions: int) -> np.ndarray:
    """Return the :data:`OWN_MEANS` of an absent state: NaN ``(mean, channel, region)``."""
    return np.full((len(OWN_MEANS), channels, regions), np.nan)


def forecast_means(
    anomaly: np.ndarray, references: Sequence[np.ndarray], weights: np.ndarray
) -> np.ndarray:
    """Average a forecast's anomaly, its square and its products with references.

    Parameters
    ----------
    anomaly : np.ndarray
        Anomaly of the forecast, ``(channel, cell)``.
    references : sequence of np.ndarray
        Anomalies of the references, each ``(channel, cell)``.
    weights : np.ndarray
        Area weights ``(region, cell)``, summing to 1 in each region.

    Returns
    -------
    np.ndarray
        ``<f'>``, ``<f'^2>`` and, for each reference, ``<f' r'>``, as
        ``(2 + reference, channel, region)``.
    """
    return _reduce([(anomaly, anomaly), *((anomaly, r) for r in references)], anomaly, weights)


@dataclass
class Cases:
    """The cases of one system against one reference.

    Attributes
    ----------
    times : np.ndarray
        Start times ``datetime64[ns]``, ``(case,)``.
    leads : list of int
        Lead times in hours, 0 for analyses.
    channels, regions : list of str
        Names of the scored channels and regions.
    values : dict of str to np.ndarray
        :data:`QUANTITIES` as ``(case, lead, channel, region)``, NaN where there is no case:
        ``square`` <e^2>, ``error`` <e>, ``correlation`` (of each case), ``variance`` of the anomaly
        and ``reference_variance``; :mod:`fuxiflow.verification.metrics` defines them.
    """

    times: np.ndarray
    leads: list[int]
    channels: list[str]
    regions: list[str]
    values: dict[str, np.ndarray] = field(repr=False)

    @classmethod
    def from_means(
        cls,
        times: np.ndarray,
        leads: Sequence[int],
        channels: Sequence[str],
        regions: Sequence[str],
        means: Sequence[np.ndarray],
    ) -> "Cases":
        """Make cases of area means.

        Parameters
        ----------
        times : np.ndarray
            Start times, ``(case,)``.
        leads : sequence of int
            Lead times in hours.
        channels, regions : sequence of str
            Names of channels and regions.
        means : sequence of np.ndarray
            ``<f'>, <f'^2>, <f' r'>, <r'>, <r'^2>``, each ``(case, lead, channel, region)``.

        Returns
        -------
        Cases
            Their quantities, NaN where ``<f' r'>`` is.
        """
        mean, power, cross, reference_mean, reference_power = means
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = cross / np.sqrt(power * reference_power)
        correlation[~np.isfinite(correlation)] = np.nan
        complete = np.isfinite(cross)
        # rounding may leave what cannot be negative just below 0
        values = {
            "square": np.maximum(power + reference_power - 2 * cross, 0.0),
            "error": mean - reference_mean,
            "correlation": np.clip(correlation, -1.0, 1.0),
            "variance": np.where(complete, np.maximum(power - mean**2, 0.0), np.nan),
            "reference_variance": np.where(
                complete, np.maximum(reference_power - reference_mean**2, 0.0), np.nan
            ),
        }
        return cls(
            np.asarray(times, "datetime64[ns]"), list(leads), list(channels), list(regions), values
        )

    def select(self, times: np.ndarray, leads: Sequence[int], channels: Sequence[str]) -> "Cases":
        """Take some of the cases.

        Parameters
        ----------
        times : np.ndarray
            Start times, ``(case,)``.
        leads : sequence of int
            Lead times in hours.
        channels : sequence of str
            Names of channels.

        Returns
        -------
        Cases
            Cases in the order asked for.

        Raises
        ------
        KeyError
            A time, lead or channel is not there.
        """
        axes = []
        for present, selected, name in (
            (self.times.tolist(), np.asarray(times, "datetime64[ns]").tolist(), "time"),
            (self.leads, list(leads), "lead"),
            (self.channels, list(channels), "channel"),
        ):
            position = {value: i for i, value in enumerate(present)}
            absent = [value for value in selected if value not in position]
            if absent:
                raise KeyError(f"no case of {name} {absent[0]}")
            axes.append([position[value] for value in selected])
        index = np.ix_(*axes, range(len(self.regions)))
        return Cases(
            np.asarray(times, "datetime64[ns]"),
            list(leads),
            list(channels),
            self.regions,
            {name: value[index] for name, value in self.values.items()},
        )

    def common(self, other: "Cases") -> tuple["Cases", "Cases"]:
        """Reduce both to the start times, leads and channels that they share.

        A comparison needs such a homogeneous sample. ValueError when their regions differ.
        """
        if self.regions != other.regions:
            raise ValueError(
                f"cases of the regions {self.regions} and {other.regions} cannot be compared"
            )
        times = np.intersect1d(self.times, other.times)
        leads = [lead for lead in self.leads if lead in set(other.leads)]
        channels = [channel for channel in self.channels if channel in set(other.channels)]
        return self.select(times, leads, channels), other.select(times, leads, channels)

    def dataset(self) -> xr.Dataset:
        """Return the cases as a data set with named dimensions, in single precision."""
        dims = ("time", "lead_time", "channel", "region")
        channels, regions = (np.array(names, object) for names in (self.channels, self.regions))
        return xr.Dataset(
            {name: (dims, value.astype(np.float32)) for name, value in self.values.items()},
            coords={
                "time": self.times,
                "lead_time": self.leads,
                "channel": channels,
                "region": regions,
            },
        )


CaseKey = tuple[str, str]  # system and reference


def write_cases(path: Path, cases: Mapping[CaseKey, Cases]) -> None:
    """Write cases as the groups ``system/reference`` of a Zarr store."""
    groups = {"/".join(key): value.dataset() for key, value in cases.items()}
    stamp = {"provenance": provenance.as_json(), "pairs": list(groups)}
    write_dataset(path, {"": xr.Dataset(attrs=stamp), **groups})


def read_cases(path: Path) -> dict[CaseKey, Cases]:
    """Read cases as written by :func:`write_cases`."""
    cases = {}
    for pair in read_dataset(path).attrs["pairs"]:
        data = read_dataset(path, pair)
        values = {name: data[name].values.astype(float) for name in QUANTITIES}
        cases[tuple(pair.split("/"))] = Cases(
            data["time"].values.astype("datetime64[ns]"),
            data["lead_time"].values.tolist(),
            data["channel"].values.tolist(),
            data["region"].values.tolist(),
            values,
        )
    return cases
