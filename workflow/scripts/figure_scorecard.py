"""Draw a scorecard: differences of a score to another system, by channel and lead time.

in:  scores         score table
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import scorecard
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = scorecard.table(
        input.scores,
        params.experiment,
        params.other,
        params.reference,
        params.metric,
        params.false_discovery_rate,
    )
    save_figure(scorecard.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
