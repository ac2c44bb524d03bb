"""Draw what is out of balance in analyses and forecasts.

in:  balance        residuals of balances, by rule verification_structure
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import balance
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = balance.table(input.balance, params.experiment)
    save_figure(balance.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
