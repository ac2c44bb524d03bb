"""Draw what unrolled cycles in joint training add to the networks' own cycle.

in:  scores    score table
out: pdf, png  the figure
     csv       the table it was drawn from
"""

from fuxiflow.figures import style, unrolling


def main(input, output, params, log):
    table = unrolling.table(input.scores, params.labels, params.reference)
    style.save_figure(unrolling.draw(table), table, output, params.world)
    log.info("drawn from %d rows", len(table))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
