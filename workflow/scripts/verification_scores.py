"""Merge all score tables into one, checked.

in:  scores  score tables of the baselines and of every experiment
out: scores  the score table that figures and headline numbers are drawn from
"""

from fuxiflow.verification import table


def main(input, output, params, log):
    merged = table.systems(table.merge(input.scores))
    table.write(output.scores, merged)
    log.info("%d scores from %d tables", len(merged), len(input.scores))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
