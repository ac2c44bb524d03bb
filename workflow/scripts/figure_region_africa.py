"""Draw RMSE and anomaly correlation against lead time in a region.

in:  scores         score table
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import skill_vs_lead
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = skill_vs_lead.table(
        input.scores,
        params.experiment,
        params.reference,
        params.region,
        params.false_discovery_rate,
    )
    save_figure(skill_vs_lead.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
