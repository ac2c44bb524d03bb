"""Gather the cases of the systems that every experiment is compared with, of one segment.

These are forecasts by GFS and by climatology, and the analyses of GFS and ERA5.

in:  era5, truth  reference state stores of all valid times, each may be empty
     gfs          GFS analyses of them, may be empty
     forecasts    GFS forecast stores, may be empty
     climatology  climatology store
out: cases        Zarr, the statistics of each case (fuxiflow.verification.cases)
"""

from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.verification.cases import write_part_of_cases
from fuxiflow.verification.systems import ScoringSetup, collect_baselines


def main(input, output, params, log):
    references = {"era5": input.era5, "truth": input.truth}
    starts = (params.init_hours, params.max_lead_hours)
    collected = collect_baselines(
        ScoringSetup.open(references, input.climatology, params.regions),
        params.period,
        starts if params.climatology else None,
        StateSeries(input.gfs) if input.gfs else None,
        Forecasts(input.forecasts, params.channels) if input.forecasts else None,
        params.own,
        log,
    )
    write_part_of_cases(output.cases, collected.cases, collected.counts)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
