"""Measure the memory of the rule ``verification_baselines_part`` at 720 x 1440.

    python -m benchmarks.baselines_memory [--leads N] [--folder FOLDER]

Random states and a random forecast of all channels are written to packed stores by a process of
their own, 0.15 GB a field; those in ``--folder`` are taken again. The rule's function then scores
them as in config/rehearsal.yaml: a forecast of GFS against ERA5, the truth and GFS's own analyses,
climatology as a forecast, and the analyses of a day. The climatology is drawn as it is read.
Printed is the largest resident set of the process beside what the rule asks for.
"""

import argparse
import logging
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.random_fields import (
    GRID,
    RandomFields,
    write_random_forecast,
    write_random_states,
)
from fuxiflow.channels import channel_table
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.resources import job_cost, request_of
from fuxiflow.grids import REGIONS, Grid
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.verification.cases import write_part_of_cases
from fuxiflow.verification.references import CACHE_BYTES
from fuxiflow.verification.systems import ScoringSetup, collect_baselines

DAY, HOUR = "2023-07-01", 12
RULE = "verification_baselines_part"


def write_inputs(folder: Path, leads: list[int], grid: Grid = GRID) -> None:
    """Write the stores of states and of a forecast, those that are not there yet.

    Parameters
    ----------
    folder : Path
        Folder of the stores.
    leads : list of int
        Leads of the forecast in hours.
    grid : Grid
        Grid of the fields.
    """
    start = np.datetime64(DAY, "ns")
    times = start + np.arange(0, HOUR + leads[-1] + 1, 6) * np.timedelta64(1, "h")
    if not (folder / "states.zarr").exists():
        write_random_states(folder / "states.zarr", times, grid)
    if not (folder / "forecasts.zarr").exists():
        init = start + np.timedelta64(HOUR, "h")
        write_random_forecast(folder / "forecasts.zarr", init, leads, grid)


def score_inputs(folder: Path, leads: list[int], grid: Grid = GRID) -> None:
    """Score what :func:`write_inputs` wrote as the rule does.

    Parameters
    ----------
    folder : Path
        Folder of the stores; the cases are written to it.
    leads : list of int
        Leads of the forecast in hours.
    grid : Grid
        Grid of the fields.
    """
    era5, truth, gfs = (StateSeries([folder / "states.zarr"]) for _ in range(3))
    climatology = Climatology(channel_table(), grid, RandomFields(grid), 31, CACHE_BYTES)
    collected = collect_baselines(
        ScoringSetup({"era5": era5, "truth": truth}, climatology, list(REGIONS)),
        (DAY, DAY),
        ([HOUR], leads[-1]),
        gfs,
        Forecasts([folder / "forecasts.zarr"]),
        True,
        logging.getLogger("benchmark"),
    )
    write_part_of_cases(folder / "cases.zarr", collected.cases, collected.counts)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leads", type=int, default=40)
    parser.add_argument("--folder", type=Path, help="of the stores; by default a temporary one")
    options = parser.parse_args(arguments)
    leads = [6 * i for i in range(1, options.leads + 1)]
    config = load_configuration(Path("config/rehearsal.yaml"))
    segment = config.segments(config.periods.test)[0]
    asked = request_of(job_cost(config, RULE, {"segment": segment})).mem_mb
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        # its memory would count as this process's
        writer = multiprocessing.get_context("spawn").Process(
            target=write_inputs, args=(folder, leads)
        )
        writer.start()
        writer.join()
        if writer.exitcode:
            raise SystemExit("the inputs were not written")
        begun = time.process_time()
        score_inputs(folder, leads)
        seconds = (time.process_time() - begun) / len(leads)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{RULE}, {len(leads)} leads: {largest:.2f} GB, asked for {asked / 1e3:.1f} GB; "
        f"{seconds:.1f} s of the processor a lead"
    )


if __name__ == "__main__":
    main()
