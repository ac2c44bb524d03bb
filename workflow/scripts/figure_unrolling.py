"""Draw what unrolled cycles in joint training add to the networks' own cycle.

in:  scores         score table
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import unrolling
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = unrolling.table(input.scores, params.labels, params.reference)
    save_figure(unrolling.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
