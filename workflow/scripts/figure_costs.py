"""Gather what the run has cost and draw it.

in:  made      the products of verification, after which everything but figures is done
     figures   the other figures' tables
out: jobs      Parquet, one row a job (fuxiflow.runtime.costs)
     pdf, png  the figure
     csv       the table it was drawn from
"""

from pathlib import Path

from fuxiflow.figures import costs as figure
from fuxiflow.figures import style
from fuxiflow.runtime import costs


def main(input, output, params, log):
    # records and Slurm's reports lie beside them
    jobs = costs.jobs(Path(params.benchmarks).parent, params.experiments)
    costs.write(output.jobs, jobs)
    table = figure.table(jobs, params.experiments)
    style.save_figure(figure.draw(table), table, output, params.world)
    log.info("%d jobs, %.2f hours", len(jobs), jobs["seconds"].sum() / costs.HOUR)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
