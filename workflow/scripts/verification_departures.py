"""Departures of all sources' observations from one experiment's backgrounds and analyses over the test period.

in:  analyses    analysis stores, arrays analysis and background
     grids       sparse-grid stores {source}/{segment}.zarr
     statistics  statics of the states: surface geopotential and land fraction
out: scores      score table: departure_{background,analysis}_{mean,std}, channels named source/channel
"""

from fuxiflow.config import sources
from fuxiflow.observations.sparse import SparseGrids
from fuxiflow.operators.equivalents import observation_operator
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import States
from fuxiflow.verification import systems, table
from fuxiflow.verification.departures import KINDS, departures
from fuxiflow.verification.scoring import Resampling


def main(input, output, params, log):
    statistics = Statistics.read(input.statistics)
    states = {kind: States(input.analyses, name=kind) for kind in KINDS}
    times, resampling = (
        systems.moments(params.period),
        Resampling(params.bootstrap, params.block_days, params.seed),
    )
    frames = []
    for name in params.sources:
        grids = SparseGrids([path for path in input.grids if path.parent.name == name])
        found = departures(
            grids,
            states,
            statistics,
            observation_operator(sources.load_source(name)),
            times,
            params.regions,
            params.seed,
            log,
        )
        frames.append(found.scores(resampling, experiment=params.experiment, source=name))
    table.write(output.scores, table.concatenate(frames))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
