"""Say how much of each score is the seed, of experiments that are trained with several.

in:  scores  the score table
out: spread  Parquet: mean, standard deviation and range (fuxiflow.verification.seed_spread)
"""

from fuxiflow.storage.tables import write_parquet
from fuxiflow.verification.score_table import read_scores
from fuxiflow.verification.seed_spread import seed_spread


def main(input, output, params, log):
    spread = seed_spread(read_scores(input.scores), params.trainings)
    write_parquet(output.spread, spread)
    log.info("%d scores over the seeds of %s", len(spread), ", ".join(params.trainings))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
