"""Measure the memory of a cycle's process at 720 x 1440, with the networks on the processor.

    python -m benchmarks.cycling_memory [--sources N] [--footprints N] [--analyses N]

Networks of the size of config/rehearsal.yaml with random weights cycle over random observations and
climatology, and their analyses are stored as the rule ``cycling_analyses`` stores them. Printed is
the largest resident set so far, in GB, after each analysis.
"""

import argparse
import logging
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.accelerator import CHANNELS, WINDOW
from benchmarks.random_fields import GRID, RandomFields
from fuxiflow.channels import channel_table
from fuxiflow.config.configuration import load_configuration
from fuxiflow.cycling.analyses import CLIMATOLOGY_BYTES, cold_start, cycle, states_per_file
from fuxiflow.cycling.segment_state import SegmentState
from fuxiflow.models.networks import STEP, Design, Networks, SourceDesign
from fuxiflow.models.pillars import FootprintBatch
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.statistics import RAW, static_fields

START = np.datetime64("2023-07-01T00", "ns")


def networks(sources: int) -> Networks:
    """Make networks of the rehearsal's size for some sources, with random weights."""
    model = load_configuration(Path("config/rehearsal.yaml")).resolve("full").model
    statics = static_fields(dict.fromkeys(RAW, np.zeros(GRID.shape)), GRID)
    names = [str(i) for i in range(CHANNELS)]
    source = SourceDesign(names, WINDOW, [0.0] * CHANNELS, [1.0] * CHANNELS)
    design = Design(
        channel_table().names,
        GRID.shape,
        list(statics),
        model.forecaster.model_dump(),
        model.assimilator.model_dump(),
        {f"source{i}": source for i in range(sources)},
    )
    one = np.ones(len(design.channels), np.float32)
    return Networks(design, 0 * one, one, 0.3 * one, np.stack(list(statics.values()))).eval()


class RandomObserver:
    """Random footprints of every source at every time."""

    def __init__(self, made: Networks, count: int):
        self.names, self.count = list(made.design.sources), count

    def window(self, time: np.datetime64) -> dict[str, FootprintBatch]:
        """Footprints by source."""
        del time
        shape = (self.count,)
        return {
            name: FootprintBatch(
                torch.zeros(shape, dtype=torch.long),
                torch.randint(WINDOW[1] - WINDOW[0], shape),
                torch.randint(GRID.nlat * GRID.nlon, shape),
                torch.randn(*shape, CHANNELS),
                60 * torch.rand(shape),
                torch.rand(*shape, 2) - 0.5,
            )
            for name in self.names
        }


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=9)
    parser.add_argument("--footprints", type=int, default=200_000, help="of each source and window")
    parser.add_argument("--analyses", type=int, default=9)
    options = parser.parse_args(arguments)
    made = networks(options.sources)
    climatology = Climatology(channel_table(), GRID, RandomFields(), 31, CLIMATOLOGY_BYTES)
    slots = START + np.arange(options.analyses) * STEP
    channels = channel_table().analysed
    log = logging.getLogger("benchmark")
    with tempfile.TemporaryDirectory() as folder:
        every = states_per_file(channels, GRID)
        state = SegmentState(Path(folder) / "state", slots, channels, GRID, every, log, "packed")
        first = cold_start(made, climatology, START)
        observer = RandomObserver(made, options.footprints)
        begun = time.perf_counter()
        for i, (cycled, carry) in enumerate(cycle(made, first, observer, climatology, slots[-1])):
            state.write(i, cycled, carry)
            # as the rule does: not held beside the next
            del cycled
            largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(f"analysis {i + 1}: {largest:.1f} GB, {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
