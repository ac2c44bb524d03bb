"""Gather what the run has cost and draw it.

in:  made           products of verification: all but figures is done then
     figures        the other figures' files
out: jobs           Parquet, one row a job (fuxiflow.runtime.costs)
     pdf, png, csv  the figure, and the table that it is drawn from
"""

from pathlib import Path

from fuxiflow.figures import costs as figure
from fuxiflow.figures.files import save_figure
from fuxiflow.runtime import costs
from fuxiflow.runtime.run_state import STAGES


def main(input, output, params, log):
    # records and Slurm's reports lie beside them
    jobs = costs.job_costs(Path(params.benchmarks).parent, params.experiments)
    costs.write_costs(output.jobs, jobs)
    table = figure.table(costs.cost_summary(jobs), STAGES, params.experiments)
    save_figure(figure.draw(table), table, output.pdf, output.png, output.csv, params.world)
    log.info("%d jobs, %.2f hours", len(jobs), jobs["seconds"].sum() / costs.HOUR)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
