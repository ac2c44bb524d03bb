"""Hold the headline numbers of the run against the bars of the demonstration.

in:  scores  the score table
     cycle   series of the experiment "full" (rule verification_analyses), may be empty
out: table   CSV: number, value, bar, verdict; the report opens with it
"""

from fuxiflow.verification.acceptance import headline_table, judge_scores


def main(input, output, params, log):
    table = headline_table(judge_scores(input.scores, input.cycle or None))
    table.to_csv(output.table, index=False, lineterminator="\n")
    log.info("%d of %d bars met", (table["verdict"] == "met").sum(), len(table))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
