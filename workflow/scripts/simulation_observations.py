"""Simulate the observations of one source and segment from the reanalysis, for training.

in:  states      Zarr, reanalysis of the segment and of the one after it in training
     statistics  Zarr, with the surface's height and land
     errors      Zarr, bias and noise of real ones
     tables      Parquet, real footprints whose places are taken, none where orbits are computed
out: table       Parquet, footprints of origin `simulated`
                 (schema: fuxiflow.observations.footprint_table)
"""

from datetime import date, timedelta

from fuxiflow.config import sources
from fuxiflow.observations.footprint_table import FootprintWriter
from fuxiflow.operators import equivalents
from fuxiflow.progress import progress
from fuxiflow.simulation import observations
from fuxiflow.simulation.errors import ObservationErrors
from fuxiflow.simulation.geometry import Template
from fuxiflow.simulation.reanalysis import ReanalysisSampler
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries


def main(input, output, params, log):
    source = sources.load_source(params.source)
    operator = equivalents.equivalent_operator(source)
    reanalysis = ReanalysisSampler(
        StateSeries(input.states),
        Statistics.read(input.statistics),
        equivalents.required_channels(source),
    )
    errors = ObservationErrors.read(input.errors)
    template = Template(input.tables, *map(date.fromisoformat, params.template))
    start, end = map(date.fromisoformat, params.dates)
    days = [start + timedelta(days=i) for i in range((end - start).days + 1)]
    written = uncovered = 0
    with FootprintWriter(
        output.table, source.channel_names, {"origin": observations.ORIGIN}
    ) as writer:
        for day in progress(days, f"days of {source.name}", log):
            # one generator a day, which first places and then errors are drawn from
            random = observations.day_generator(params.seed, source.name, day)
            for places in observations.places_of_day(
                source, params.geometry, template, day, params.strides, random
            ):
                footprints, left = observations.simulate_footprints(
                    source, operator, reanalysis, errors, places, random
                )
                writer.write(footprints)
                written += len(footprints)
                uncovered += left
    log.info(
        "%s: %d simulated footprints; %d places are at times without a reanalysis about them",
        source.name,
        written,
        uncovered,
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
