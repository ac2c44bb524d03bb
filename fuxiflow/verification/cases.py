"""Sufficient statistics of each case: all that is kept of a pair of fields.

A case is one start time and lead time (or one analysis time, lead 0). Of its anomalies f' and r'
from climatology, for each channel and region, five area means are enough for every score and its
interval: ``<f'>, <f'^2>, <f' r'>, <r'>, <r'^2>``. They are summed in double precision, so that
``<(f - r)^2>`` may be taken from them without loss. A field with a missing cell is not scored in
any region (all its means are NaN).
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from fuxiflow.storage import provenance
from fuxiflow.storage.datasets import read_dataset, write_dataset
from fuxiflow.verification.case_counts import CaseCount, counts_attribute

QUANTITIES = ("square", "error", "correlation", "variance", "reference_variance")
# differences of their means, or the means themselves, may be near 0: single precision would show
DOUBLE = ("square", "error", "correlation")


def case_quantities(means: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Make the quantities of cases of their area means.

    Parameters
    ----------
    means : sequence of np.ndarray
        ``<f'>, <f'^2>, <f' r'>, <r'>, <r'^2>``, all of one shape, in double precision.

    Returns
    -------
    dict of str to np.ndarray
        :data:`QUANTITIES`, NaN where ``<f' r'>`` is.
    """
    mean, power, cross, reference_mean, reference_power = means
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = cross / np.sqrt(power * reference_power)
    correlation[~np.isfinite(correlation)] = np.nan
    complete = np.isfinite(cross)
    # rounding may leave what cannot be negative just below 0
    return {
        "square": np.maximum(power + reference_power - 2 * cross, 0.0),
        "error": mean - reference_mean,
        "correlation": np.clip(correlation, -1.0, 1.0),
        "variance": np.where(complete, np.maximum(power - mean**2, 0.0), np.nan),
        "reference_variance": np.where(
            complete, np.maximum(reference_power - reference_mean**2, 0.0), np.nan
        ),
    }


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
        :data:`QUANTITIES` as ``(case, lead, channel, region)``, NaN where there is no case, in
        single precision but for :data:`DOUBLE`; those of :func:`write_cases` are all in single:
        ``square`` <e^2>, ``error`` <e>, ``correlation`` (of each case), ``variance`` of the anomaly
        and ``reference_variance``; :mod:`fuxiflow.verification.metrics` defines them.
    """

    times: np.ndarray
    leads: list[int]
    channels: list[str]
    regions: list[str]
    values: dict[str, np.ndarray] = field(repr=False)

    @classmethod
    def empty(
        cls,
        times: np.ndarray,
        leads: Sequence[int],
        channels: Sequence[str],
        regions: Sequence[str],
    ) -> "Cases":
        """Make cases of which none is there yet.

        Parameters
        ----------
        times : np.ndarray
            Start times, ``(case,)``.
        leads : sequence of int
            Lead times in hours.
        channels, regions : sequence of str
            Names of channels and regions.

        Returns
        -------
        Cases
            All quantities are NaN.
        """
        times = np.asarray(times, "datetime64[ns]")
        shape = len(times), len(leads), len(channels), len(regions)
        values = {
            name: np.full(shape, np.nan, float if name in DOUBLE else np.float32)
            for name in QUANTITIES
        }
        return cls(times, list(leads), list(channels), list(regions), values)

    def put(self, i: int, j: int, means: Sequence[np.ndarray]) -> None:
        """Put one case.

        Parameters
        ----------
        i, j : int
            Positions of the start time and the lead.
        means : sequence of np.ndarray
            Area means as of :func:`case_quantities`, each ``(channel, region)``.
        """
        for name, quantity in case_quantities(means).items():
            self.values[name][i, j] = quantity

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
        """Return the cases as a data set with named dimensions, in their precision."""
        dims = ("time", "lead_time", "channel", "region")
        channels, regions = (np.array(names, object) for names in (self.channels, self.regions))
        return xr.Dataset(
            {name: (dims, value) for name, value in self.values.items()},
            coords={
                "time": self.times,
                "lead_time": self.leads,
                "channel": channels,
                "region": regions,
            },
        )


CaseKey = tuple[str, str]  # system and reference


def join_cases(parts: Sequence[Cases]) -> Cases:
    """Join cases of one system and reference at different start times, in any order.

    Parameters
    ----------
    parts : sequence of Cases
        At least one; with the same leads, channels and regions.

    Returns
    -------
    Cases
        All of them, in order of time.

    Raises
    ------
    ValueError
        Leads, channels or regions differ, or two parts have the same time.
    """
    first = parts[0]
    for name in ("leads", "channels", "regions"):
        for part in parts:
            if getattr(part, name) != getattr(first, name):
                raise ValueError(
                    f"{name} {getattr(part, name)} differ from {getattr(first, name)} of others"
                )
    times = np.concatenate([part.times for part in parts])
    order = np.argsort(times, kind="stable")
    times = times[order]
    if twice := times[1:][np.diff(times) == np.timedelta64(0)].tolist():
        raise ValueError(f"two parts have cases of {np.datetime64(twice[0], 'ns')}")
    values = {
        name: np.concatenate([part.values[name] for part in parts])[order] for name in QUANTITIES
    }
    return Cases(times, first.leads, first.channels, first.regions, values)


class _Groups(Mapping):
    """The data sets of cases by the group of a store, each made when it is asked for."""

    def __init__(self, cases: Mapping[CaseKey, Cases], **attributes):
        self.cases = cases
        self.keys_by_group = {"/".join(key): key for key in cases}
        stamp = {"provenance": provenance.as_json(), "pairs": list(self.keys_by_group)}
        self.root = xr.Dataset(attrs={**stamp, **attributes})

    def __getitem__(self, group: str) -> xr.Dataset:
        return self.cases[self.keys_by_group[group]].dataset() if group else self.root

    def __iter__(self) -> Iterator[str]:
        return iter(["", *self.keys_by_group])

    def __len__(self) -> int:
        return 1 + len(self.keys_by_group)


class _SingleGroups(_Groups):
    """The same in single precision."""

    def __getitem__(self, group: str) -> xr.Dataset:
        return super().__getitem__(group).astype(np.float32, copy=False)


def write_cases(path: Path, cases: Mapping[CaseKey, Cases]) -> None:
    """Write cases in single precision as the groups ``system/reference`` of a Zarr store."""
    write_dataset(path, _SingleGroups(cases))


def write_part_of_cases(
    path: Path, cases: Mapping[CaseKey, Cases], counts: Sequence[CaseCount]
) -> None:
    """Write the cases of a part as they are, so that scores of all parts lose nothing.

    Parameters
    ----------
    path : Path
        The store, which :class:`StoredCases` reads.
    cases : mapping of CaseKey to Cases
        Cases by system and reference.
    counts : sequence of CaseCount
        How many of them there are, which :func:`fuxiflow.verification.case_counts.read_counts`
        reads.
    """
    write_dataset(path, _Groups(cases, **counts_attribute(counts)))


class _CasesOnDisk(Mapping):
    """Cases by the keys in ``_keys``, which are known before any case is read."""

    _keys: list[CaseKey]

    def __iter__(self) -> Iterator[CaseKey]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys


class StoredCases(_CasesOnDisk):
    """The cases in a store of :func:`write_cases`, by key; read when asked for, and not kept."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self._keys = [tuple(pair.split("/")) for pair in read_dataset(path).attrs["pairs"]]

    def __getitem__(self, key: CaseKey) -> Cases:
        """Read the cases of a system and a reference."""
        if key not in self._keys:
            raise KeyError(key)
        data = read_dataset(self.path, "/".join(key))
        return Cases(
            data["time"].values.astype("datetime64[ns]"),
            data["lead_time"].values.tolist(),
            data["channel"].values.tolist(),
            data["region"].values.tolist(),
            {name: data[name].values for name in QUANTITIES},
        )


class MergedCases(_CasesOnDisk):
    """The cases of several parts together, by key; joined when asked for, and not kept."""

    def __init__(self, paths: Sequence[Path]):
        """Open stores of :func:`write_part_of_cases`, in any order."""
        self.parts = [StoredCases(path) for path in paths]
        # a part may lack a system, so the order is that of the part with the most
        fullest = sorted(self.parts, key=len, reverse=True)
        self._keys = list(dict.fromkeys(key for part in fullest for key in part))

    def only(self, condition: Callable[[CaseKey], bool]) -> "MergedCases":
        """Return those whose system and reference meet a condition."""
        selection = copy.copy(self)
        selection._keys = [key for key in self._keys if condition(key)]
        return selection

    def __getitem__(self, key: CaseKey) -> Cases:
        """Join the cases of a system and a reference; ValueError names parts that do not fit."""
        if key not in self._keys:
            raise KeyError(key)
        parts = [part for part in self.parts if key in part]
        try:
            return join_cases([part[key] for part in parts])
        except ValueError as error:
            among = ", ".join(str(part.path) for part in parts)
            raise ValueError(
                f"cases of {' against '.join(key)}: {error}; delete the one that is out of date "
                f"and run again: {among}"
            ) from error
