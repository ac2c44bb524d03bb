"""Draw errors of analyses with and without simulated observations in training.

in:  scores         score table
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import hybrid_training
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = hybrid_training.table(input.scores, *params.experiments, params.references)
    save_figure(
        hybrid_training.draw(table), table, output.pdf, output.png, output.csv, params.world
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
