"""Draw the data flow that the configuration describes.

in:  nothing but params.settings
out: pdf, png  the figure
     csv       the table it was drawn from
"""

from fuxiflow.figures import style, system


def main(input, output, params, log):
    table = system.table(params.settings)
    style.save_figure(system.draw(table), table, output, params.world)
    log.info("drawn from %d rows", len(table))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
