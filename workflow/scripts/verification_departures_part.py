"""Compare all sources' observations with one experiment's backgrounds and analyses of a segment.

in:  analyses    analysis store, arrays analysis and background
     grids       sparse-grid stores {source}/{segment}.zarr of the segment and its neighbours
     statistics  statics of the states: surface geopotential and land fraction
out: departures  Zarr, sums of the departures at each time (fuxiflow.verification.departures)
"""

from fuxiflow.config import sources
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.operators.equivalents import observation_operator
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries
from fuxiflow.verification.case_counts import CaseCount
from fuxiflow.verification.collection import period_times
from fuxiflow.verification.departures import (
    KINDS,
    collect_departures,
    write_part_of_departures,
)


def main(input, output, params, log):
    statistics = Statistics.read(input.statistics)
    states = {kind: StateSeries(input.analyses, name=kind) for kind in KINDS}
    times = period_times(params.period)
    counts = []
    for kind, series in states.items():
        absent = [time for time in times if time not in series]
        what = f"times of the test have an {kind} to compare observations with"
        counts.append(CaseCount.of_times(what, len(times), absent))
    departures = {
        name: collect_departures(
            SparseGrids([path for path in input.grids if path.parent.name == name]),
            states,
            statistics,
            observation_operator(sources.load_source(name)),
            times,
            params.regions,
            params.seed,
            log,
        )
        for name in params.sources
    }
    write_part_of_departures(output.departures, departures, counts)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
