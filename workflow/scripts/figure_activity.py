"""Draw the activity of forecasts against lead time.

in:  scores         score table
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import activity
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
<<<<<<< HEAD:workflow/scripts/figure_scorecard_era5.py
    table = scorecard_era5.table(
        input.scores,
        params.experiment,
        params.other,
        false_discovery_rate=params.false_discovery_rate,
    )
    save_figure(scorecard_era5.draw(table), table, output.pdf, output.png, output.csv, params.world)
=======
    table = activity.table(input.scores, params.experiment, params.reference, params.relative_to)
    save_figure(activity.draw(table), table, output.pdf, output.png, output.csv, params.world)
>>>>>>> f462d19 (Scorecards of ACC and against own analyses, activity, central Africa, the mask after infill; make paper: figures and numbers with their queries):workflow/scripts/figure_activity.py


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
