"""Decode the GFS forecasts of one segment to the networks' grid.

in:  raw        directory of GRIB2 files, one for each initial time and lead, or their receipt
out: forecasts  Zarr in WeatherBench2's layout (fuxiflow.states.forecasts)
     ledger     Parquet, what could not be used and why (fuxiflow.states.assembly)
"""

from datetime import date, datetime

from fuxiflow.channels import channel_table
from fuxiflow.completeness import check_share, list_times
from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.states.assembly import Assembler, Ledger
from fuxiflow.states.decoding import decode_forecasts, list_grib_files
from fuxiflow.states.forecasts import ForecastWriter
from fuxiflow.states.grib import GribReader
from fuxiflow.states.grib_messages import GribError
from fuxiflow.storage.raw_files import unverified_remark
from fuxiflow.times import STEP_HOURS, hours, times


def expected_times(params):
    """List the initial times that there should be a forecast from."""
    every, since = params.completeness.every_hours, params.completeness.since
    days = times(*map(date.fromisoformat, params.dates))
    return [
        time
        for time in days
        if time.hour in params.init_hours
        and (every is None or (time - datetime.fromisoformat(since)) % hours(every) == hours(0))
    ]


def main(input, output, params, log):
    first_day, last_day = (datetime.fromisoformat(day) for day in params.dates)
    leads = list(range(0, params.max_lead_hours + 1, STEP_HOURS))
    grid = Grid(**params.grid)
    ledger = Ledger()
    if remark := unverified_remark(input.raw):
        ledger.note(remark, input.raw)
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
        output.forecasts, inits, leads, channel_table(), grid, attrs, kept=params.kept
    ) as writer:
        lacking = []
        for i_init, i_lead, state in states:
            writer.write(i_init, i_lead, state)
            if state is None:
                lacking.append(inits[i_init])
    ledger.report(log, f"{len(inits)} forecasts")
    absent = [time for time in expected_times(params) if time not in inits]
    check_share(
        params.completeness,
        len(inits) * len(leads) - len(lacking),
        (len(inits) + len(absent)) * len(leads),
        f"fields of forecasts in {input.raw} are there, by initial and lead time",
        f"forecasts from {list_times(absent)}; single leads of those from {list_times(lacking)}",
        log,
    )
    ledger.write(output.ledger)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
