"""Score one experiment's analyses and backgrounds, and list the errors of the whole cycle.

in:  analyses     analysis stores, arrays analysis and background
     era5, truth  reference state stores, each may be empty
     climatology  climatology store
     baselines    cases of the baselines, by rule verification_baselines
     grids        sparse-grid stores of what the experiment assimilates, may be empty
out: scores        score table: rmse, bias, acc, activity of the analysis, background_* of the
                   background
     cycle         Parquet: experiment, time, array (analysis, background, climatology), reference,
                   channel, rmse, bias (global), with the spin-up
     observations  Parquet: experiment, time, source, n
     cases         Zarr, the statistics of each analysis, for comparisons of experiments
"""

from fuxiflow.states.climatology import Climatology
from fuxiflow.states.store import StateSeries
from fuxiflow.storage.tables import write_parquet
from fuxiflow.verification.cases import StoredCases, write_cases
from fuxiflow.verification.collection import period_times
from fuxiflow.verification.evaluation import (
    ScoringSetup,
    observation_counts,
    open_states,
    score_analyses,
)
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
    cycle = period_times(params.cycle)
    evaluation = score_analyses(
        setup,
        {array: StateSeries(input.analyses, name=array) for array in ("analysis", "background")},
        cycle,
        period_times(params.period),
        StoredCases(input.baselines),
        params.experiment,
        log,
    )
    write_parquet(output.cycle, evaluation.series)
    write_parquet(output.observations, observation_counts(input.grids, cycle, params.experiment))
    write_cases(output.cases, evaluation.cases)
    write_scores(output.scores, evaluation.scores)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
