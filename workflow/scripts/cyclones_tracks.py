"""Follow the storms of the best tracks through one system's forecasts of a segment.

in:  forecasts    forecast store of the segment
     best_tracks  Parquet, best tracks
     statistics   statics of the states: surface geopotential and land fraction
out: tracks       Parquet, positions by storm, initial time and lead
                  (fuxiflow.cyclones.forecast_tracks)
"""

from fuxiflow.config.cyclones import Tracker
from fuxiflow.cyclones.forecast_tracks import track_forecasts
from fuxiflow.cyclones.tracker import Ground
from fuxiflow.runtime.rule_runner import run
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.statistics import Statistics
from fuxiflow.storage.tables import read_parquet, write_parquet


def main(input, output, params, log):
    settings = Tracker(**params.tracker)
    statics = Statistics.read(input.statistics)
    tracks = track_forecasts(
        Forecasts([input.forecasts], settings.channels),
        read_parquet(input.best_tracks),
        Ground.of_geopotential(statics.grid, statics.land_fraction, statics.surface_geopotential),
        settings,
        system=params.system,
        max_lead_hours=params.max_lead_hours,
        natures=params.natures,
        least_wind=params.least_wind,
        log=log,
    )
    write_parquet(output.tracks, tracks)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
