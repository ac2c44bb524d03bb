"""Compare one experiment with others, case by case: analyses at lead 0, forecasts beyond.

in:  own     stores of the experiment's cases, by rules verification_analyses and verification_forecasts
     others  those of the experiments that it is compared with, scores/{experiment}/{kind}.cases.zarr
out: scores  score table: rmse_vs_{other}, acc_vs_{other}
"""

from fuxiflow.verification import cases, table
from fuxiflow.verification.scoring import Resampling, comparison


def main(input, output, params, log):
    resampling = Resampling(params.bootstrap, params.block_days, params.seed)
    own = {path.name: cases.read(path) for path in input.own}
    frames = []
    for path in input.others:
        other = cases.read(path)
        for key, value in own[path.name].items():
            frames.append(
                comparison(
                    value,
                    other[key],
                    resampling,
                    experiment=params.experiment,
                    system="fuxiflow",
                    reference=key[1],
                    other_name=path.parent.name,
                )
            )
    scores = table.concatenate(frames)
    table.write(output.scores, scores)
    log.info("%d comparisons of %s", len(scores), params.experiment)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
