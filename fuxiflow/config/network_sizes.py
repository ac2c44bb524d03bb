"""Sizes of the two networks: by name or in numbers, their weight, and whether they fit a grid."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator

from fuxiflow.config.base import Positive, Section, did_you_mean

# fuxi: Chen et al., FuXi, npj Clim. Atmos. Sci. 6, 190 (2023): 2 x 4 x 4 cubes, 48 Swin-V2 blocks
# of 1536 channels on 90 x 180 tokens, about 1.5 billion parameters; its heads and window are ours.
# small is the demonstration's.
FORECASTERS = {
    "fuxi": {"patch": 4, "width": 1536, "blocks": 48, "heads": 24, "window": (9, 9)},
    "small": {"patch": 2, "width": 160, "blocks": 6, "heads": 4, "window": (8, 16)},
    "tiny": {"patch": 2, "width": 32, "blocks": 2, "heads": 2, "window": (4, 4)},
}
# the papers give no size of the assimilator
ASSIMILATORS = {
    "fuxi": {"width": 64, "scales": 4, "blocks": 2},
    "small": {"width": 64, "source_width": 16, "scales": 3, "blocks": 1},
    "tiny": {"width": 8, "scales": 2, "blocks": 1},
}


class ForecasterSize(Section):
    """The U-Transformer: a cube embedding of two frames, Swin-V2 blocks, and a head."""

    patch: Positive = 4
    """Side of a patch in grid cells; twice the patch must divide both sides of the grid."""
    width: Positive = 1536
    """Channels of a token."""
    blocks: Positive = 48
    """Number of Swin-V2 blocks."""
    heads: Positive = 24
    """Heads of attention; they must divide ``width``."""
    window: tuple[Positive, Positive] = (9, 9)
    """Rows and columns of an attention window in tokens; they must divide the grid of tokens."""


class AssimilatorSize(Section):
    """The multi-branch U-Net."""

    width: Positive = 64
    """Channels at full resolution; each halving of the grid doubles them."""
    source_width: Positive | None = None
    """Channels of the encoders of sources; by default ``width``."""
    scales: Positive = 4
    """Number of resolutions; the grid is halved ``scales - 1`` times."""
    blocks: Positive = 2
    """Convolution blocks at each resolution."""


def size_by_name(value, sizes: Mapping[str, dict]):
    """Return the numbers of a named size, any other value as it is; ValueError lists the names."""
    if not isinstance(value, str):
        return value
    if value not in sizes:
        raise ValueError(
            f"unknown size {value!r}, allowed: {', '.join(sizes)}, or the numbers themselves"
            f"{did_you_mean(value, sizes)}"
        )
    return sizes[value]


def _size(numbers: type[Section], sizes: Mapping[str, dict]):
    """Return the type of a size that is given by its name or by its ``numbers``."""
    names = Literal[tuple(sizes)]
    validator = BeforeValidator(
        lambda value: size_by_name(value, sizes), json_schema_input_type=names | numbers
    )
    return Annotated[numbers, validator]


class Model(Section):
    """Sizes of the two networks, each by name or in numbers."""

    forecaster: _size(ForecasterSize, FORECASTERS) = ForecasterSize()
    """Size of the U-Transformer: fuxi, small, tiny, or its numbers."""
    assimilator: _size(AssimilatorSize, ASSIMILATORS) = AssimilatorSize()
    """Size of the multi-branch U-Net: fuxi, small, tiny, or its numbers."""


def forecaster_weights_mb(forecaster: Mapping) -> float:
    """Return the memory of a forecaster's weights in MB, in float32.

    Counted are those of its blocks and of the convolutions around them. The few others, and the
    assimilator's, are a hundredth of them at FuXi's size.
    """
    width = forecaster["width"]
    blocks, down, up = 12 * forecaster["blocks"], 27, 26  # times the width squared
    return 4 * (blocks + down + up) * width**2 / 1e6


def forecast_flop(forecaster: Mapping, cells: int) -> float:
    """Return the floating-point operations of a forecast step, a multiply-add as two.

    Counted are the blocks with their attention, the convolutions around them, the embedding and the
    head, of 69 channels in and 70 out. PyTorch's counter says a thirtieth more at FuXi's size.
    """
    patch, width, blocks = (forecaster[key] for key in ("patch", "width", "blocks"))
    tokens = cells / (2 * patch) ** 2
    layers = (12 * blocks + 107) * width
    attention = 2 * blocks * forecaster["window"][0] * forecaster["window"][1]
    ends = 4 * patch**2 * (2 * 69 + 2 * 70 + 6)
    return 2 * tokens * width * (layers + attention + ends)


def analysis_flop(assimilator: Mapping, cells: int, sources: int) -> float:
    """Return the floating-point operations of an analysis, without its first guess.

    Parameters
    ----------
    assimilator : mapping
        Fields of :class:`AssimilatorSize`.
    cells : int
        Cells of the grid.
    sources : int
        Number of sources, each with an encoder of its own.

    Returns
    -------
    float
        Operations, a multiply-add as two.
    """
    width, scales, blocks = (assimilator[key] for key in ("width", "scales", "blocks"))
    own = assimilator.get("source_width") or width
    # convolutions of 3 x 3 at each scale; coarser ones have fewer cells and more channels
    encoder = 2 * scales * blocks + (scales - 1) / 2
    decoder = 2.2 * scales + (scales - 1) * (2 * blocks + 0.4)
    trunk = width**2 * (encoder + decoder) + 87 * width
    branch = own**2 * (encoder + 2) + 70 * own + (own != width) * scales * own * width / 9
    return 18 * cells * (trunk + sources * branch)


def step_values(forecaster: Mapping, recompute: bool) -> float:
    """Return the numbers a cell that a gradient through a forecast step keeps.

    Fitted, as :func:`analysis_values`, to counts of :mod:`fuxiflow.models.device_memory`. Attention
    over windows of more than a hundred tokens keeps more.
    """
    patch, width, blocks = (forecaster[key] for key in ("patch", "width", "blocks"))
    token = 1 / (2 * patch) ** 2
    inputs = 140 + (blocks + 18) * width * token
    if recompute:
        return inputs
    keys = forecaster["heads"] * forecaster["window"][0] * forecaster["window"][1]
    return inputs + blocks * (18 * width + 2.4 * keys) * token


def analysis_values(assimilator: Mapping, sources: int, recompute: bool) -> float:
    """Return the numbers a cell that a gradient through an analysis keeps.

    With ``recompute`` those of a source are there while it is made again, one source at a time.

    Parameters
    ----------
    assimilator : mapping
        Fields of :class:`AssimilatorSize`.
    sources : int
        Number of sources.
    recompute : bool
        Whether activations are made again for the gradient.

    Returns
    -------
    float
        Numbers a cell of one sample.
    """
    width, blocks = assimilator["width"], assimilator["blocks"]
    if recompute:
        return 360 + 10 * width
    return 85 + 22 * width * (1 + blocks) + sources * source_values(assimilator)


def source_values(assimilator: Mapping) -> float:
    """Return the numbers a cell that a gradient through the encoder of a source keeps."""
    own = assimilator.get("source_width") or assimilator["width"]
    return 445 + own * (10 + 11 * assimilator["blocks"])


def size_misfit(nlat: int, nlon: int, forecaster: Mapping, assimilator: Mapping) -> str | None:
    """Say why networks of these sizes cannot be built on a grid.

    The forecaster halves the grid of patches and divides it into windows. The assimilator halves
    the grid ``scales - 1`` times.

    Parameters
    ----------
    nlat, nlon : int
        Rows and columns of the grid.
    forecaster, assimilator : mapping
        Fields of :class:`ForecasterSize` and :class:`AssimilatorSize`.

    Returns
    -------
    str or None
        The reason, beginning with the key at fault; None when the sizes fit.
    """
    coarse = 2 * forecaster["patch"]
    if nlat % coarse or nlon % coarse:
        return (
            f"forecaster.patch: {forecaster['patch']}, allowed: those of which twice divides grid, "
            f"{nlat} x {nlon}"
        )
    tokens = nlat // coarse, nlon // coarse
    if any(side % window for side, window in zip(tokens, forecaster["window"], strict=True)):
        return (
            f"forecaster.window: {list(forecaster['window'])}, allowed: divisors of the "
            f"{tokens[0]} x {tokens[1]} tokens of this grid and patch"
        )
    if forecaster["width"] % forecaster["heads"]:
        return (
            f"forecaster.heads: {forecaster['heads']}, allowed: divisors of width, "
            f"{forecaster['width']}"
        )
    # the lowest bit that is set says how often a number can be halved
    most = min((side & -side).bit_length() for side in (nlat, nlon))
    if assimilator["scales"] > most:
        return (
            f"assimilator.scales: {assimilator['scales']}, allowed: up to {most}, one more than "
            f"the grid, {nlat} x {nlon}, can be halved"
        )
    return None
