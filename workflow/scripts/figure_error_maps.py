"""Draw maps of the mean error of forecasts.

in:  maps      Zarr, mean errors by reference, lead time and channel (fuxiflow.verification.maps)
out: pdf, png  the figure
     csv       the table it was drawn from
"""

from fuxiflow.figures import error_maps, style


def main(input, output, params, log):
    table = error_maps.table(input.maps, params.reference)
    style.save_figure(error_maps.draw(table), table, output, params.world)
    log.info("drawn from %d rows", len(table))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
