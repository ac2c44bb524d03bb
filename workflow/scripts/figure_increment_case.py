"""Draw the increment of one analysis beside those that the references ask for.

in:  analyses       analysis stores, arrays analysis and background
     era5, truth    state stores of the references, each may be empty
     response       Zarr, answer to a perturbed observation, may be empty
out: pdf, png, csv  the figure, and the table that it is drawn from
"""

from datetime import datetime

from fuxiflow.cycling.response import Response
from fuxiflow.figures import increment_case
from fuxiflow.figures.files import save_figure
from fuxiflow.states.store import StateSeries


def main(input, output, params, log):
    references = {"era5": input.era5, "truth": input.truth}
    table = increment_case.table(
        StateSeries(input.analyses, name="analysis"),
        StateSeries(input.analyses, name="background"),
        {name: StateSeries(paths) for name, paths in references.items() if paths},
        datetime.fromisoformat(params.case),
    )
    for path in input.response:
        table = increment_case.with_response(table, Response.read(path))
    save_figure(increment_case.draw(table), table, output.pdf, output.png, output.csv, params.world)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
