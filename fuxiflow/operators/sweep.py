"""Radiation through the layers of an atmosphere, from the top down, with its adjoint by hand.

The gradient that autograd finds costs several times a sweep, since it keeps and revisits every
intermediate step. Here a sweep keeps a few fields a layer, and the adjoint goes back up through
them once. Equations: docs/explanation/operator.md.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

SMALLEST_DEPTH = 1e-7
"""Least optical depth of a layer, which the source is divided by."""
LEAST_ABSORPTION = 1e-12
"""Floor of the fitted absorption in Np/km, whose square root is taken."""


def sweep(
    arguments: Tensor,
    coefficients: Tensor,
    droplets: Tensor | None,
    cloudy: Sequence[int],
    edges: Tensor,
    share: Tensor,
    planck_square: Tensor,
    cosmic: Tensor,
    sees_ground: bool,
    path: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Integrate the radiation of a group of nodes over its levels, from the top down.

    Derivatives are of the first order, with respect to ``arguments``, ``droplets``, ``edges``,
    ``share`` and ``path``.

    Parameters
    ----------
    arguments : Tensor
        Arguments of the absorption polynomials, ``(level, batch, 12)``.
    coefficients : Tensor
        Polynomials of absorption in Np/km, ``(level, 12, node)``.
    droplets : Tensor or None
        Absorption by cloud droplets in Np/km at the levels ``cloudy``, ``(cloudy, batch, node)``.
    cloudy : Sequence of int
        Levels with cloud droplets.
    edges : Tensor
        Temperature in K at the topmost level and at the lower edge of each layer, ``(level,
        batch)``.
    share : Tensor
        Share of each layer above the ground, ``(level - 1, batch)``.
    planck_square : Tensor
        A twelfth of the squared frequency as a temperature, in K2, ``(node,)``.
    cosmic : Tensor
        Radiation of space in K, ``(node,)``.
    sees_ground : bool
        Whether the downwelling radiation is wanted; else it is that of space.
    path : Tensor
        Minus a sixth of the slant path in km by layer, ``(level - 1, batch)``.

    Returns
    -------
    tuple of Tensor
        Upwelling radiation, downwelling radiation and transmittance, ``(batch, node)`` each.
    """
    return _Sweep.apply(
        arguments,
        droplets,
        edges,
        share,
        path,
        coefficients,
        tuple(cloudy),
        planck_square,
        cosmic,
        sees_ground,
    )


def _source(edge: Tensor, square: Tensor) -> Tensor:
    """Return the source ``(batch, node)`` at temperatures ``(batch, 1)``: B + h/2, second order."""
    return edge + square / edge


class _Sweep(torch.autograd.Function):
    """The sweep and its adjoint."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        arguments: Tensor,
        droplets: Tensor | None,
        edges: Tensor,
        share: Tensor,
        path: Tensor,
        coefficients: Tensor,
        cloudy: tuple[int, ...],
        planck_square: Tensor,
        cosmic: Tensor,
        sees_ground: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Sweep from the top down; with gradients, keep what the adjoint needs of each layer.

        Parameters
        ----------
        ctx : FunctionCtx
            Takes what the adjoint needs.
        arguments, droplets, edges, share, path, coefficients, cloudy : object
            As in :func:`sweep`.
        planck_square, cosmic, sees_ground : object
            As in :func:`sweep`.

        Returns
        -------
        tuple of Tensor
            As :func:`sweep`.
        """
        is_cut = (share < 1.0).any(dim=1).tolist()
        with_gradient = any(ctx.needs_input_grad)
        layers = zip(
            is_cut,
            share[..., None].unbind(),
            path[..., None].unbind(),
            edges[1:, :, None].unbind(),
            strict=True,
        )
        absorption = []

        def absorption_at(level: int) -> Tensor:
            gas = (arguments[level] @ coefficients[level]).clamp_min(LEAST_ABSORPTION)
            whole = gas + droplets[cloudy.index(level)] if level in cloudy else gas
            if with_gradient:
                absorption.append((gas, whole))
            return whole

        above = absorption_at(0)
        source_above = _source(edges[0][:, None], planck_square)
        up = torch.zeros_like(above)
        minus_down = -cosmic.expand_as(above)
        through = torch.ones_like(above)
        kept = []
        for level, (cut, share_above, path_of_layer, edge) in enumerate(layers, start=1):
            below = absorption_at(level)
            if cut:
                below = torch.lerp(above, below, share_above)
            # exact to fourth order in the log of the ratio if absorption is exponential in height
            root = torch.sqrt(above * below)
            mean = torch.add(above + below, root, alpha=4.0)
            minus_depth = (mean * path_of_layer).clamp_max(-SMALLEST_DEPTH)
            minus_absorbed = torch.expm1(minus_depth)
            passed = minus_absorbed + 1.0
            source_below = _source(edge, planck_square)
            if with_gradient:
                fields = above, below, root, minus_depth, minus_absorbed, minus_down, through
                kept.append(fields)
            # the source is linear in optical depth: the lower edge adds this to the emission of an
            # isothermal layer
            step = (source_below - source_above) * (minus_absorbed / minus_depth - passed)
            up = torch.addcmul(
                up, through, torch.addcmul(step, source_above, minus_absorbed, value=-1.0)
            )
            if sees_ground:
                minus_down = torch.addcmul(
                    torch.addcmul(step, source_below, minus_absorbed), minus_down, passed
                )
            through = through * passed
            above, source_above = below, source_below
        ctx.save_for_backward(edges, share, path, coefficients, planck_square)
        ctx.kept, ctx.absorption, ctx.is_cut = kept, absorption, is_cut
        ctx.cloudy, ctx.sees_ground = cloudy, sees_ground
        return up, -minus_down, through

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, of_up: Tensor, of_down: Tensor, of_through: Tensor) -> tuple:
        """Go back up. Here ``of_x`` is the derivative of the result with respect to x.

        Parameters
        ----------
        ctx : FunctionCtx
            What the sweep kept.
        of_up, of_down, of_through : Tensor
            Derivatives with respect to what the sweep returned, ``(batch, node)``.

        Returns
        -------
        tuple
            Derivatives with respect to the arguments of :meth:`forward`, None for constants.
        """
        edges, share, path, coefficients, square = ctx.saved_tensors
        edge, shares, paths = (part[..., None].unbind() for part in (edges, share, path))
        levels, batch = edges.shape
        of_arguments = edges.new_empty((levels, batch, coefficients.shape[1]))
        of_droplets = edges.new_empty((len(ctx.cloudy), *of_up.shape)) if ctx.cloudy else None
        of_edges, of_path = torch.empty_like(edges), torch.empty_like(path)
        of_share = torch.zeros_like(share)
        # a source is T + square / T: derivatives with respect to T are two sums over the nodes
        terms = torch.stack([torch.ones_like(square), square], dim=1)

        def put_edge(level: int, of_source: Tensor) -> None:
            one, other = (of_source @ terms).unbind(dim=1)
            of_edges[level] = one - other / edges[level] ** 2

        def put_absorption(level: int, of_absorption: Tensor) -> None:
            if level in ctx.cloudy:
                of_droplets[ctx.cloudy.index(level)] = of_absorption
            of_gas = torch.ops.aten.threshold_backward(
                of_absorption, ctx.absorption[level][0], LEAST_ABSORPTION
            )
            torch.mm(of_gas, coefficients[level].T, out=of_arguments[level])

        of_minus_down = -of_down
        of_source, of_below = torch.zeros_like(of_up), torch.zeros_like(of_up)
        source_below = _source(edge[-1], square)
        for level in range(levels - 1, 0, -1):
            layer = level - 1
            above, below, root, minus_depth, minus_absorbed, minus_down, through = ctx.kept[layer]
            source_above = _source(edge[level - 1], square)
            passed = minus_absorbed + 1.0
            difference = source_below - source_above
            weight = (minus_absorbed / minus_depth).sub_(passed)
            # up += through (step - source_above absorbed), step = difference weight
            of_emission = of_up * through
            of_step = of_emission
            of_absorbed = of_through * through
            if ctx.sees_ground:
                of_step = of_emission + of_minus_down
                of_absorbed.addcmul_(of_minus_down, source_below + minus_down)
            of_absorbed.addcmul_(of_emission, source_above, value=-1.0)
            of_weight = of_step * difference
            of_sources = of_step * weight
            # weight = absorbed / depth - passed, passed = absorbed + 1, absorbed = expm1(depth)
            of_depth = of_absorbed.sub_(of_weight).mul_(passed)
            of_depth.addcdiv_(of_weight.mul_(weight), minus_depth, value=-1.0)
            of_depth = torch.ops.aten.hardtanh_backward(
                of_depth, minus_depth, -torch.inf, -SMALLEST_DEPTH
            )
            of_source += of_sources
            if ctx.sees_ground:
                of_source.addcmul_(of_minus_down, minus_absorbed)
                of_minus_down.mul_(passed)
            put_edge(level, of_source)
            of_source = of_sources.addcmul_(of_emission, minus_absorbed).neg_()
            emission = difference.mul_(weight).addcmul_(source_above, minus_absorbed, value=-1.0)
            of_through = (of_through * passed).addcmul_(of_up, emission)
            # depth = path mean, mean = above + below + 4 root, root = sqrt(above below)
            of_path[layer] = torch.linalg.vecdot(of_depth, minus_depth)
            of_mean = of_depth.mul_(paths[layer])
            of_root = root * of_mean
            of_below.add_(of_mean).addcdiv_(of_root, below, value=2.0)
            of_above = of_mean.addcdiv_(of_root, above, value=2.0)
            if ctx.is_cut[layer]:
                whole = ctx.absorption[level][1]
                of_share[layer] = torch.linalg.vecdot(of_below, whole - above)
                put_absorption(level, of_below * shares[layer])
                of_above.addcmul_(of_below, 1.0 - shares[layer])
            else:
                put_absorption(level, of_below)
            of_below, source_below = of_above, source_above
        put_absorption(0, of_below)
        put_edge(0, of_source)
        # a layer below the ground has no path, and its depth is held at the smallest
        of_path = torch.where(path == 0.0, 0.0, of_path / path)
        return of_arguments, of_droplets, of_edges, of_share, of_path, *[None] * 5
