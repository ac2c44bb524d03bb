"""Score one experiment's forecasts, and persistence from its analyses.

in:  forecasts    forecast stores of the test period
     analyses     stores of what the forecasts start from, array ``params.array``: the experiment's own reference, and
                  what persistence starts from
     era5, truth  reference state stores, each may be empty
     climatology  climatology store
     baselines    cases of the baselines, by rule verification_baselines
out: scores       score table: systems fuxiflow and persistence
     cases        Zarr, the statistics of each forecast, for comparisons of experiments (fuxiflow.verification.cases)
"""

from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import States
from fuxiflow.verification import cases, systems, table
from fuxiflow.verification.collect import collect
from fuxiflow.verification.metrics import region_weights
from fuxiflow.verification.scoring import Resampling, comparison, scores


def main(input, output, params, log):
    forecasts = Forecasts(input.forecasts)
    analyses = States(input.analyses, name=params.array)
    channels, leads = forecasts.channels.names, systems.forecast_leads(forecasts)
    weights = region_weights(forecasts.grid, params.regions)
    named = {"era5": input.era5, "truth": input.truth, "own": input.analyses if params.own else []}
    normals, references = systems.references(
        named, input.climatology, channels, weights, {"own": params.array}
    )
    inits = systems.moments(params.period, params.init_hours)
    found = {
        "fuxiflow": collect(
            systems.forecast(forecasts),
            inits,
            leads,
            normals,
            references,
            params.regions,
            log,
            "forecasts",
        )
    }
    if "persistence" in params.baselines:
        found["persistence"] = collect(
            systems.persistence(analyses, channels),
            inits,
            leads,
            normals,
            references,
            params.regions,
            log,
            "persistence",
        )

    shared = {
        ("forecast", name): value for name, value in found["fuxiflow"].items() if name != "own"
    }
    cases.write(output.cases, shared)
    resampling = Resampling(params.bootstrap, params.block_days, params.seed)
    others = cases.read(input.baselines)
    others |= {("persistence", name): value for name, value in found.get("persistence", {}).items()}
    frames = []
    for system, by_reference in found.items():
        for name, value in by_reference.items():
            log.info("scores of %s against %s", system, name)
            frames.append(
                scores(
                    value, resampling, experiment=params.experiment, system=system, reference=name
                )
            )
    for (other, name), value in others.items():
        if other in params.baselines and name in found["fuxiflow"]:
            frames.append(
                comparison(
                    found["fuxiflow"][name],
                    value,
                    resampling,
                    experiment=params.experiment,
                    system="fuxiflow",
                    reference=name,
                    other_name=other,
                )
            )
    table.write(output.scores, table.concatenate(frames))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
