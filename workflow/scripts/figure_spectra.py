"""Draw the power of analyses, forecasts and errors by wavenumber.

in:  spectra        power by total wavenumber, by rule verification_structure
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from fuxiflow.figures import spectra
from fuxiflow.figures.files import save_figure


def main(input, output, params, log):
    table = spectra.table(input.spectra, params.experiment)
    save_figure(spectra.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
