"""Draw how much of the forecasts' errors is the seed of training.

in:  spread         mean and range over seeds, by rule verification_seeds
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import seeds
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = seeds.table(input.spread, params.reference)
    save_figure(seeds.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
