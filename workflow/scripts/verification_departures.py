"""Compare all sources' observations with one experiment's backgrounds and analyses.

in:  analyses    analysis stores, arrays analysis and background
     grids       sparse-grid stores {source}/{segment}.zarr
     statistics  statics of the states: surface geopotential and land fraction
out: scores      score table: departure_{background,analysis}_{mean,std}, channels named
                 source/channel
"""

from fuxiflow.completeness import check_share, list_times
from fuxiflow.config import sources
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.operators.equivalents import observation_operator
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries
from fuxiflow.verification.collection import period_times
from fuxiflow.verification.departures import KINDS, collect_departures
from fuxiflow.verification.score_table import concatenate_scores, write_scores
from fuxiflow.verification.scoring import Resampling


def main(input, output, params, log):
    statistics = Statistics.read(input.statistics)
    states = {kind: StateSeries(input.analyses, name=kind) for kind in KINDS}
    times = period_times(params.period)
    for kind, series in states.items():
        absent = [time for time in times if time not in series]
        what = f"times of the test have an {kind} to compare observations with"
        present = len(times) - len(absent)
        check_share(params.completeness, present, len(times), what, list_times(absent), log)
    resampling = Resampling(params.bootstrap, params.block_days, params.seed)
    frames = []
    for name in params.sources:
        departures = collect_departures(
            SparseGrids([path for path in input.grids if path.parent.name == name]),
            states,
            statistics,
            observation_operator(sources.load_source(name)),
            times,
            params.regions,
            params.seed,
            log,
        )
        frames.append(departures.scores(resampling, experiment=params.experiment, source=name))
    write_scores(output.scores, concatenate_scores(frames))


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
