"""Compare one experiment with others, case by case: analyses at lead 0, forecasts beyond.

in:  own     stores of the experiment's cases, by rules verification_analyses and
             verification_forecasts
     others  stores of the experiments to compare with, scores/{experiment}/{kind}.cases.zarr
out: scores  score table: rmse_vs_{other}, acc_vs_{other}
"""

from fuxiflow.verification.cases import StoredCases
from fuxiflow.verification.evaluation import compare_experiments
from fuxiflow.verification.score_table import write_scores
from fuxiflow.verification.scoring import Resampling


def main(input, output, params, log):
    own = {path.name: StoredCases(path) for path in input.own}
    pairs = ((path.parent.name, own[path.name], StoredCases(path)) for path in input.others)
    resampling = Resampling(params.bootstrap, params.block_days, params.seed)
    scores = compare_experiments(pairs, resampling, params.experiment)
    write_scores(output.scores, scores)
    log.info("%d comparisons of %s", len(scores), params.experiment)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
