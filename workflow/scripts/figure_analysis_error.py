"""Draw profiles of the error of analyses and their background.

in:  scores    score table
     baselines score table of the baselines, with ERA5's own error against the truth
out: pdf, png  the figure
     csv       the table it was drawn from
"""

from fuxiflow.figures import analysis_error, style


def main(input, output, params, log):
    table = analysis_error.table(
        input.scores, params.experiments, params.references, input.baselines
    )
    style.save_figure(analysis_error.draw(table), table, output, params.world)
    log.info("drawn from %d rows", len(table))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
