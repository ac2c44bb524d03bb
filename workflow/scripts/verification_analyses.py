"""Score one experiment's analyses and backgrounds, and list the errors of the whole cycle.

in:  parts         cases of each segment, by rule verification_analyses_part
     observations  Parquet, counts of each segment by the same
     baselines     cases of the baselines, by rule verification_baselines
out: scores        score table: rmse, bias, acc, activity of the analysis, background_* of the
                   background
     cycle         Parquet: experiment, time, array (analysis, background, climatology), reference,
                   channel, rmse, bias (global), with the spin-up
     observations  Parquet: experiment, time, source, n
     cases         Zarr, the statistics of each analysis, for comparisons of experiments
"""

from fuxiflow.storage.tables import read_parquet, write_parquet
from fuxiflow.verification.case_counts import check_counts, read_counts
from fuxiflow.verification.cases import MergedCases, StoredCases, write_cases
from fuxiflow.verification.collection import period_times
from fuxiflow.verification.evaluation import cycle_series, score_analyses
from fuxiflow.verification.score_table import write_scores
from fuxiflow.verification.scoring import Resampling
from fuxiflow.verification.systems import merge_observation_counts


def main(input, output, params, log):
    check_counts(map(read_counts, input.parts), params.completeness, log)
    cases = MergedCases(input.parts)
    write_parquet(output.cycle, cycle_series(cases, params.experiment))
    counts = merge_observation_counts([read_parquet(path) for path in input.observations])
    write_parquet(output.observations, counts)
    scores, kept = score_analyses(
        cases,
        period_times(params.period),
        StoredCases(input.baselines),
        Resampling(params.bootstrap, params.block_days, params.seed),
        params.experiment,
    )
    write_cases(output.cases, kept)
    write_scores(output.scores, scores)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
