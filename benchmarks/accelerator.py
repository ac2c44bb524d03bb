"""Measure seconds, memory and use of arithmetic of the networks on an accelerator.

    python -m benchmarks.accelerator [--size fuxi] [--device cuda] [--repeat N] [--no-compile]
    [--profile]

One analysis (with the forecast that its first guess needs), a forecast of ``--steps`` steps on the
device and with its states brought to the host, one update of stage 1, and one of stage 3 over
``--cycles`` cycles, of random states and one sample. Each of ``--sources`` sources has the channels
of ATMS in a tenth of the cells of every hour, about what one of them sees. Weights are random, the
loss, the optimiser and the cycle those of training. Without an accelerator the default is the size
``tiny`` on the processor, which shows that all runs, and nothing about speed.

FLOPs are counted by PyTorch's FlopCounterMode on the meta device, of the model alone: what
recomputation adds is not work done. Utilisation is FLOPs by seconds, divided by the data sheet's
peak, and by the peer, a product of two large matrices measured in the same run. Times are medians
of ``--repeat`` after a first, which compiles. Memory is what PyTorch had allocated at most, on a
processor the largest resident set of the process up to then.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from fuxiflow.channels import channel_table
from fuxiflow.config.network_sizes import ASSIMILATORS, FORECASTERS
from fuxiflow.cycling.forecasts import forecast
from fuxiflow.grids import Grid
from fuxiflow.models import execution
from fuxiflow.models.networks import Design, Networks, SourceDesign, parameter_count
from fuxiflow.models.pillars import FootprintBatch
from fuxiflow.states.statistics import RAW, static_fields
from fuxiflow.training.cycles import CycleObjective
from fuxiflow.training.plans import Unrolling
from fuxiflow.training.rollouts import RolloutObjective
from fuxiflow.training.samples import Batch

GRIDS = {"fuxi": (720, 1440), "small": (32, 64), "tiny": (16, 32)}
WINDOW, CHANNELS, OBSERVED = (-3, 5), 22, 0.1
TIME = np.array(["2023-07-01T12"], "datetime64[ns]")
# dense bfloat16 TFLOP/s, from NVIDIA's data sheets of the SXM modules
PEAKS = {"H200": 989.5, "H100 80GB HBM3": 989.5, "A100-SXM": 312.0}


@dataclass
class Row:
    """One action as measured: ``seconds``, ``memory`` in GiB and the FLOPs that it takes."""

    name: str
    seconds: float
    memory: float
    flops: int


def networks(size: str, sources: int, device: torch.device) -> Networks:
    """Make networks of a size with random weights, none of them zero throughout.

    Parameters
    ----------
    size : str
        Name of the grid, the forecaster and the assimilator, a key of :data:`GRIDS`.
    sources : int
        Number of sources of observations.
    device : torch.device
        Device of the networks; on the meta device they need no memory.

    Returns
    -------
    Networks
        The networks.
    """
    nlat, nlon = GRIDS[size]
    names = [str(i + 1) for i in range(CHANNELS)]
    source = SourceDesign(names, WINDOW, [0.0] * CHANNELS, [1.0] * CHANNELS)
    statics = static_fields(dict.fromkeys(RAW, np.zeros((nlat, nlon))), Grid(nlat, nlon))
    design = Design(
        channel_table().names,
        (nlat, nlon),
        list(statics),
        FORECASTERS[size],
        ASSIMILATORS[size],
        {f"source{i}": source for i in range(sources)},
    )
    one = np.ones(len(design.channels), np.float32)
    with torch.device(device):
        made = Networks(design, 0 * one, one, 0.3 * one, np.stack(list(statics.values())))
        for parameter in made.parameters():
            if device.type != "meta" and not parameter.any():
                torch.nn.init.normal_(parameter, std=0.02)
    return made.to(device)


def footprints(grid: tuple[int, int], device: torch.device) -> FootprintBatch:
    """Draw the footprints that one source has in a window."""
    hours, cells = WINDOW[1] - WINDOW[0], grid[0] * grid[1]
    count = int(OBSERVED * hours * cells)
    return FootprintBatch(
        torch.zeros(count, dtype=torch.long, device=device),
        torch.randint(hours, (count,), device=device),
        torch.randint(cells, (count,), device=device),
        torch.randn(count, CHANNELS, device=device),
        60 * torch.rand(count, device=device),
        torch.rand(count, 2, device=device) - 0.5,
    )


class Actions:
    """Actions to measure, on random data of a pair of networks."""

    def __init__(self, made: Networks):
        self.networks, self.device, self.grid = made, made.device, made.design.grid

    def states(self, *shape: int, channels: int | None = None) -> torch.Tensor:
        """Random states ``(*shape, channel, lat, lon)``, of the analysed channels by default."""
        return torch.randn(
            *shape, channels or self.networks.analysed, *self.grid, device=self.device
        )

    def observations(self) -> dict[str, FootprintBatch]:
        """A window of every source."""
        return {name: footprints(self.grid, self.device) for name in self.networks.design.sources}

    def analysis(self) -> Callable:
        """An analysis as the cycle makes one."""
        previous, background, normal = self.states(3, 1)
        observations = self.observations()

        def run():
            guess = self.networks.guess(previous, background, normal, TIME)
            self.networks.analyse(guess, normal, observations, TIME)

        return torch.inference_mode()(run)

    def forecast(self, steps: int) -> Callable:
        """A forecast that stays on the device."""

        def run():
            previous, current = self.states(2, 1)
            for _ in range(steps):
                previous, current = current, self.networks.forecast(previous, current, TIME)

        return torch.inference_mode()(run)

    def stored_forecast(self, steps: int) -> Callable:
        """A forecast as the workflow makes one, its states on the host in physical units."""
        previous, current = (state.cpu().numpy() for state in self.states(2, 1))
        return lambda: [None for _ in forecast(self.networks, previous, current, TIME, steps)]

    def updates(self, precision: torch.dtype | None, cycles: int = 0) -> Callable:
        """An update of stage 1, with ``cycles`` one of stage 3."""
        count = len(self.networks.design.channels)
        self.networks.train_only(forecaster=True, assimilator=bool(cycles))
        trained = [p for p in self.networks.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            trained, 1e-4, betas=(0.9, 0.95), fused=self.device.type == "cuda"
        )
        batch = Batch(
            TIME,
            1,
            cycles,
            self.states(1, 2, channels=count),
            self.states(1, cycles + 1 if cycles else 1, channels=count),
            [self.observations() for _ in range(cycles)],
            self.states(1, cycles, channels=count),
            torch.zeros(1, dtype=torch.bool),
            [None],
        )
        self.networks.train()
        if cycles:
            objective = CycleObjective(self.networks, Unrolling(cycles, 1, 1.0))
        else:
            objective = RolloutObjective(self.networks)
        span = (0, cycles or batch.lead)

        def run():
            with torch.autocast(self.device.type, precision, enabled=precision is not None):
                terms, _ = objective.loss(batch, span, None)
            terms["loss"].backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()

        return run


def count(action: Callable) -> int:
    """Floating-point operations of an action, a multiplication and an addition as two."""
    with FlopCounterMode(display=False) as counter:
        action()
    return counter.get_total_flops()


def flops(size: str, sources: int) -> dict[str, int]:
    """Count the FLOPs of a forecast step and of an analysis, each without and with gradients.

    The analysis is counted without its first guess.
    """
    made = networks(size, sources, torch.device("meta"))
    actions = Actions(made)
    guess, normal, observations = actions.states(1, 3), actions.states(1), actions.observations()

    def step(states: torch.Tensor) -> torch.Tensor:
        return made.forecast(states[:, 0], states[:, 1], TIME)

    def analyse(states: torch.Tensor) -> torch.Tensor:
        return made.analyse(states, normal, observations, TIME)

    counts = {}
    for name, action in (("forecast", step), ("analysis", analyse)):
        with torch.no_grad():
            counts[name] = count(lambda a=action: a(guess))
        counts[f"{name} gradient"] = count(
            lambda a=action: a(guess.clone().requires_grad_()).sum().backward()
        )
    counts["first gradient"] = count(lambda: step(guess).sum().backward())
    return counts


def timed(action: Callable, device: torch.device) -> float:
    """Seconds of one call, the device's work included."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measured(
    name: str, action: Callable, operations: int, repeat: int, device: torch.device
) -> Row:
    """Run an action once, then ``repeat`` times for its median and the memory that it takes.

    Parameters
    ----------
    name : str
        Name of the row.
    action : Callable
        The action, without arguments.
    operations : int
        FLOPs of the action.
    repeat : int
        Number of runs that count.
    device : torch.device
        Device on which the action runs.

    Returns
    -------
    Row
        Median in seconds, memory in GiB and the FLOPs.
    """
    action()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = statistics.median(timed(action, device) for _ in range(repeat))
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else resident()
    return Row(name, seconds, peak / 2**30, operations)


def resident() -> int:
    """Bytes of the largest resident set of this process up to now."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def product(device: torch.device, precision: torch.dtype, repeat: int) -> float:
    """Measure the product of two large square matrices.

    Parameters
    ----------
    device : torch.device
        Device of the product.
    precision : torch.dtype
        Type of the matrices.
    repeat : int
        Number of products, of which the quickest counts; at least 3 are made.

    Returns
    -------
    float
        TFLOP/s.
    """
    side = 8192 if device.type == "cuda" else 1024
    a = torch.randn(side, side, device=device, dtype=precision)
    a @ a
    return 2 * side**3 / min(timed(lambda: a @ a, device) for _ in range(max(repeat, 3))) / 1e12


def rows(options: argparse.Namespace, device: torch.device) -> Iterator[Row]:
    """Measure one action after the other."""
    mixed = torch.bfloat16 if options.precision == "bf16-mixed" else None
    work, cycles, steps = flops(options.size, options.sources), options.cycles, options.steps
    made = networks(options.size, options.sources, device).eval()
    execution.prepare(made, precision=options.precision, compiled=options.compile)
    actions = Actions(made)
    operations = work["forecast"] + work["analysis"]
    yield measured("one analysis", actions.analysis(), operations, options.repeat, device)
    operations = steps * work["forecast"]
    yield measured(
        f"forecast, {steps} steps", actions.forecast(steps), operations, options.repeat, device
    )
    yield measured(
        "the same, to the host", actions.stored_forecast(steps), operations, options.repeat, device
    )
    if options.profile:
        profile(actions.forecast(1), device)
    for name, unrolled, recompute in (
        ("update of stage 1", 0, options.recompute_first),
        (f"update of stage 3, {cycles} cycles", cycles, True),
    ):
        execution.prepare(made, recompute=recompute)
        action = actions.updates(mixed, unrolled)
        operations = work["first gradient"]
        if unrolled:
            # the forecasts to the first background and of each cycle's first guess have no gradient
            operations = work["forecast"] * (1 + cycles)
            operations += cycles * (work["analysis gradient"] + work["forecast gradient"])
        yield measured(name, action, operations, options.repeat, device)
        if options.profile:
            profile(action, device)
        del action


def profile(action: Callable, device: torch.device) -> None:
    """Print where the time of an action goes."""
    with torch.profiler.profile() as profiler:
        timed(action, device)
    order = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    print(profiler.key_averages().table(sort_by=order, row_limit=15, max_name_column_width=60))


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=GRIDS, default="fuxi" if cuda else "tiny")
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument(
        "--precision",
        choices=("bf16-mixed", "32-true"),
        default="bf16-mixed" if cuda else "32-true",
    )
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--cycles", type=int, default=4, help="of an update of stage 3")
    parser.add_argument("--steps", type=int, default=40, help="of a forecast")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=cuda)
    parser.add_argument(
        "--recompute-first", action="store_true", help="make activations again in stage 1 too"
    )
    parser.add_argument(
        "--peak", type=float, help="of the device, TFLOP/s, where this script does not know it"
    )
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    torch.manual_seed(0)
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{torch.get_num_threads()} CPU threads"
    )
    peak = options.peak or next((value for part, value in PEAKS.items() if part in name), None)
    peer = product(
        device,
        torch.bfloat16 if options.precision == "bf16-mixed" else torch.float32,
        options.repeat,
    )
    size = networks(options.size, options.sources, torch.device("meta"))
    print(
        f"{options.size} on {GRIDS[options.size]}: {parameter_count(size.forecaster):,} and "
        f"{parameter_count(size.assimilator):,} parameters; {name}, {options.precision}, "
        f"{'compiled' if options.compile else 'not compiled'}, PyTorch {torch.__version__}"
    )
    print(f"peer, one large product: {peer:.3g} TFLOP/s; data sheet: {peak or 'not known'}")
    print(
        f"{'':28s} {'s':>9s} {'GiB':>7s} {'TFLOP':>10s} {'TFLOP/s':>9s} {'to peer':>8s} "
        f"{'to sheet':>9s}"
    )
    for row in rows(options, device):
        rate = row.flops / row.seconds / 1e12
        sheet = f"{rate / peak:9.1%}" if peak else f"{'-':>9s}"
        print(
            f"{row.name:28s} {row.seconds:9.3f} {row.memory:7.2f} {row.flops / 1e12:10.4g} "
            f"{rate:9.3g} {rate / peer:8.1%} {sheet}",
            flush=True,
        )


if __name__ == "__main__":
    main()
