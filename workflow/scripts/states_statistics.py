"""Merge the statistics of the channels over the training period, and make the static fields.

in:  moments     Parquet, moments of each training segment
     invariants  GRIB, surface geopotential, land-sea mask, covers where it has them
out: statistics  Zarr (fuxiflow.states.statistics)
"""

from fuxiflow.grids import Grid
from fuxiflow.states.decoding import read_invariants
from fuxiflow.states.statistics import complete_statistics
from fuxiflow.storage.moments import merge_segments


def main(input, output, params, log):
    grid = Grid(**params.grid)
    moments = merge_segments(input.moments)
    raw = read_invariants(input.invariants, grid)
    complete_statistics(moments, raw, grid).write(output.statistics)
    log.info("%d segments, from %s to %s", len(input.moments), moments.first, moments.last)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
