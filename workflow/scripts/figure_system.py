"""Draw the data flow that the configuration describes.

in:  nothing but params.settings
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import system
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = system.table(params.settings)
    save_figure(system.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
