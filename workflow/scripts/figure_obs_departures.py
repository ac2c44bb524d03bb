"""Draw profiles of the departures of all systems from observations.

in:  scores         departures of all systems, by rule verification_observed
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import obs_departures
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = obs_departures.table(input.scores, params.stations, params.main)
    save_figure(obs_departures.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
