"""Add up the errors of one experiment's forecasts from one segment, at each cell.

Apart from the scores, so that another choice of maps computes no score anew.

in:  forecasts    forecast store of the segment
     era5, truth  reference state stores of all valid times, each may be empty
     climatology  climatology store
out: sums         Zarr, sums of the error and its square (fuxiflow.verification.maps)
"""

from fuxiflow.states.forecasts import Forecasts
from fuxiflow.verification.collection import period_times
from fuxiflow.verification.systems import ScoringSetup, map_errors


def main(input, output, params, log):
    references = {"era5": input.era5, "truth": input.truth}
    maps, counts = map_errors(
        ScoringSetup.open(references, input.climatology, ["global"]),
        Forecasts(input.forecasts, params.map_channels),
        period_times(params.period, params.init_hours),
        params.map_leads,
        log,
    )
    maps.write_part(output.sums, counts)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
