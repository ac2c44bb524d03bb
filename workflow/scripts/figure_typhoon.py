"""Draw errors of cyclones' tracks against lead, and tracks of cases.

in:  errors, scores  errors of each case and their scores, by rule cyclones_errors
out: pdf, png, csv   the figure, and the table that it is drawn from
"""

from fuxiflow.figures import typhoon
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = typhoon.table(input.errors, input.scores, params.main, params.drawn_storms)
    save_figure(typhoon.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
