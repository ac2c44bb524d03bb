"""Compare the analyses and forecasts of all systems from a segment with observations.

in:  observations  drawn observations {source}/{segment}.parquet of all valid times
     forecasts     forecast stores {system}/{segment}.zarr
     analyses      stores {system}/{segment}.zarr of analyses: of experiments, or of others
     era5          ERA5's states of all valid times, may be empty
     climatology   climatology store
     statistics    statics of the states: surface geopotential and land fraction
out: sums          Zarr, sums of departures by source (fuxiflow.verification.observation_departures)
"""

from pathlib import Path

from fuxiflow.config import sources
from fuxiflow.runtime.rule_runner import run
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries
from fuxiflow.verification.collection import period_times
from fuxiflow.verification.observation_departures import (
    ObservedSource,
    collect_observation_departures,
    forecast_states,
    persistent_states,
    states_at_valid_time,
    write_observation_sums,
)
from fuxiflow.verification.point_equivalents import PointOperator
from fuxiflow.verification.references import CACHE_BYTES


def open_systems(input, names):
    """Return the reader of each system's states, in the order of ``names``."""
    forecasts, analyses = (
        {Path(path).parent.name: Path(path) for path in paths}
        for paths in (input.forecasts, input.analyses)
    )
    states = {
        name: StateSeries([path], "analysis" if path.parent.parent.name == "analyses" else "state")
        for name, path in analyses.items()
    }
    readers = {}
    for name in names:
        if name == "era5":
            readers[name] = states_at_valid_time(StateSeries(input.era5))
        elif name == "climatology":
            readers[name] = states_at_valid_time(Climatology.read(input.climatology, CACHE_BYTES))
        elif name == "persistence":
            if names[0] in states:
                readers[name] = persistent_states(states[names[0]])
        else:
            made = Forecasts([forecasts[name]]) if name in forecasts else None
            readers[name] = forecast_states(made, states.get(name))
    return readers


def main(input, output, params, log):
    statics = Statistics.read(input.statistics)
    observed = [
        ObservedSource.read(name, PointOperator(sources.load_source(name), statics), paths)
        for name, paths in sources.paths_by_source(params.sources, input.observations).items()
    ]
    sums, counts = collect_observation_departures(
        open_systems(input, params.systems),
        observed,
        statics.grid,
        period_times(params.period, params.init_hours),
        params.leads,
        params.regions,
        log,
    )
    write_observation_sums(output.sums, sums, counts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
