"""Merge all score tables into one, checked.

in:  scores  score tables of the baselines and of every experiment
out: scores  the score table that figures and headline numbers are drawn from
"""

from fuxiflow.verification.score_table import merge_scores, system_scores, write_scores


def main(input, output, params, log):
    merged = system_scores(merge_scores(input.scores))
    write_scores(output.scores, merged)
    log.info("%d scores from %d tables", len(merged), len(input.scores))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
