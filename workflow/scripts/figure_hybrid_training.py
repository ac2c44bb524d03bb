"""Draw errors of analyses with and without simulated observations in training.

in:  scores    score table
out: pdf, png  the figure
     csv       the table it was drawn from
"""

from fuxiflow.figures import hybrid_training, style


def main(input, output, params, log):
    table = hybrid_training.table(input.scores, *params.experiments, params.references)
    style.save_figure(hybrid_training.draw(table), table, output, params.world)
    log.info("drawn from %d rows", len(table))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
