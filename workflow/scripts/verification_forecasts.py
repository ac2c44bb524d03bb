"""Score one experiment's forecasts, and persistence from its analyses, of all segments.

in:  parts      cases of each segment, by rule verification_forecasts_part
     baselines  cases of the baselines, by rule verification_baselines
out: scores     score table: systems fuxiflow and persistence
     cases      Zarr, the statistics of each forecast, for comparisons of experiments
"""

from fuxiflow.verification.case_counts import check_counts, read_counts
from fuxiflow.verification.cases import MergedCases, StoredCases, write_cases
from fuxiflow.verification.evaluation import comparable_forecasts, sample_cuts, score_forecasts
from fuxiflow.verification.score_table import write_scores
from fuxiflow.verification.scoring import Resampling


def main(input, output, params, log):
    check_counts(map(read_counts, input.parts), params.completeness, log)
    cases, baselines = MergedCases(input.parts), StoredCases(input.baselines)
    for line in sample_cuts(cases, baselines, params.baselines):
        log.info("%s: %s", params.experiment, line)
    scores = score_forecasts(
        cases,
        baselines,
        params.baselines,
        Resampling(params.bootstrap, params.block_days, params.seed),
        params.experiment,
    )
    write_cases(output.cases, comparable_forecasts(cases))
    write_scores(output.scores, scores)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
