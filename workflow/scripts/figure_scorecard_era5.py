"""Draw the scorecard: normalised RMSE difference to another system, against ERA5.

in:  scores         score table
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import scorecard_era5
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = scorecard_era5.table(
        input.scores,
        params.experiment,
        params.other,
        false_discovery_rate=params.false_discovery_rate,
    )
    save_figure(scorecard_era5.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
