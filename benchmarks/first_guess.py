"""Time the first guess at the footprints of one source, beside grid_sample and plain gathers.

    python -m benchmarks.first_guess [--grid NLAT NLON] [--batch N] [--footprints N] [--states N]
    [--rounds N]

Forward and gradients. An update of stages 2 and 3 takes it of every source in every cycle. Peers in
one run take turns on the same footprints:

- ours: fuxiflow.models.pillars.columns_at_footprints, one weighted sum of eight columns a footprint
  (embedding_bag);
- a gather per corner: the same by indexing with tensors, eight times, whose gradient is a field for
  each of them;
- grid_sample: PyTorch's trilinear interpolation of each sample's fields, which stop at the poles
  and at the date line.

All must agree away from the edges. ``repeats`` says whether gradients were the same bits in every
round: a gather's are added by several threads in whatever order they come. Times are medians; the
first two have the states of a cell side by side in memory, as the networks have them, grid_sample
the usual layout.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from fuxiflow.models.pillars import (
    FootprintBatch,
    columns_at_footprints,
    states_by_cell,
    states_together,
)

FIRST_HOUR, SLOTS = -3, 8


def scene(
    shape: tuple[int, int], batch: int, count: int, states: int
) -> tuple[FootprintBatch, Tensor]:
    """Draw footprints, none of them in the outermost rows and columns, and random fields.

    Parameters
    ----------
    shape : tuple[int, int]
        Cells of the grid north-south and east-west.
    batch : int
        Number of windows.
    count : int
        Number of footprints in each window.
    states : int
        Number of state variables.

    Returns
    -------
    FootprintBatch
        ``batch`` · ``count`` footprints.
    Tensor
        Fields at three times, ``(batch, 3, state, lat, lon)``, standardised.
    """
    random = torch.Generator().manual_seed(0)
    total = batch * count
    row, column = (torch.randint(1, size - 1, (total,), generator=random) for size in shape)
    footprints = FootprintBatch(
        torch.arange(batch).repeat_interleave(count),
        torch.randint(SLOTS, (total,), generator=random),
        row * shape[1] + column,
        torch.zeros(total, 1),
        torch.zeros(total),
        torch.rand(total, 2, generator=random) - 0.5,
    )
    return footprints, torch.randn(batch, 3, states, *shape, generator=random)


def ours(footprints: FootprintBatch, guess: Tensor) -> Tensor:
    """``(n, state)`` by the package."""
    return columns_at_footprints(footprints, guess, FIRST_HOUR)


def gathers(footprints: FootprintBatch, guess: Tensor) -> Tensor:
    """``(n, state)`` by eight gathers."""
    states, nlon = states_by_cell(guess), guess.shape[-1]
    late = ((FIRST_HOUR + footprints.slot + 0.5) / 6)[:, None]
    neighbour = torch.where(late[:, 0] < 0, 0, 2)
    north, east = footprints.offset.sign().long().unbind(-1)
    up, along = footprints.offset.abs().unsqueeze(-1).unbind(1)

    def at(cell: Tensor) -> Tensor:
        middle = states[footprints.sample, 1, cell]
        return middle + late.abs() * (states[footprints.sample, neighbour, cell] - middle)

    here, there = (
        (1 - along) * at(cell) + along * at(cell + east)
        for cell in (footprints.cell, footprints.cell - north * nlon)
    )
    return (1 - up) * here + up * there


def interpolated(footprints: FootprintBatch, guess: Tensor) -> Tensor:
    """``(n, state)`` by grid_sample, sample by sample."""
    nlat, nlon = guess.shape[-2:]
    late = (FIRST_HOUR + footprints.slot + 0.5) / 6
    x = footprints.cell % nlon + footprints.offset[:, 1]
    y = footprints.cell // nlon - footprints.offset[:, 0]
    place = torch.stack([2 * x / (nlon - 1) - 1, 2 * y / (nlat - 1) - 1, late], -1)
    parts = [
        grid_sample(
            fields.transpose(0, 1)[None],
            place[footprints.sample == i][None, None, None],
            align_corners=True,
        )[0, :, 0, 0].T
        for i, fields in enumerate(guess)
    ]
    return torch.cat(parts)


PEERS = {
    "ours": (ours, True),
    "a gather per corner": (gathers, True),
    "grid_sample": (interpolated, False),
}


def measured(
    function: Callable, laid_out: bool, footprints: FootprintBatch, guess: Tensor, upstream: Tensor
) -> tuple[float, float, Tensor, Tensor]:
    """Time a way to take the first guess, forward and backward.

    Parameters
    ----------
    function : Callable
        The way, of footprints and fields.
    laid_out : bool
        Whether the states of a cell lie side by side in memory.
    footprints : FootprintBatch
        ``n`` footprints.
    guess : Tensor
        Fields at three times, ``(batch, 3, state, lat, lon)``.
    upstream : Tensor
        Gradient of the columns, ``(n, state)``.

    Returns
    -------
    tuple[float, float, Tensor, Tensor]
        Seconds forward, seconds backward, the columns ``(n, state)``, and the gradient of the
        fields, with the shape of ``guess``.
    """
    fields = (states_together(guess) if laid_out else guess.clone()).requires_grad_()
    start = time.perf_counter()
    columns = function(footprints, fields)
    middle = time.perf_counter()
    columns.backward(upstream)
    return middle - start, time.perf_counter() - middle, columns.detach(), fields.grad


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--grid", type=int, nargs=2, default=(720, 1440), metavar=("NLAT", "NLON"))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--footprints", type=int, default=300_000, help="in a window")
    parser.add_argument("--states", type=int, default=69)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    footprints, guess = scene(
        tuple(options.grid), options.batch, options.footprints, options.states
    )
    upstream = torch.randn(
        len(footprints), options.states, generator=torch.Generator().manual_seed(1)
    )
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in PEERS}
    gradients, repeats, reference = {}, dict.fromkeys(PEERS, True), None
    for turn in range(options.rounds + 1):
        for name, (function, laid_out) in PEERS.items():
            forward, backward, columns, gradient = measured(
                function, laid_out, footprints, guess, upstream
            )
            reference = columns if reference is None else reference
            torch.testing.assert_close(columns, reference, rtol=1e-4, atol=2e-3)
            repeats[name] &= torch.equal(gradients.setdefault(name, gradient), gradient)
            if turn:  # the first one fills caches
                seconds[name].append((forward, backward))
    sums = {name: statistics.median(map(sum, values)) for name, values in seconds.items()}
    print(
        f"{options.batch} × {options.footprints} footprints, {options.states} states on "
        f"{options.grid[0]} × {options.grid[1]}, {torch.get_num_threads()} threads"
    )
    for name, values in seconds.items():
        forward, backward = (statistics.median(part) for part in zip(*values, strict=True))
        print(
            f"{name:20} forward {forward:7.3f} s, gradients {backward:7.3f} s, "
            f"{sums[name] / sums['ours']:5.1f} times ours; "
            f"repeats: {'yes' if repeats[name] else 'no'}"
        )


if __name__ == "__main__":
    main()
