"""Jacobians: how each channel's brightness temperature answers to each variable of each column."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

VARIABLES = (
    "temperature",
    "specific_humidity",
    "surface_pressure",
    "skin_temperature",
    "emissivity",
)


def jacobian(
    operator: Callable[..., Tensor],
    columns: dict[str, Tensor],
    channels: Sequence[int] | None = None,
    variables: Sequence[str] = VARIABLES,
) -> dict[str, Tensor]:
    """Derivatives of an operator's result ``(batch, channel)`` by each of ``variables``, batched.

    ``columns`` are the operator's arguments by name, each ``(batch, ...)``, of which one column's affects only its own
    results. The result has, for each variable, ``(batch, channel, ...)`` in the result's unit per the variable's (K/K,
    K per kg/kg, K/hPa, K/K, K). ``channels`` (positions; all by default) cost one backward pass each. KeyError names a
    variable that ``columns`` lack.
    """
    if missing := [name for name in variables if name not in columns]:
        raise KeyError(f"no {', '.join(missing)} among the columns: {', '.join(columns)}")
    leaves = {name: columns[name].detach().clone().requires_grad_(True) for name in variables}
    with torch.enable_grad():
        result = operator(**{**columns, **leaves})
    wanted = range(result.shape[1]) if channels is None else channels
    rows = [
        torch.autograd.grad(
            result[:, i].sum(), list(leaves.values()), retain_graph=True, materialize_grads=True
        )
        for i in wanted
    ]
    return {name: torch.stack([row[i] for row in rows], dim=1) for i, name in enumerate(variables)}
