"""Named sizes of the two networks, and whether a size fits a grid."""

from collections.abc import Mapping

# fuxi: Chen et al., FuXi, npj Clim. Atmos. Sci. 6, 190 (2023): 2 x 4 x 4 cubes, 48 Swin-V2 blocks of 1536 channels on
# 90 x 180 tokens, about 1.5 billion parameters; its heads and window are ours. small is the demonstration's.
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


def named(value, sizes: Mapping[str, dict]):
    """The numbers of a size given by its name, and any other value as it is; ValueError lists the known names."""
    if not isinstance(value, str):
        return value
    if value not in sizes:
        raise ValueError(
            f"unknown size {value!r}, allowed: {', '.join(sizes)}, or the numbers themselves"
        )
    return sizes[value]


def weights_mb(forecaster: Mapping) -> float:
    """Memory of a forecaster's weights in MB, float32: those of its blocks and of the convolutions around them.

    The few others, and the assimilator's, are a hundredth of them at FuXi's size.
    """
    width = forecaster["width"]
    blocks, down, up = 12 * forecaster["blocks"], 27, 26  # times the width squared
    return 4 * (blocks + down + up) * width**2 / 1e6


def misfit(nlat: int, nlon: int, forecaster: Mapping, assimilator: Mapping) -> str | None:
    """Why networks of these sizes cannot be built on a grid, beginning with the key at fault; None when they can.

    The forecaster halves the grid of patches and divides it into windows, the assimilator halves the grid
    ``scales - 1`` times.
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
            f"forecaster.window: {list(forecaster['window'])}, allowed: divisors of the {tokens[0]} x {tokens[1]} "
            f"tokens of this grid and patch"
        )
    if forecaster["width"] % forecaster["heads"]:
        return f"forecaster.heads: {forecaster['heads']}, allowed: divisors of width, {forecaster['width']}"
    if any(side % 2 ** (assimilator["scales"] - 1) for side in (nlat, nlon)):
        return (
            f"assimilator.scales: {assimilator['scales']}, allowed: as often as grid, {nlat} x {nlon}, can be "
            f"halved, and one more"
        )
    return None
