"""Cycle an experiment over one segment: backgrounds and analyses every six hours.

in:  checkpoint   trained networks
     first_guess  Parquet, departures to be expected, where they are checked
     climatology  Zarr, what the unobserved relaxes to, and the first background of a cold start
     carry        what the segment before handed on (later segments)
     grids        Zarr, sparse observations of the segments about this one
out: analyses     Zarr, arrays analysis and background (fuxiflow.states.store)
     carry        what the next segment starts from
     ledger       Parquet, what was too far from the first guess, where that is checked
"""

import numpy as np

from fuxiflow import times
from fuxiflow.channels import channel_table
from fuxiflow.config import sources
from fuxiflow.config.first_guess import FirstGuess
from fuxiflow.cycling.analyses import (
    CLIMATOLOGY_BYTES,
    Observer,
    VariationalAssimilator,
    cycle,
    first_carry,
    states_per_file,
)
from fuxiflow.cycling.segment_state import SegmentState
from fuxiflow.grids import Grid
from fuxiflow.models import checkpoint, execution
from fuxiflow.models.execution import select_device
from fuxiflow.models.first_guess_check import FirstGuessCheck
from fuxiflow.observations.ledger import write_ledger
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.progress import Progress
from fuxiflow.states.climatology import Climatology
from fuxiflow.storage.files import workspace
from fuxiflow.storage.tables import read_parquet


def main(input, output, params, log):
    networks = checkpoint.load_checkpoint(
        input.checkpoint, select_device(params.accelerator), drawn=False
    ).networks.eval()
    execution.prepare(networks, **params.execution)
    assimilator = VariationalAssimilator(networks) if params.assimilator == "variational" else None
    expected, settings = getattr(input, "first_guess", None), FirstGuess(**params.first_guess)
    check = expected and FirstGuessCheck(networks, read_parquet(expected), settings)
    paths = sources.paths_by_source(params.sources, input.grids)
    grids = {name: SparseGrids(own) for name, own in paths.items()}
    first, last = times.span(*params.dates)
    slots = np.arange(first, last + np.timedelta64(1, "h"), np.timedelta64(times.STEP_HOURS, "h"))
    observer = Observer(networks, grids, params.windows)
    observer.check_observed(slots, params.completeness, log)
    climatology = Climatology.read(input.climatology, CLIMATOLOGY_BYTES)
    layout = channel_table().select(networks.design.channels).analysed, Grid(*networks.design.grid)
    state = SegmentState(
        workspace(params.state), slots, *layout, states_per_file(*layout), log, params.compression
    )
    carry = state.carry(networks.device)
    if carry is None:
        carry = first_carry(networks, climatology, first, getattr(input, "carry", None))
    begun = int((carry.time - first) / np.timedelta64(times.STEP_HOURS, "h"))
    report = Progress(len(slots), "cycles", log, done=begun)
    origin = params.from_climatology
    cycles = cycle(networks, carry, observer, climatology, last, assimilator, origin, check)
    for i, (cycled, carry) in enumerate(cycles, start=begun):
        state.write(i, cycled, carry)
        report.step(f"{cycled.observed} cells observed")
        # of an analysis that is stored nothing stays in memory beside the next
        del cycled
    carry.save(output.carry)
    if ledger := getattr(output, "ledger", None):
        write_ledger(ledger, state.ledger())
    state.finish(output.analyses)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
