"""Draw the weights of in-situ observations in training.

in:  nothing but params.observed and params.weight
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import obs_loss_weights
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = obs_loss_weights.table(params.observed, params.weight)
    save_figure(
        obs_loss_weights.draw(table), table, output.pdf, output.png, output.csv, params.world
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
