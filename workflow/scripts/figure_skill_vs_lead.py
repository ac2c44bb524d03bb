"""Draw RMSE and anomaly correlation against lead time.

in:  scores    score table
out: pdf, png  the figure
     csv       the table it was drawn from
"""

from fuxiflow.figures import skill_vs_lead, style


def main(input, output, params, log):
    table = skill_vs_lead.table(input.scores, params.experiment, params.reference)
    style.save_figure(skill_vs_lead.draw(table), table, output, params.world)
    log.info("drawn from %d rows", len(table))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
