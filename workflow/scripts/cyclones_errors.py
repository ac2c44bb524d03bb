"""Compare the tracks of all systems with best tracks, and score them.

in:  tracks       Parquet, tracks of each system and segment
     best_tracks  Parquet, best tracks
out: errors       Parquet, errors of each case of each system (fuxiflow.cyclones.errors)
     scores       Parquet, means by system, metric, sample and lead, with intervals over storms
"""

import pandas as pd

from fuxiflow.cyclones.errors import SAMPLES, match, score
from fuxiflow.runtime.rule_runner import run
from fuxiflow.storage.tables import read_parquet, write_parquet
from fuxiflow.times import STEP_HOURS


def main(input, output, params, log):
    tracks = pd.concat(map(read_parquet, input.tracks), ignore_index=True)
    leads = range(STEP_HOURS, params.max_lead_hours + 1, STEP_HOURS)
    errors = match(tracks, read_parquet(input.best_tracks), leads)
    scores = score(errors, params.systems, params.bootstrap, params.seed)
    common = errors[errors["homogeneous"]]
    log.info(
        "%d cases of %d storms; %s sample: %d cases of %d storms",
        errors.groupby(["storm", "init_time", "lead_time"]).ngroups,
        errors["storm"].nunique(),
        SAMPLES[0],
        common.groupby(["storm", "init_time", "lead_time"]).ngroups,
        common["storm"].nunique(),
    )
    write_parquet(output.errors, errors)
    write_parquet(output.scores, scores)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
