"""Draw up maps of the errors of one experiment's forecasts.

Apart from the scores, so that another choice of maps computes no score anew.

in:  forecasts    forecast stores of the test period
     era5, truth  reference state stores, each may be empty
     climatology  climatology store
out: maps         Zarr, mean error and RMSE at each cell (fuxiflow.verification.maps)
"""

from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.verification.collection import period_times
from fuxiflow.verification.evaluation import map_errors, open_states
from fuxiflow.verification.references import CACHE_BYTES


def main(input, output, params, log):
    maps = map_errors(
        open_states({"era5": input.era5, "truth": input.truth}),
        Climatology.read(input.climatology, CACHE_BYTES),
        Forecasts(input.forecasts, params.map_channels),
        period_times(params.period, params.init_hours),
        params.map_leads,
        log,
        params.completeness,
    )
    maps.write(output.maps)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
