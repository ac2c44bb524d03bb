"""Take spectra and balance of all systems' analyses and forecasts from a segment.

in:  forecasts  forecast stores {system}/{segment}.zarr
     analyses   stores {system}/{segment}.zarr of analyses: of the experiment, or of others
     reference  states of the reference at all valid times
out: cases      Zarr, power by wavenumber and mean squares of each case
                (fuxiflow.verification.structure)
"""

from pathlib import Path

from fuxiflow.runtime.rule_runner import run
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.verification.collection import period_times
from fuxiflow.verification.observation_departures import forecast_states
from fuxiflow.verification.structure import collect_structure, needed_channels, write_structure


def open_forecasts(path):
    """Open the channels of forecasts that are needed, as far as they are stored."""
    needed = {*needed_channels()}
    stored = Forecasts([path]).channels.names
    return Forecasts([path], [name for name in stored if name in needed])


def open_systems(input, names):
    """Return the reader of each system's states, in the order of ``names``."""
    forecasts = {Path(path).parent.name: open_forecasts(path) for path in input.forecasts}
    analyses = {
        path.parent.name: StateSeries(
            [path], "analysis" if path.parent.parent.name == "analyses" else "state"
        )
        for path in map(Path, input.analyses)
    }
    return {name: forecast_states(forecasts.get(name), analyses.get(name)) for name in names}


def main(input, output, params, log):
    data, counts = collect_structure(
        open_systems(input, params.systems),
        StateSeries(input.reference),
        period_times(params.period, params.init_hours),
        params.leads,
        log,
    )
    write_structure(output.cases, data, counts)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
