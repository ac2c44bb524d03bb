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
    first_day, last_day = (datetime.fromisoformat(day) for day in params.dates)
    leads = list(range(0, params.max_lead_hours + 1, STEP_HOURS))
    grid = Grid(**params.grid)
    ledger = Ledger()
    assembler = Assembler(GribReader(channel_table(), "gfs"), grid, ledger)
    paths = list_grib_files(input.raw)
    inits, states = decode_forecasts(
        assembler, paths, params.init_hours, first_day, last_day + hours(18), leads
    )
    if not inits:
        raise GribError(
            f"{input.raw}: no forecast from {params.dates[0]} .. {params.dates[1]} "
            f"at {params.init_hours} UTC; {ledger.summary()}"
        )
    states = progress(states, "decode GFS forecasts", log, total=len(inits) * len(leads))
    attrs = {"system": "gfs"}
    with ForecastWriter(
        output.forecasts, inits, leads, channel_table(), grid, attrs=attrs
    ) as writer:
        for i_init, i_lead, state in states:
            writer.write(i_init, i_lead, state)
    ledger.report(log, f"{len(inits)} forecasts")
    ledger.write(output.ledger)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
