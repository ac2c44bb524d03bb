"""Score the systems that every experiment is compared with.

These are forecasts by GFS and by climatology, and the analyses of GFS and ERA5.

in:  era5, truth  reference state stores, each may be empty
     gfs          GFS analyses, may be empty
     forecasts    GFS forecast stores, may be empty
     climatology  climatology store
out: scores       score table, experiment "baseline"
     cases        Zarr, the statistics of each case, for paired comparisons
"""

from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.verification.cases import write_cases
from fuxiflow.verification.evaluation import ScoringSetup, open_states, score_baselines
from fuxiflow.verification.references import CACHE_BYTES
from fuxiflow.verification.score_table import write_scores
from fuxiflow.verification.scoring import Resampling


def main(input, output, params, log):
    setup = ScoringSetup(
        open_states({"era5": input.era5, "truth": input.truth}),
        Climatology.read(input.climatology, CACHE_BYTES),
        params.regions,
        Resampling(params.bootstrap, params.block_days, params.seed),
        params.completeness,
    )
    starts = (params.init_hours, params.max_lead_hours)
    baselines = score_baselines(
        setup,
        params.period,
        starts if "climatology" in params.baselines else None,
        StateSeries(input.gfs) if input.gfs else None,
        Forecasts(input.forecasts) if input.forecasts else None,
        params.own,
        log,
    )
    write_cases(output.cases, baselines.cases)
    write_scores(output.scores, baselines.scores)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
