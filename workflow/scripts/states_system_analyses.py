"""Regrid the analyses of another system in one segment to the networks' grid.

in:  store   Zarr in WeatherBench2's layout, or the receipt of what was fetched of one
out: states  Zarr, one state each 6 hours, missing ones marked (fuxiflow.states.store)
     ledger  Parquet, what could not be used and why (fuxiflow.states.assembly)
"""

from datetime import date

from fuxiflow import times
from fuxiflow.channels import channel_table
from fuxiflow.completeness import check_share, list_times
from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.states.assembly import Ledger
from fuxiflow.states.public_stores import PublicFields
from fuxiflow.states.store import StateWriter


def main(input, output, params, log):
    channels = channel_table()
    channels = channels if params.channels is None else channels.select(params.channels)
    fields = PublicFields(input.store, channels.analysed, Grid(**params.grid))
    analysis_times = times.times(*map(date.fromisoformat, params.dates))
    fields.verify(analysis_times, [0])
    ledger = Ledger()
    missing = []
    options = {"attrs": {"reference": params.system}, "compression": params.compression}
    with StateWriter(
        output.states, analysis_times, fields.channels, fields.grid, **options
    ) as writer:
        for index, time in enumerate(progress(analysis_times, f"regrid {params.system}", log)):
            (state,) = fields.read(time, [0], ledger)
            writer.write(index, state)
            if state is None:
                missing.append(time)
    usable = len(analysis_times) - len(missing)
    ledger.report(log, f"{usable} of {len(analysis_times)} analyses usable")
    check_share(
        params.completeness,
        usable,
        len(analysis_times),
        f"analyses of {params.system} are there ({ledger.first_reasons() or 'all are'})",
        list_times(missing),
        log,
    )
    ledger.write(output.ledger)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
