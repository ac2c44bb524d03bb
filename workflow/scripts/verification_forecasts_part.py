"""Gather the cases of one experiment's forecasts from one segment, and of persistence.

in:  forecasts    forecast store of the segment
     analyses     stores of what the forecasts start from, array ``params.array``: the experiment's
                  own reference at all valid times, and what persistence starts from
     era5, truth  reference state stores of all valid times, each may be empty
     climatology  climatology store
out: cases        Zarr, the statistics of each case (fuxiflow.verification.cases)
"""

from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.verification.cases import write_part_of_cases
from fuxiflow.verification.collection import period_times
from fuxiflow.verification.systems import ScoringSetup, collect_forecasts


def main(input, output, params, log):
    references = {"era5": input.era5, "truth": input.truth}
    collected = collect_forecasts(
        ScoringSetup.open(references, input.climatology, params.regions),
        Forecasts(input.forecasts, params.channels),
        period_times(params.period, params.init_hours),
        StateSeries(input.analyses, name=params.array),
        params.own,
        params.persistence,
        log,
    )
    write_part_of_cases(output.cases, collected.cases, collected.counts)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
