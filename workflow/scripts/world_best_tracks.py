"""Publish the tracks of the world's own deepest storms as a file of IBTrACS.

in:  truth        Zarr stores of the truth that cover the dates
out: best_tracks  directory with a CSV file, provenance.json and manifest.json
"""

from datetime import date

import numpy as np

from fuxiflow.config.cyclones import PublishedStorms, Tracker
from fuxiflow.progress import progress
from fuxiflow.storage.manifests import seal_folder
from fuxiflow.times import times
from fuxiflow.world.storms import deepest_storms, follow_storms, storm_fixes
from fuxiflow.world.truth import Truth
from fuxiflow.world.writers.best_tracks import write_best_tracks


def main(input, output, params, log):
    truth = Truth(input.truth)
    settings = PublishedStorms(**params.storms)
    steps = times(*map(date.fromisoformat, params.dates))
    names = ["MSL", "U10", "V10"]
    series = [truth.read(time, names) for time in progress(steps, "truth", log)]
    fields = {name: np.stack([one[name] for one in series]) for name in names}
    storms = follow_storms(fields["MSL"], truth.grid, settings)
    deepest = deepest_storms(storms, settings)
    fixes = storm_fixes(deepest, fields, truth.grid, steps, Tracker(**params.tracker))
    output.best_tracks.mkdir(parents=True, exist_ok=True)
    write_best_tracks(output.best_tracks / "ibtracs.synthetic.csv", fixes)
    seal_folder(output.best_tracks)
    log.info("%d fixes of the %d deepest of %d storms", len(fixes), len(deepest), len(storms))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
