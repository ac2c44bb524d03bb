"""Select a sounder's channels by a table of Jacobians, and draw what was selected.

in:  jacobians      the table of Jacobians: NetCDF, Zarr or Parquet
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import iasi_selection
from fuxiflow.figures.files import save_figure
from fuxiflow.observations.channel_selection import select_channels
from fuxiflow.observations.jacobians import read_jacobians


def main(input, output, params, log):
    jacobians = read_jacobians(*input.jacobians, params.correlation_length)
    selected = select_channels(jacobians, params.informative, params.spaced, params.criterion)
    table = iasi_selection.table(jacobians, selected, params.used)
    save_figure(iasi_selection.draw(table), table, output.pdf, output.png, output.csv, params.world)
    log.info("%d of %d channels selected", params.spaced, len(jacobians.channel))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
