"""Build the operator's committed tables: ``python -m fuxiflow build-operators``.

Absorption at dense quadrature nodes is fitted level by level. Then, channel by channel, those 1-3
nodes and weights are selected that best give the channel's brightness temperature over an ensemble
of atmospheres (optimal spectral sampling, Moncet et al., 2008, doi:10.1175/2008JAS2711.1). Needs
pyrtlib and scipy.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from fuxiflow.config import sources
from fuxiflow.operators import gas_absorption
from fuxiflow.operators.microwave import (
    FEATURES,
    MicrowaveOperator,
    OperatorTable,
    features,
)
from fuxiflow.operators.pass_bands import CONICAL, PassBand, pass_bands, quadrature
from fuxiflow.physics import saturation_vapour_pressure

SOURCES = {
    "atms": "noaa20_atms",
    "amsua": "amsua",
    "mhs": "mhs",
    "mwts3": "fy3e_mwts3",
    "mwhs2": "fy3e_mwhs2",
    "ssmis": "ssmis",
}
"""The source of ``config/sources`` whose channels each instrument's table has."""
LEVELS = 90
"""Levels of a table."""
FINER_LEVELS = {"ssmis": 100}
"""Levels where channels lie about the centres of lines, as 19-24 of SSMIS do."""
QUADRATURE_POINTS = 7
"""Gauss-Legendre nodes of a pass-band."""
TOLERANCE = 0.03
"""Root mean square error in K of a channel at which it needs no more nodes."""
MOST_NODES = 3
"""Nodes of a channel."""
LARGEST_ERROR = 0.2
"""Error in K on a held-out atmosphere for which a channel may have more nodes."""
MOST_NODES_OF_A_HARD_CHANNEL = 6
"""Nodes of a channel whose error is larger than :data:`LARGEST_ERROR`."""
MOST_GROUPS = 3
"""Groups of nodes, each with a sweep of its own."""
UNITY = 1e5
"""Weight in the least squares of the condition that a channel's weights add up to one."""
ENSEMBLE = 600
"""Random atmospheres that nodes are selected over."""
SEED = 20230601
"""Seed of these atmospheres."""


def table_levels(count: int = LEVELS) -> np.ndarray:
    """Return the pressures ``(level,)`` in hPa of a table, from 0.01 to 1085.

    They are denser in log pressure towards the ground.
    """
    return np.exp(
        np.interp(np.linspace(0, 1, count), [0, 0.35, 0.62, 1], np.log([0.01, 10.0, 200.0, 1085.0]))
    )


def temperature_box(pressure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the temperatures that absorption is fitted over at ``pressure`` in hPa.

    Their centre and half range are in K, ``(level,)`` each.
    """
    knots = [0.01, 0.1, 1, 3, 10, 30, 70, 100, 200, 300, 500, 700, 850, 1000, 1085]
    centre = [200, 230, 265, 250, 230, 222, 212, 205, 218, 232, 258, 272, 280, 285, 288]
    half = np.interp(
        np.log(pressure), np.log([0.01, 1, 10, 100, 300, 1085]), [45, 45, 45, 42, 40, 55]
    )
    return np.interp(np.log(pressure), np.log(knots), centre), half


def fit_absorption(pressure: np.ndarray, frequency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit polynomials to the absorption of air, level by level and node by node.

    Least squares of the relative error at 9 Chebyshev nodes of temperature times 5 of vapour
    pressure, up to 1.05 times saturation or 6 % of the pressure. Returns coefficients ``(level, 12,
    node)`` and the largest relative error ``(level, node)``; ``pressure`` is in hPa, ``frequency``
    in GHz.
    """
    centre, half = temperature_box(pressure)
    angle = np.cos(np.pi * (np.arange(9) + 0.5) / 9)
    share = 0.5 * (1.0 - np.cos(np.pi * (np.arange(5) + 0.5) / 5))
    coefficients = np.zeros((len(pressure), FEATURES, len(frequency)))
    errors = np.zeros((len(pressure), len(frequency)))
    for i, p in enumerate(pressure):
        temperature = np.repeat(centre[i] + half[i] * angle, 5)
        most = np.clip(1.05 * saturation_vapour_pressure(temperature), 1e-6 * p, 0.06 * p)
        vapour = most * np.tile(share, 9)
        target = gas_absorption.air_absorption(
            p, temperature[:, None], vapour[:, None], frequency[None]
        )
        tensors = (torch.as_tensor(v) for v in (temperature, vapour, centre[i], half[i]))
        design = features(*tensors).numpy()
        scale = np.abs(design).max(axis=0)
        for node in range(len(frequency)):
            expected = target[:, node]
            # divided by what is expected, residuals are relative errors
            system = design / scale / expected[:, None]
            coefficients[i, :, node] = (
                np.linalg.lstsq(system, np.ones(len(expected)), rcond=1e-10)[0] / scale
            )
            errors[i, node] = np.abs(design @ coefficients[i, :, node] / expected - 1.0).max()
    return coefficients, errors


def random_atmospheres(pressure: np.ndarray, count: int, seed: int = SEED) -> dict[str, np.ndarray]:
    """Make random atmospheres as arguments of the operator.

    They are mixtures of the AFGL profiles with smooth perturbations: temperature of 5 K with a
    correlation length of half a scale height or so, humidity by a factor exp(0.7 x). Surface
    pressure is 500-1060 hPa, emissivity 0.4-1, the zenith angle 0-64 degrees, and the skin differs
    by 4 K from the air.

    Parameters
    ----------
    pressure : np.ndarray
        In hPa, ``(level,)``.
    count : int
        Number of atmospheres.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    dict[str, np.ndarray]
        Arguments of :meth:`MicrowaveOperator.forward` by name.
    """
    rng = np.random.default_rng(seed)
    base_t, base_q = gas_absorption.afgl_profiles(pressure)
    share = rng.dirichlet(np.full(6, 0.5), count)
    knots = np.linspace(np.log(pressure[0]), np.log(pressure[-1]), 20)
    smooth = np.array(
        [np.interp(np.log(pressure), knots, row) for row in rng.standard_normal((2 * count, 20))]
    )
    temperature = share @ base_t + 5.0 * smooth[:count]
    humidity = np.exp(share @ np.log(base_q) + 0.7 * smooth[count:])
    surface = np.where(
        rng.random(count) < 0.7, rng.uniform(970, 1060, count), rng.uniform(500, 970, count)
    )
    air = np.array(
        [
            np.interp(np.log(s), np.log(pressure), t)
            for s, t in zip(surface, temperature, strict=True)
        ]
    )
    saturated = saturation_vapour_pressure(temperature) * 0.622 / pressure
    return {
        "temperature": temperature,
        "specific_humidity": np.minimum(humidity, np.maximum(saturated, 1e-6)),
        "surface_pressure": surface,
        "skin_temperature": air + 4.0 * rng.standard_normal(count),
        "emissivity": rng.uniform(0.4, 1.0, count)[:, None],
        "secant": 1.0 / np.cos(np.deg2rad(rng.uniform(0.0, 64.0, count))),
    }


def operator_table(
    bands: list[PassBand], frequency, weights, coefficients, pressure, groups
) -> OperatorTable:
    """Assemble an operator's table from its nodes.

    Parameters
    ----------
    bands : list[PassBand]
        Pass-bands of the channels.
    frequency : np.ndarray
        In GHz, ``(node,)``.
    weights : np.ndarray
        ``(node, channel)``.
    coefficients : np.ndarray
        Polynomials of absorption, ``(level, 12, node)``.
    pressure : np.ndarray
        In hPa, ``(level,)``.
    groups : np.ndarray or list
        Groups of nodes, ``(group, 4)``.

    Returns
    -------
    OperatorTable
        The table.
    """
    centre, half = temperature_box(pressure)
    temperature, humidity = gas_absorption.afgl_profiles(pressure)
    return OperatorTable(
        pressure=pressure,
        reference_temperature=centre,
        half_range=half,
        coefficients=coefficients,
        frequency=frequency,
        weights=weights,
        groups=np.asarray(groups),
        channels=np.array([b.name for b in bands]),
        vertical=np.array([b.vertical for b in bands]),
        climatology_temperature=temperature,
        climatology_humidity=humidity,
    )


def choose_nodes(monochromatic: np.ndarray, channel: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Select 1-3 nodes greedily (to 6 in need), and weights that give a channel.

    Even rows of the profiles are fitted, with non-negative weights that add up to 1; odd rows
    decide when the error is small enough. ``monochromatic`` are brightness temperatures ``(profile,
    node)`` in K, ``channel`` those of the channel ``(profile,)``. Returns the indices and the
    weights.
    """
    from scipy.optimize import nnls

    fitted, tested = slice(0, None, 2), slice(1, None, 2)
    nodes: list[int] = []
    while True:
        best = None
        for node in set(range(monochromatic.shape[1])) - set(nodes):
            trial = [*nodes, node]
            system = np.vstack([monochromatic[fitted][:, trial], np.full(len(trial), UNITY)])
            # one more row holds the condition that the weights add up to one
            weights, _ = nnls(system, np.append(channel[fitted], UNITY))
            error = np.mean((monochromatic[fitted][:, trial] @ weights - channel[fitted]) ** 2)
            if best is None or error < best[0]:
                best = error, node, weights
        nodes.append(best[1])
        rest = monochromatic[tested][:, nodes] @ best[2] - channel[tested]
        hard = np.abs(rest).max() > LARGEST_ERROR and len(nodes) < MOST_NODES_OF_A_HARD_CHANNEL
        if np.sqrt(np.mean(rest**2)) < TOLERANCE or (len(nodes) >= MOST_NODES and not hard):
            kept = best[2] > 0.0
            return np.array(nodes)[kept].tolist(), best[2][kept] / best[2].sum()


def node_spans(operator: MicrowaveOperator, atmospheres: dict[str, torch.Tensor]) -> np.ndarray:
    """Find the first and last level that each node needs over an ensemble, ``(node, 2)``.

    Above the first, the optical depth is at most 2e-5 (a few mK); below the last, transmittance is
    at most 1e-5.
    """
    depth = operator.optical_depth(
        *(atmospheres[k] for k in ("temperature", "specific_humidity", "secant"))
    )  # (level, batch, node)
    thin = (depth.amax(dim=1) < 2e-5).sum(dim=0) - 1
    thick = (depth.amin(dim=1) < 11.5).sum(dim=0)
    return torch.stack(
        [thin.clamp_min(0), thick.clamp_max(len(operator.pressure) - 1)], dim=1
    ).numpy()


def group_nodes(
    span: np.ndarray, bottom: int
) -> tuple[np.ndarray, list[tuple[int, int, int, int]]]:
    """Order the nodes into at most :data:`MOST_GROUPS` groups, those that see the ground first.

    Nodes of equal span start as groups of their own; the two whose union costs the fewest extra
    steps of the sweep are joined again and again. Nodes that see the ground and nodes that do not
    stay apart. ``span`` is that of :func:`node_spans`, ``bottom`` the last level. Returns the order
    of the nodes and, for each group, first node, end node, first level and last level.
    """
    groups = [(int(top), int(last), [i]) for i, (top, last) in enumerate(span)]

    def union(a, b):
        return min(a[0], b[0]), max(a[1], b[1]), a[2] + b[2]

    def cost(g):
        return len(g[2]) * (g[1] - g[0])

    while len(groups) > MOST_GROUPS:
        pairs = [
            (a, b)
            for i, a in enumerate(groups)
            for b in groups[:i]
            if (a[1] == bottom) == (b[1] == bottom)
        ]
        a, b = min(pairs, key=lambda pair: cost(union(*pair)) - cost(pair[0]) - cost(pair[1]))
        groups = [g for g in groups if g is not a and g is not b] + [union(a, b)]
    groups.sort(key=lambda g: (g[1] != bottom, g[0]))
    ends = np.cumsum([len(g[2]) for g in groups]).tolist()
    order = np.array([i for g in groups for i in g[2]])
    return order, [(end - len(g[2]), end, g[0], g[1]) for end, g in zip(ends, groups, strict=True)]


def without_unused(coefficients: np.ndarray, groups: list[tuple[int, int, int, int]]) -> np.ndarray:
    """Set coefficients ``(level, 12, node)`` to zero at levels that no sweep reads.

    So they compress.
    """
    kept = np.zeros_like(coefficients)
    for first, end, top, last in groups:
        kept[top : last + 1, :, first:end] = coefficients[top : last + 1, :, first:end]
    return kept


def refitted_table(path: Path, absorption: str) -> OperatorTable:
    """Fit another absorption model at the nodes of the table at ``path``, which stay as they are.

    So do their weights. ``absorption`` is R19 or R20.
    """
    table = OperatorTable.read(path)
    gas_absorption.use_absorption_model(absorption)
    try:
        # a table's own levels are rounded
        coefficients, _ = fit_absorption(table_levels(len(table.pressure)), table.frequency)
    finally:
        gas_absorption.use_absorption_model()
    groups = [tuple(int(i) for i in group) for group in table.groups]
    return replace(table, coefficients=without_unused(coefficients, groups))


def build_table(instrument: str, report=print) -> OperatorTable:
    """Build the table of ``instrument``; ``report`` receives lines about the accuracy reached."""
    gas_absorption.use_absorption_model()
    bands = pass_bands(instrument, sources.load_source(SOURCES[instrument]).channels)
    pressure = table_levels(FINER_LEVELS.get(instrument, LEVELS))
    frequency, weights = quadrature(bands, QUADRATURE_POINTS)
    coefficients, errors = fit_absorption(pressure, frequency)
    report(
        f"{instrument}: {len(frequency)} quadrature nodes fitted, relative error "
        f"{np.median(errors):.1e} (median), {errors.max():.1e} (largest)"
    )
    bottom = len(pressure) - 1
    dense = MicrowaveOperator(
        operator_table(
            bands, frequency, weights, coefficients, pressure, [(0, len(frequency), 0, bottom)]
        ),
        torch.float64,
    )
    atmospheres = {k: torch.as_tensor(v) for k, v in random_atmospheres(pressure, ENSEMBLE).items()}
    with torch.no_grad():
        radiance = dense.radiances(**atmospheres)
        node_tb = (dense.planck / torch.log1p(dense.planck / radiance)).numpy()
        span = node_spans(dense, atmospheres)
    kept, columns = [], []
    for channel, band in enumerate(bands):
        candidates = np.flatnonzero(weights[:, channel])
        nodes, w = choose_nodes(node_tb[:, candidates], node_tb @ weights[:, channel])
        error = node_tb[:, candidates[nodes]] @ w - node_tb @ weights[:, channel]
        rms = np.sqrt(np.mean(error**2))
        report(
            f"channel {band.name:>3}: {len(nodes)} of {len(candidates)} nodes, rms {rms:.3f} K, "
            f"largest {np.abs(error).max():.3f} K"
        )
        for node, weight in zip(candidates[nodes], w, strict=True):
            kept.append(node)
            columns.append(np.eye(len(bands))[channel] * weight)
    kept = np.array(kept)
    order, groups = group_nodes(span[kept], bottom)
    report(f"{len(kept)} nodes in groups (first node, end node, first level, last level): {groups}")
    kept = kept[order]
    used = without_unused(coefficients[:, :, kept], groups)
    made = operator_table(bands, frequency[kept], np.array(columns)[order], used, pressure, groups)
    return replace(made, conical=np.array(instrument in CONICAL))
