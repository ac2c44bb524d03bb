"""Draw profiles of the error of analyses and their background.

in:  scores         score table
     baselines      score table of the baselines, with ERA5's own error against the truth
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import analysis_error
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = analysis_error.table(
        input.scores, params.experiments, params.references, input.baselines
    )
    save_figure(analysis_error.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
