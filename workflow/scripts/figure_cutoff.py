"""Draw the skill of experiments whose data end earlier.

in:  scores         score table
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import cutoff
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = cutoff.table(input.scores, params.data_end, params.reference)
    save_figure(cutoff.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
