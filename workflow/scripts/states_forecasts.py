"""Decode the GFS forecasts of one segment to the networks' grid.

in:  raw        directory of GRIB2 files, one for each initial time and lead
out: forecasts  Zarr in WeatherBench2's layout (fuxiflow.states.forecasts)
     ledger     Parquet, what could not be used and why (fuxiflow.states.assembly)
"""

from datetime import datetime

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.states.assembly import Assembler, Ledger
from fuxiflow.states.decoding import decode_forecasts, list_grib_files
from fuxiflow.states.forecasts import ForecastWriter
from fuxiflow.states.grib import GribReader
from fuxiflow.states.grib_messages import GribError
from fuxiflow.times import STEP_HOURS, hours


def main(input, output, params, log):
    first, last = (datetime.fromisoformat(day) for day in params.dates)
    leads = list(range(0, params.max_lead_hours + 1, STEP_HOURS))
    grid, ledger = Grid(**params.grid), Ledger()
    assembler = Assembler(GribReader(channel_table(), "gfs"), grid, ledger)
    paths = list_grib_files(input.raw)
    inits, states = decode_forecasts(
        assembler, paths, params.init_hours, first, last + hours(18), leads
    )
    if not inits:
        raise GribError(
            f"{input.raw}: no forecast from {params.dates[0]} .. {params.dates[1]} at {params.init_hours} UTC; "
            f"{ledger.summary()}"
        )
    attrs = {"system": "gfs"}
    with ForecastWriter(
        output.forecasts, inits, leads, channel_table(), grid, attrs=attrs
    ) as writer:
        for i_init, i_lead, state in progress(
            states, "decode GFS forecasts", log, total=len(inits) * len(leads)
        ):
            writer.write(i_init, i_lead, state)
    for row in ledger.rows[:20]:
        log.warning("%(file)s message %(message)s, %(time)s %(channel)s: %(reason)s", row)
    log.info("%d forecasts; %s", len(inits), ledger.summary())
    ledger.write(output.ledger)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
