"""Score what every experiment is compared with: GFS and climatology forecasts, GFS and ERA5 analyses.

in:  era5, truth  reference state stores, each may be empty
     gfs          GFS analyses, may be empty
     forecasts    GFS forecast stores, may be empty
     climatology  climatology store
out: scores       score table, experiment "baseline"
     cases        Zarr, the statistics of each case, for paired comparisons (fuxiflow.verification.cases)
"""

import numpy as np

from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import States
from fuxiflow.verification import cases, systems, table
from fuxiflow.verification.collect import climatology_cases, collect
from fuxiflow.verification.metrics import region_weights
from fuxiflow.verification.scoring import Resampling, scores


def gfs_forecasts(input, params, weights, log):
    """Cases of the GFS forecasts that start in the period, by reference; none without forecasts."""
    if not input.forecasts:
        return {}
    forecasts = Forecasts(input.forecasts)
    named = {"era5": input.era5, "truth": input.truth, "own": input.gfs if params.own else []}
    normals, references = systems.references(
        named, input.climatology, forecasts.channels.names, weights
    )
    inits = np.intersect1d(forecasts.init_times, systems.moments(params.period))
    if not len(inits):
        log.warning("no GFS forecast starts in the period %s to %s", *params.period)
        return {}
    return collect(
        systems.forecast(forecasts),
        inits,
        systems.forecast_leads(forecasts),
        normals,
        references,
        params.regions,
        log,
        "GFS forecasts",
    )


def main(input, output, params, log):
    climatology = Climatology.read(input.climatology)
    channels, weights = climatology.channels.names, region_weights(climatology.grid, params.regions)
    named = {"era5": input.era5, "truth": input.truth}
    normals, references = systems.references(named, input.climatology, channels, weights)
    by_name = {reference.name: reference for reference in references}
    found = {
        ("gfs", name): value for name, value in gfs_forecasts(input, params, weights, log).items()
    }
    if "climatology" in params.baselines:
        inits = systems.moments(params.period, params.init_hours)
        leads = list(range(6, params.max_lead_hours + 1, 6))
        found |= {
            ("climatology", name): climatology_cases(
                inits, leads, normals, reference, params.regions
            )
            for name, reference in by_name.items()
        }
    analysed = {"gfs": input.gfs, "era5": input.era5 if "truth" in by_name else []}
    for system, paths in analysed.items():
        against = [
            r for r in references if r.name != system and (system != "era5" or r.name == "truth")
        ]
        if paths and against:
            values = collect(
                systems.persistence(States(paths), channels),
                systems.moments(params.period),
                [0],
                normals,
                against,
                params.regions,
                log,
                f"{system} analyses",
            )
            found |= {(f"{system}_analysis", name): value for name, value in values.items()}

    resampling = Resampling(params.bootstrap, params.block_days, params.seed)
    cases.write(output.cases, found)
    table.write(
        output.scores,
        table.concatenate(
            scores(
                value,
                resampling,
                experiment=table.BASELINE,
                system=system.removesuffix("_analysis"),
                reference=name,
            )
            for (system, name), value in found.items()
        ),
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
