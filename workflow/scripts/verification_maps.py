"""Draw up maps of the errors of one experiment's forecasts.

Apart from the scores, so that a choice of maps computes no score anew.

in:  forecasts    forecast stores of the test period
     era5, truth  reference state stores, each may be empty
     climatology  climatology store
out: maps         Zarr, mean error and RMSE at each cell (fuxiflow.verification.maps)
"""

from fuxiflow.states.forecasts import Forecasts
from fuxiflow.verification import systems
from fuxiflow.verification.collect import collect
from fuxiflow.verification.maps import ErrorMaps
from fuxiflow.verification.metrics import region_weights

REGIONS = ["global"]


def main(input, output, params, log):
    forecasts = Forecasts(input.forecasts)
    channels = forecasts.channels.names
    leads = [lead for lead in systems.forecast_leads(forecasts) if lead in params.map_leads]
    named = {"era5": input.era5, "truth": input.truth}
    normals, references = systems.references(
        named, input.climatology, channels, region_weights(forecasts.grid, REGIONS), {}
    )
    maps = ErrorMaps(
        [r.name for r in references],
        params.map_leads,
        channels,
        params.map_channels,
        forecasts.grid,
    )
    collect(
        systems.forecast(forecasts),
        systems.moments(params.period, params.init_hours),
        leads,
        normals,
        references,
        REGIONS,
        log,
        "maps",
        maps,
    )
    maps.write(output.maps)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
