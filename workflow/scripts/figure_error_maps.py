"""Draw maps of the mean error of forecasts.

in:  maps           Zarr, mean errors by reference, lead time and channel
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import error_maps
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = error_maps.table(input.maps, params.reference)
    save_figure(error_maps.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
