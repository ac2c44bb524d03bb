"""Gather the cases of another system's forecasts from one segment.

in:  forecasts    its forecasts of the segment
     analyses     its analyses at all valid times, may be empty
     era5, truth  reference state stores of all valid times, each may be empty
     climatology  climatology store
out: cases        Zarr, the statistics of each case (fuxiflow.verification.cases)
"""

from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.verification.cases import write_part_of_cases
from fuxiflow.verification.systems import ScoringSetup, collect_system


def main(input, output, params, log):
    references = {"era5": input.era5, "truth": input.truth}
    collected = collect_system(
        ScoringSetup.open(references, input.climatology, params.regions),
        params.system,
        params.period,
        Forecasts(input.forecasts),
        StateSeries(input.analyses) if input.analyses else None,
        log,
    )
    write_part_of_cases(output.cases, collected.cases, collected.counts)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
