"""Score the systems that every experiment is compared with, from the cases of all segments.

in:  parts   cases of each segment, by rule verification_baselines_part
out: scores  score table, experiment "baseline"
     cases   Zarr, the statistics of each case, for paired comparisons
"""

from fuxiflow.verification.case_counts import check_counts, read_counts
from fuxiflow.verification.cases import MergedCases, write_cases
from fuxiflow.verification.evaluation import score_baselines
from fuxiflow.verification.score_table import write_scores
from fuxiflow.verification.scoring import Resampling


def main(input, output, params, log):
    check_counts(map(read_counts, input.parts), params.completeness, log)
    cases = MergedCases(input.parts)
    resampling = Resampling(params.bootstrap, params.block_days, params.seed)
    write_cases(output.cases, cases)
    write_scores(output.scores, score_baselines(cases, resampling))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
