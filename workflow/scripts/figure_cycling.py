"""Draw the errors of analyses and backgrounds through the cycle.

in:  cycles         series of each experiment (rule verification_analyses)
     observations   observation counts of the main experiment's windows
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from datetime import date

from fuxiflow.figures import cycling
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    test_start = date.fromisoformat(params.test_start)
    table = cycling.table(
        input.cycles, input.observations, params.main, params.reference, test_start
    )
    save_figure(cycling.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
