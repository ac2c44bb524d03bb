"""Draw the scorecard: normalised RMSE difference to GFS, against ERA5.

in:  scores    score table
out: pdf, png  the figure
     csv       the table it was drawn from
"""

from fuxiflow.figures import scorecard_era5, style


def main(input, output, params, log):
    table = scorecard_era5.table(input.scores, params.experiment)
    style.save_figure(scorecard_era5.draw(table), table, output, params.world)
    log.info("drawn from %d rows", len(table))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
