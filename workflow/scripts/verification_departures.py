"""Score the departures of all sources' observations from one experiment's states.

in:  parts   departures of each segment, by rule verification_departures_part
out: scores  score table: departure_{background,analysis}_{mean,std}, channels named
             source/channel
"""

from fuxiflow.verification.case_counts import check_counts, read_counts
from fuxiflow.verification.departure_scores import merge_departures, score_departures
from fuxiflow.verification.score_table import concatenate_scores, write_scores
from fuxiflow.verification.scoring import Resampling


def main(input, output, params, log):
    check_counts(map(read_counts, input.parts), params.completeness, log)
    resampling = Resampling(params.bootstrap, params.block_days, params.seed)
    frames = [
        score_departures(
            merge_departures(input.parts, name),
            resampling,
            experiment=params.experiment,
            source=name,
        )
        for name in params.sources
    ]
    write_scores(output.scores, concatenate_scores(frames))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
