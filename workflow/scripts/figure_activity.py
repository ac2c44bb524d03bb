"""Draw the activity of forecasts against lead time.

in:  scores         score table
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import activity
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = activity.table(input.scores, params.experiment, params.reference, params.relative_to)
    save_figure(activity.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
