"""Structure of analyses and forecasts beside a reference: spectra of power, and balance.

Of each case a few numbers are kept: power by total wavenumber of the state, of the reference and of
the error, and mean squares of what is out of balance. Cases come in the order of their valid times,
so that each state of the reference is transformed once.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.states.store import StateSeries
from fuxiflow.storage import provenance
from fuxiflow.storage.datasets import read_dataset, write_dataset
from fuxiflow.verification import balance
from fuxiflow.verification.case_counts import CaseCount, counts_attribute
from fuxiflow.verification.collection import case_order, valid_time
from fuxiflow.verification.harmonics import SphericalHarmonics, power_by_degree
from fuxiflow.verification.observation_departures import State, StateReader

SPECTRA = {
    "kinetic_energy_300": ("U300", "V300"),
    "kinetic_energy_850": ("U850", "V850"),
    "geopotential_500": ("Z500",),
}
"""By spectrum, the channels that it is of: of a wind, or of a scalar."""
SPECTRUM_UNITS = {"kinetic_energy": "m2 s-2", "geopotential": "m4 s-4"}
GEOSTROPHIC = {f"geostrophic_{level}": level for level in (300, 500, 850)}
"""By residual, the level in hPa whose wind is compared with the geostrophic one."""
HYDROSTATIC = {f"hydrostatic_{top}_{bottom}": (top, bottom) for top, bottom in balance.LAYERS}
"""By residual, the layer in hPa whose thickness is compared with its temperatures."""
RESIDUALS = (*GEOSTROPHIC, *HYDROSTATIC)
POWERS = ("power", "reference_power", "error_power")
SQUARES = ("residual", "reference_residual", "difference")
"""Mean squares of a residual: of the state, of the reference, and of the two's difference."""
DIMENSIONS = ("time", "lead_time", "system")


def needed_channels() -> list[str]:
    """Return the channels that spectra and residuals are made of; others need not be read."""
    names = [name for channels in SPECTRA.values() for name in channels]
    names += [f"{variable}{level}" for level in GEOSTROPHIC.values() for variable in "ZUV"]
    levels = {level for layer in HYDROSTATIC.values() for level in layer}
    names += [f"{variable}{level}" for level in sorted(levels) for variable in "ZTR"]
    return list(dict.fromkeys(names))


class StructureProbe:
    """Takes coefficients and residuals of states on one grid, of what their channels allow."""

    def __init__(self, grid: Grid):
        """Prepare the transform; ValueError for a grid with rows on the poles."""
        self.grid = grid
        self.harmonics = SphericalHarmonics(grid)
        cells = np.broadcast_to(grid.area_weights[:, None], grid.shape)
        self._weights = cells / cells.sum()
        rows = self._weights[balance.in_extratropics(grid)]
        self._extratropics = rows / rows.sum()

    def coefficients(self, state: State) -> dict[str, np.ndarray]:
        """Return by spectrum the coefficients ``(part, degree, order)`` of a state.

        The power of a wind's two parts sums to its kinetic energy.
        """
        channels = dict(zip(*state, strict=True))
        fields = {
            name: [channels[part] for part in parts]
            for name, parts in SPECTRA.items()
            if all(part in channels for part in parts)
        }
        winds = {name: parts for name, parts in fields.items() if len(parts) == 2}
        coefficients = {
            name: self.harmonics.scalars(parts[0])[None]
            for name, parts in fields.items()
            if name not in winds
        }
        if winds:
            # together, as making the functions of latitude takes most of the time
            components = map(np.stack, zip(*winds.values(), strict=True))
            both = np.stack(self.harmonics.winds(*components), axis=1) / np.sqrt(2)
            coefficients |= zip(winds, both, strict=True)
        return coefficients

    def residuals(self, state: State) -> dict[str, np.ndarray]:
        """Return by name the fields that are out of balance in a state."""
        channels = dict(zip(*state, strict=True))
        fields = {}
        for name, level in GEOSTROPHIC.items():
            parts = [f"{variable}{level}" for variable in "ZUV"]
            if all(part in channels for part in parts):
                wind = [channels[part] for part in parts]
                fields[name] = balance.ageostrophic_wind(*wind, self.grid)
        for name, layer in HYDROSTATIC.items():
            parts = [[f"{variable}{level}" for level in layer] for variable in "ZTR"]
            if all(part in channels for pair in parts for part in pair):
                pairs = [np.stack([channels[part] for part in pair]) for pair in parts]
                fields[name] = balance.hydrostatic_residual(*pairs, layer)
        return fields

    def mean_square(self, name: str, residual: np.ndarray) -> float:
        """Return the area mean of the square of a residual, of both components of a wind."""
        weights = self._extratropics if name in GEOSTROPHIC else self._weights
        return float((weights * residual**2).sum())


def _empty(
    times: np.ndarray, leads: Sequence[int], systems: Sequence[str], degrees: int
) -> xr.Dataset:
    """Make the data set of cases of which none is there yet.

    Parameters
    ----------
    times : np.ndarray
        Start times, ``(time,)``.
    leads : sequence of int
        Lead times in hours.
    systems : sequence of str
        Names of the systems.
    degrees : int
        Number of total wavenumbers, from 0.

    Returns
    -------
    xr.Dataset
        ``spectra (time, lead_time, system, spectrum, power, wavenumber)`` and ``residuals (time,
        lead_time, system, residual, square)``, NaN where there is no case.
    """
    cases = len(times), len(leads), len(systems)
    spectra = (*DIMENSIONS, "spectrum", "power", "wavenumber")
    residuals = (*DIMENSIONS, "residual", "square")
    return xr.Dataset(
        {
            "spectra": (
                spectra,
                np.full((*cases, len(SPECTRA), len(POWERS), degrees), np.nan, np.float32),
            ),
            "residuals": (
                residuals,
                np.full((*cases, len(RESIDUALS), len(SQUARES)), np.nan, np.float32),
            ),
        },
        coords={
            "time": np.asarray(times, "datetime64[ns]"),
            "lead_time": list(leads),
            "system": np.array(list(systems), object),
        },
    )


def collect_structure(
    systems: Mapping[str, StateReader],
    reference: StateSeries,
    inits: np.ndarray,
    leads: Sequence[int],
    log: logging.Logger,
) -> tuple[xr.Dataset, list[CaseCount]]:
    """Gather spectra and residuals of all systems at some leads.

    Parameters
    ----------
    systems : Mapping[str, StateReader]
        States by system, the main one first. A case that another one lacks is left out for it.
    reference : StateSeries
        States of the reference.
    inits : np.ndarray
        Start times, ``(time,)``.
    leads : sequence of int
        Lead times in hours, 0 for analyses.
    log : logging.Logger
        Told the progress.

    Returns
    -------
    data : xr.Dataset
        See :func:`_empty`.
    counts : list of CaseCount
        How many cases have a state of the main system and of the reference.
    """
    probe = StructureProbe(reference.grid)
    data = _empty(inits, leads, list(systems), probe.harmonics.last + 1)
    main, lacking = next(iter(systems)), []
    cases = list(case_order(inits, leads))
    beside = _ReferenceStates(probe, reference)
    for i, j in progress(cases, "spectra and balance", log):
        valid = valid_time(inits[i], leads[j])
        if valid not in reference:
            lacking.append(valid)
            continue
        for k, (name, read) in enumerate(systems.items()):
            state = read(inits[i], leads[j])
            if state is None:
                lacking += [valid] * (name == main)
                continue
            coefficients, residuals = beside.at(valid)
            spectra = data["spectra"].values[i, j, k]
            for row, power in _powers(probe.coefficients(state), coefficients):
                spectra[row] = power
            squares = data["residuals"].values[i, j, k]
            for row, square in _squares(probe, probe.residuals(state), residuals):
                squares[row] = square
    what = f"cases of spectra have a state of {main} and of the reference"
    return data, [CaseCount.of_times(what, len(cases), lacking)]


class _ReferenceStates:
    """Coefficients and residuals of the reference at the last time that was asked for."""

    def __init__(self, probe: StructureProbe, states: StateSeries):
        self.probe, self.states = probe, states
        self._time: np.datetime64 | None = None

    def at(self, time: np.datetime64) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return coefficients and residuals of a time."""
        if time != self._time:
            state = self.states.channels.names, self.states.read(time)
            self._time = time
            self._parts = self.probe.coefficients(state), self.probe.residuals(state)
        return self._parts


def _powers(
    state: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the row of each spectrum that both have, and its powers ``(power, wavenumber)``."""
    for row, name in enumerate(SPECTRA):
        if name in state and name in reference:
            three = state[name], reference[name], state[name] - reference[name]
            yield row, np.stack([power_by_degree(part).sum(axis=0) for part in three])


def _squares(
    probe: StructureProbe, state: Mapping[str, np.ndarray], reference: Mapping[str, np.ndarray]
) -> Iterator[tuple[int, list[float]]]:
    """Yield the row of each residual that both have, and its mean squares.

    Parameters
    ----------
    probe : StructureProbe
        Has the weights of the means.
    state, reference : Mapping[str, np.ndarray]
        Residuals by name.

    Yields
    ------
    tuple
        Row and :data:`SQUARES`.
    """
    for row, name in enumerate(RESIDUALS):
        if name in state and name in reference:
            three = state[name], reference[name], state[name] - reference[name]
            yield row, [probe.mean_square(name, part) for part in three]


def write_structure(path: Path, data: xr.Dataset, counts: Sequence[CaseCount]) -> None:
    """Write the cases of a part.

    Parameters
    ----------
    path : Path
        The Zarr store.
    data : xr.Dataset
        Cases of :func:`collect_structure`.
    counts : sequence of CaseCount
        How many there are.
    """
    stamp = {"provenance": provenance.as_json(), **counts_attribute(counts)}
    write_dataset(path, {"": data.assign_attrs(stamp)})


def join_structure(paths: Sequence[Path]) -> xr.Dataset:
    """Join the cases of parts in order of time; ValueError names one of other leads or systems."""
    parts = [read_dataset(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        for name in ("lead_time", "system", "wavenumber"):
            if part.sizes[name] != parts[0].sizes[name] or (
                name in part.coords and (part[name].values != parts[0][name].values).any()
            ):
                raise ValueError(f"{path}: another {name} than that of {paths[0]}; delete it")
    return xr.concat(parts, "time", combine_attrs="drop").sortby("time")


def _rows(values: np.ndarray, data: xr.Dataset, reference: str) -> pd.DataFrame:
    """Average cases, and list the system, lead and position of each mean.

    Parameters
    ----------
    values : np.ndarray
        ``(time, lead_time, system, name, statistic, ...)``, NaN where there is no case.
    data : xr.Dataset
        Has the names of leads and systems.
    reference : str
        Name of the reference.

    Returns
    -------
    pd.DataFrame
        A row for each mean, with ``name`` and ``wavenumber`` as positions, ``n`` cases, and a
        column for each statistic, by position. Means of no case have no row.
    """
    values = np.moveaxis(values.astype(float), 4, -1)
    if values.ndim == 5:
        values = values[..., None, :]
    there = np.isfinite(values)
    n = there.sum(axis=0)
    with np.errstate(invalid="ignore"):
        means = np.where(there, values, 0.0).sum(axis=0) / n
    lead, system, name, wavenumber = (index.ravel() for index in np.indices(n.shape[:-1]))
    frame = pd.DataFrame(
        {
            "system": np.array([str(name) for name in data["system"].values], object)[system],
            "reference": reference,
            "lead_time": data["lead_time"].values[lead],
            "name": name,
            "wavenumber": wavenumber,
            "n": n[..., 0].ravel(),
            **{i: means[..., i].ravel() for i in range(means.shape[-1])},
        }
    )
    return frame[frame["n"] > 0]


def spectra_table(data: xr.Dataset, reference: str) -> pd.DataFrame:
    """List the mean power by total wavenumber.

    Parameters
    ----------
    data : xr.Dataset
        Cases.
    reference : str
        Name of the reference.

    Returns
    -------
    pd.DataFrame
        ``system``, ``reference``, ``quantity``, ``level`` (hPa), ``unit``, ``lead_time`` (h),
        ``wavenumber``, ``n`` cases and :data:`POWERS`.
    """
    frame = _rows(data["spectra"].values, data, reference).rename(columns=dict(enumerate(POWERS)))
    parts = [name.rsplit("_", 1) for name in SPECTRA]
    quantity = [parts[i][0] for i in frame["name"]]
    frame = frame.assign(
        quantity=quantity,
        level=[int(parts[i][1]) for i in frame["name"]],
        unit=[SPECTRUM_UNITS[name] for name in quantity],
    )
    keys = ["system", "reference", "quantity", "level", "unit", "lead_time", "wavenumber", "n"]
    return frame[[*keys, *POWERS]].reset_index(drop=True)


def balance_table(data: xr.Dataset, reference: str) -> pd.DataFrame:
    """List the root mean squares of what is out of balance.

    Parameters
    ----------
    data : xr.Dataset
        Cases.
    reference : str
        Name of the reference.

    Returns
    -------
    pd.DataFrame
        ``system``, ``reference``, ``relation`` (geostrophic or hydrostatic), ``top`` and
        ``bottom`` (hPa; the same of a level), ``unit``, ``lead_time`` (h), ``n`` cases and the
        roots of :data:`SQUARES`.
    """
    frame = _rows(data["residuals"].values, data, reference)
    frame = frame.rename(columns=dict(enumerate(SQUARES)))
    frame[[*SQUARES]] = np.sqrt(frame[[*SQUARES]])
    parts = [name.split("_") for name in RESIDUALS]
    relation = [parts[i][0] for i in frame["name"]]
    frame = frame.assign(
        relation=relation,
        top=[int(parts[i][1]) for i in frame["name"]],
        bottom=[int(parts[i][-1]) for i in frame["name"]],
        unit=["m s-1" if name == "geostrophic" else "K" for name in relation],
    )
    keys = ["system", "reference", "relation", "top", "bottom", "unit", "lead_time", "n"]
    return frame[[*keys, *SQUARES]].reset_index(drop=True)
