"""Draw the errors of analyses and backgrounds through the cycle.

in:  cycles        series of each experiment (rule verification_analyses)
     observations  what went into the main experiment's windows
out: pdf, png  the figure
     csv       the table it was drawn from
"""

from datetime import date

from fuxiflow.figures import cycling, style


def main(input, output, params, log):
    table = cycling.table(
        input.cycles,
        input.observations,
        params.main,
        params.reference,
        date.fromisoformat(params.test_start),
    )
    style.save_figure(cycling.draw(table), table, output, params.world)
    log.info("drawn from %d rows", len(table))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
