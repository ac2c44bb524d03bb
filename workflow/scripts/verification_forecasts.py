"""Score one experiment's forecasts, and persistence from its analyses.

in:  forecasts    forecast stores of the test period
     analyses     stores of what the forecasts start from, array ``params.array``: the experiment's
                  own reference, and what persistence starts from
     era5, truth  reference state stores, each may be empty
     climatology  climatology store
     baselines    cases of the baselines, by rule verification_baselines
out: scores       score table: systems fuxiflow and persistence
     cases        Zarr, the statistics of each forecast, for comparisons of experiments
"""

from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.verification.cases import StoredCases, write_cases
from fuxiflow.verification.collection import period_times
from fuxiflow.verification.evaluation import ScoringSetup, open_states, score_forecasts
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
    evaluation = score_forecasts(
        setup,
        Forecasts(input.forecasts),
        period_times(params.period, params.init_hours),
        StateSeries(input.analyses, name=params.array),
        params.own,
        StoredCases(input.baselines),
        params.baselines,
        params.experiment,
        log,
    )
    write_cases(output.cases, evaluation.cases)
    write_scores(output.scores, evaluation.scores)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
