"""Draw the observations of one source and segment that states are compared with.

in:  table       Parquet, footprints after quality control
     statistics  statics of the states: land fraction
out: table       Parquet, those near analysis times, withheld ones and assimilated ones
                 (schema: fuxiflow.observations.footprint_table)
"""

from datetime import date

from fuxiflow.config import sources
from fuxiflow.observations.footprint_table import FootprintWriter
from fuxiflow.runtime.rule_runner import run
from fuxiflow.states.statistics import Statistics
from fuxiflow.verification.observation_samples import sample_observations


def main(input, output, params, log):
    source = sources.load_source(params.source)
    start, end = map(date.fromisoformat, params.dates)
    statics = Statistics.read(input.statistics)
    count = 0
    with FootprintWriter(output.table, source.channel_names) as writer:
        for drawn in sample_observations(input.table, source, statics, start, end, params.seed):
            writer.write(drawn)
            count += len(drawn)
    log.info("%s: %d observations are compared with states", source.name, count)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
