"""Score the departures of all systems from observations, of all segments together.

in:  parts   sums of each segment, by rule verification_observed_part
out: scores  Parquet, count, bias and RMSE by source, channel, region, sample, system and lead, and
             the sums that they are made of (schema: fuxiflow.verification.observation_scores)
"""

from fuxiflow.config import sources
from fuxiflow.runtime.rule_runner import run
from fuxiflow.verification.case_counts import check_counts, read_counts
from fuxiflow.verification.observation_scores import (
    join_observation_sums,
    read_observation_sums,
    score_observation_sums,
    write_observation_scores,
)


def main(input, output, params, log):
    check_counts(map(read_counts, input.parts), params.completeness, log)
    frames = []
    for name in params.sources:
        source = sources.load_source(name)
        sums = join_observation_sums([read_observation_sums(path, name) for path in input.parts])
        units = {channel.name: channel.unit for channel in source.channels}
        of_channels = ["%" if source.profile else units[channel] for channel in sums.channels]
        frames.append(score_observation_sums(sums, name, of_channels))
    write_observation_scores(output.scores, frames)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
