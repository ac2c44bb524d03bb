"""Gather the cases of one experiment's analyses and backgrounds of one segment.

in:  analyses      analysis store, arrays analysis and background
     era5, truth   reference state stores, each may be empty
     climatology   climatology store
     grids         sparse-grid stores of what the experiment assimilates, of the segment and its
                   neighbours, may be empty
out: cases         Zarr, the statistics of each case (fuxiflow.verification.cases)
     observations  Parquet: experiment, time, source, n
"""

from fuxiflow.states.store import StateSeries
from fuxiflow.storage.tables import write_parquet
from fuxiflow.verification.cases import write_part_of_cases
from fuxiflow.verification.collection import period_times
from fuxiflow.verification.systems import ScoringSetup, collect_analyses, observation_counts


def main(input, output, params, log):
    references = {"era5": input.era5, "truth": input.truth}
    times = period_times(params.period)
    collected = collect_analyses(
        ScoringSetup.open(references, input.climatology, params.regions),
        {array: StateSeries(input.analyses, name=array) for array in ("analysis", "background")},
        times,
        log,
    )
    write_part_of_cases(output.cases, collected.cases, collected.counts)
    counts = observation_counts(input.grids, times, params.experiment, params.windows)
    write_parquet(output.observations, counts)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
