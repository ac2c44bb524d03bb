"""Draw what the filter of backgrounds takes out of anomalies and errors.

in:  response       Parquet, what it does by wavenumber and channel
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import background_filter
from fuxiflow.figures.files import save_figure
from fuxiflow.storage.tables import read_parquet


def main(input, output, params, log):
    table = background_filter.table(read_parquet(*input.response))
    save_figure(
        background_filter.draw(table), table, output.pdf, output.png, output.csv, params.world
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
