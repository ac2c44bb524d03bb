"""Merge the parts of the climatology by day of year and hour of day over the training period.

in:  parts        Zarr stores, one for each calendar slice
out: climatology  Zarr (fuxiflow.states.climatology)
"""

from fuxiflow.states.climatology_merge import merge_parts


def main(input, output, params, log):
    merge_parts(output.climatology, input.parts, log)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
