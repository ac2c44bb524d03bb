"""Score one experiment's analyses and backgrounds over the test period; series of the whole cycle.

in:  analyses     analysis stores, arrays analysis and background
     era5, truth  reference state stores, each may be empty
     climatology  climatology store
     baselines    cases of the baselines, by rule verification_baselines
     grids        sparse-grid stores of what the experiment assimilates, may be empty
out: scores        score table: rmse, bias, acc, activity of the analysis, background_* of the background
     cycle         Parquet: experiment, time, array (analysis, background, climatology), reference, channel, rmse, bias
                   (global), with the spin-up
     observations  Parquet: experiment, time, source, n
     cases         Zarr, the statistics of each analysis, for comparisons of experiments (fuxiflow.verification.cases)
"""

from fuxiflow.states.store import States
from fuxiflow.storage import tables
from fuxiflow.verification import cases, cycle, systems, table
from fuxiflow.verification.collect import climatology_cases, collect
from fuxiflow.verification.metrics import region_weights
from fuxiflow.verification.scoring import Resampling, comparison, scores

ARRAYS = ("analysis", "background")


def main(input, output, params, log):
    stores = {array: States(input.analyses, name=array) for array in ARRAYS}
    channels, grid = stores["analysis"].channels.names, stores["analysis"].grid
    normals, references = systems.references(
        {"era5": input.era5, "truth": input.truth},
        input.climatology,
        channels,
        region_weights(grid, params.regions),
    )
    times = systems.moments(params.cycle)
    found = {}
    for array, states in stores.items():
        values = collect(
            systems.persistence(states, channels),
            times,
            [0],
            normals,
            references,
            params.regions,
            log,
            array,
        )
        found |= {(array, name): value for name, value in values.items()}
    weather = {
        ("climatology", reference.name): climatology_cases(
            times, [0], normals, reference, params.regions
        )
        for reference in references
    }
    tables.write_parquet(output.cycle, cycle.series(found | weather, params.experiment))
    tables.write_parquet(
        output.observations, cycle.observation_counts(input.grids, times, params.experiment)
    )

    test = systems.moments(params.period)
    tested = {key: value.select(test, [0], channels) for key, value in found.items()}
    cases.write(output.cases, {key: value for key, value in tested.items() if key[0] == "analysis"})
    resampling = Resampling(params.bootstrap, params.block_days, params.seed)
    baselines = cases.read(input.baselines)
    frames = []
    for (array, name), value in tested.items():
        frames.append(
            scores(
                value,
                resampling,
                experiment=params.experiment,
                system="fuxiflow",
                reference=name,
                prefix="" if array == "analysis" else "background_",
            )
        )
    for reference in references:
        analysis = tested["analysis", reference.name]
        others = {"background": tested["background", reference.name]}
        others |= {
            name: baselines[f"{name}_analysis", reference.name]
            for name in ("gfs", "era5")
            if (f"{name}_analysis", reference.name) in baselines
        }
        frames += [
            comparison(
                analysis,
                other,
                resampling,
                experiment=params.experiment,
                system="fuxiflow",
                reference=reference.name,
                other_name=name,
            )
            for name, other in others.items()
        ]
    table.write(output.scores, table.concatenate(frames))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
