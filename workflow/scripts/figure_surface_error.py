"""Draw RMSE and bias of analyses near the ground.

in:  scores    score table
     baselines score table of the baselines, with ERA5's own error against the truth
out: pdf, png  the figure
     csv       the table it was drawn from
"""

from fuxiflow.figures import style, surface_error


def main(input, output, params, log):
    table = surface_error.table(input.scores, params.experiments, params.reference, input.baselines)
    style.save_figure(surface_error.draw(table), table, output, params.world)
    log.info("drawn from %d rows", len(table))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
