"""Draw up maps of the errors of one experiment's forecasts.

in:  parts  sums of the errors of each segment, by rule verification_maps_part
out: maps   Zarr, mean error and RMSE at each cell (fuxiflow.verification.maps)
"""

from fuxiflow.verification.case_counts import check_counts, read_counts
from fuxiflow.verification.maps import merge_error_maps


def main(input, output, params, log):
    check_counts(map(read_counts, input.parts), params.completeness, log)
    merge_error_maps(input.parts).write(output.maps)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
