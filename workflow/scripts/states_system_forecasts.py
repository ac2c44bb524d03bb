"""Regrid the forecasts of another system from one segment to the networks' grid.

in:  store      Zarr in WeatherBench2's layout, or the receipt of what was fetched of one
out: forecasts  Zarr in WeatherBench2's layout (fuxiflow.states.forecasts)
     ledger     Parquet, what could not be used and why (fuxiflow.states.assembly)
"""

from datetime import date

from fuxiflow.channels import channel_table
from fuxiflow.completeness import check_share, list_times
from fuxiflow.grids import Grid
from fuxiflow.progress import progress
from fuxiflow.states.assembly import Ledger
from fuxiflow.states.forecasts import ForecastWriter
from fuxiflow.states.public_stores import PublicFields, shared_starts
from fuxiflow.times import STEP_HOURS, times


def main(input, output, params, log):
    channels = channel_table()
    channels = channels if params.channels is None else channels.select(params.channels)
    fields = PublicFields(input.store, channels, Grid(**params.grid))
    days = times(*map(date.fromisoformat, params.dates))
    inits, leads = shared_starts(
        fields,
        [time for time in days if time.hour in params.init_hours],
        list(range(STEP_HOURS, params.max_lead_hours + 1, STEP_HOURS)),
        params.system,
        log,
    )
    fields.verify(inits, leads)
    ledger = Ledger()
    lacking = []
    attrs = {"system": params.system}
    with ForecastWriter(
        output.forecasts, inits, leads, fields.channels, fields.grid, attrs
    ) as writer:
        for i, init in enumerate(progress(inits, f"regrid {params.system}", log)):
            for j, state in enumerate(fields.read(init, leads, ledger)):
                writer.write(i, j, state)
                if state is None:
                    lacking.append(init)
    ledger.report(log, f"{len(inits)} forecasts")
    total = len(inits) * len(leads)
    check_share(
        params.completeness,
        total - len(lacking),
        total,
        f"fields of forecasts of {params.system} are there, by initial and lead time",
        f"leads of forecasts from {list_times(lacking)}",
        log,
    )
    ledger.write(output.ledger)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
