"""The microwave operator next to pyrtlib: speed, accuracy, and a day of full-density ATMS.

    python -m benchmarks.operator [threads] [profiles of pyrtlib]
        speed and its ratio to pyrtlib's, in one run
    python -m benchmarks.operator accuracy [instrument ...]
        differences from pyrtlib on held-out atmospheres
    python -m benchmarks.operator day [processes]
        seconds for a day of ATMS, 3.1 million columns

Also on a GPU, where torch finds one.
"""

import multiprocessing
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from fuxiflow import channels
from fuxiflow.config import sources
from fuxiflow.operators import columns as profiles
from fuxiflow.operators import line_by_line, table_builder
from fuxiflow.operators.microwave import BATCH, MicrowaveOperator
from fuxiflow.operators.pass_bands import pass_bands, quadrature

ROUNDS = 8
SEED = 11
REFINEMENT = 4
FOOTPRINTS = 32_400 * 96
"""Footprints of ATMS in 24 hours: a scan of 96 each 8/3 s."""
DIFFERENTIATED = ("temperature", "specific_humidity", "surface_pressure", "skin_temperature")
WINDOWS = {
    "atms": "1 2 3 4 16 17",
    "amsua": "1 2 3 15",
    "mhs": "1 2",
    "mwts3": "1 2 3 4",
    "mwhs2": "1 9 10",
    "ssmis": "1 8 12 13 14 15 16 17 18",
}
"""Channels that see more of the ground than of the air; the others sound."""


def best(action: Callable[[], None], device: str = "cpu", rounds: int = ROUNDS) -> float:
    """Time several calls, after one to warm up, and return the seconds of the quickest.

    Parameters
    ----------
    action : Callable[[], None]
        The call.
    device : str
        ``cpu`` or ``cuda``.
    rounds : int
        Number of calls.

    Returns
    -------
    float
        Seconds.
    """
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    action()
    seconds = []
    for _ in range(rounds):
        wait()
        start = time.perf_counter()
        action()
        wait()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def speed(
    operator: MicrowaveOperator, device: str = "cpu", batch: int = BATCH
) -> tuple[float, float]:
    """Measure profiles a second, forward alone and with the gradients of all state variables.

    Parameters
    ----------
    operator : MicrowaveOperator
        The operator, on ``device``.
    device : str
        ``cpu`` or ``cuda``.
    batch : int
        Profiles of a batch, a multiple of :data:`BATCH`.

    Returns
    -------
    tuple[float, float]
        Profiles a second.
    """
    made = table_builder.random_atmospheres(operator.pressure.double().cpu().numpy(), BATCH, SEED)
    columns = {
        name: torch.as_tensor(value, dtype=torch.float32, device=device).repeat(
            batch // BATCH, *[1] * (value.ndim - 1)
        )
        for name, value in made.items()
    }

    def forward():
        with torch.no_grad():
            operator(**columns)

    leaves = {name: columns[name].clone().requires_grad_(True) for name in DIFFERENTIATED}

    def gradients():
        torch.autograd.grad(operator(**{**columns, **leaves}).sum(), list(leaves.values()))

    return batch / best(forward, device), batch / best(gradients, device, ROUNDS // 2)


def peer(operator: MicrowaveOperator, count: int) -> float:
    """Measure profiles a second of pyrtlib at the operator's nodes and levels."""
    pressure, frequency = operator.pressure.double().numpy(), operator.frequency.double().numpy()
    made = table_builder.random_atmospheres(pressure, count, SEED)
    start = time.perf_counter()
    for i in range(count):
        arguments = [made[name][i] for name in DIFFERENTIATED]
        surface = np.full(len(frequency), made["emissivity"][i, 0])
        line_by_line.reference_brightness_temperatures(
            pressure, *arguments, surface, made["secant"][i], frequency
        )
    return count / (time.perf_counter() - start)


def _theirs(pressure: np.ndarray, made: dict[str, np.ndarray], frequency: np.ndarray) -> np.ndarray:
    """Compute brightness temperatures by pyrtlib, each layer split in four.

    Parameters
    ----------
    pressure : np.ndarray
        In hPa, ``(level,)``.
    made : dict[str, np.ndarray]
        Arguments of the operator by name.
    frequency : np.ndarray
        In GHz, ``(node,)``.

    Returns
    -------
    np.ndarray
        In K, ``(atmosphere, node)``.
    """
    return np.array(
        [
            line_by_line.reference_brightness_temperatures(
                pressure,
                *(made[name][i] for name in DIFFERENTIATED),
                np.full(len(frequency), made["emissivity"][i, 0]),
                made["secant"][i],
                frequency,
                REFINEMENT,
                at_once=True,
            )
            for i in range(len(made["secant"]))
        ]
    )


def _ours(
    instrument: str, atmospheres: slice
) -> tuple[MicrowaveOperator, dict[str, np.ndarray], np.ndarray]:
    operator = MicrowaveOperator.for_instrument(instrument)
    pressure = operator.pressure.double().numpy()
    made = {
        name: value[atmospheres]
        for name, value in line_by_line.held_out_atmospheres(pressure).items()
    }
    with torch.no_grad():
        ours = operator(
            **{name: torch.as_tensor(value, dtype=torch.float32) for name, value in made.items()}
        )
    return operator, made, ours.double().numpy()


def node_differences(instrument: str, atmospheres: slice = slice(None)) -> np.ndarray:
    """Compare with pyrtlib at the same nodes, averaged to channels.

    Returns operator less pyrtlib in K, ``(atmosphere, channel)``.
    """
    operator, made, ours = _ours(instrument, atmospheres)
    theirs = _theirs(operator.pressure.double().numpy(), made, operator.frequency.double().numpy())
    return ours - theirs @ operator.weights.double().numpy()


def channel_differences(instrument: str, atmospheres: slice = slice(None)) -> np.ndarray:
    """Compare with pyrtlib at the seven-point quadrature of the pass-bands.

    Returns operator less pyrtlib in K, ``(atmosphere, channel)``.
    """
    operator, made, ours = _ours(instrument, atmospheres)
    bands = pass_bands(instrument, sources.load_source(table_builder.SOURCES[instrument]).channels)
    frequency, weights = quadrature(bands, table_builder.QUADRATURE_POINTS)
    return ours - _theirs(operator.pressure.double().numpy(), made, frequency) @ weights


def sounding(instrument: str) -> list[int]:
    """Return the positions of the channels of ``instrument`` that are no windows."""
    names = MicrowaveOperator.for_instrument(instrument).channels
    return [i for i, name in enumerate(names) if name not in WINDOWS[instrument].split()]


def accuracy(instruments: list[str]) -> None:
    """Print rms and largest differences by channel."""
    for instrument in instruments or sorted(table_builder.SOURCES):
        pairs = node_differences(instrument), channel_differences(instrument)
        print(
            f"{instrument}: K from pyrtlib, {len(pairs[0])} held-out atmospheres; "
            "same nodes | pass-band quadrature"
        )
        print("channel   rms   max |   rms   max")
        for i, name in enumerate(MicrowaveOperator.for_instrument(instrument).channels):
            cells = [(np.sqrt(np.mean(d[:, i] ** 2)), np.abs(d[:, i]).max()) for d in pairs]
            print(
                f"{name:>7} " + " | ".join(f"{rms:5.3f} {largest:5.3f}" for rms, largest in cells)
            )


def simulate(count: int) -> float:
    """Simulate ``count`` footprints from columns of a state in one thread; return the seconds."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    operator = MicrowaveOperator.for_instrument("atms")
    generator = torch.Generator().manual_seed(SEED)

    def draw(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(BATCH, generator=generator)

    levels = torch.tensor(channels.PRESSURE_LEVELS) / 1000.0
    temperature = draw(250.0, 300.0)[:, None] * levels**0.19
    humidity = draw(1e-3, 1.5e-2)[:, None] * levels**3
    made = (
        draw(950.0, 1040.0),
        draw(260.0, 305.0),
        draw(0.0, 1.0).round(),
        draw(-90.0, 90.0),
        draw(0.0, 64.0),
    )
    start = time.perf_counter()
    with torch.no_grad():
        for first in range(0, count, BATCH):
            part = slice(0, min(BATCH, count - first))
            profiles.brightness_temperatures(
                operator, temperature[part], humidity[part], *(v[part] for v in made)
            )
    return time.perf_counter() - start


def day(processes: int = 2) -> None:
    """Print the seconds that a day of full-density ATMS takes in several processes.

    Each process has one thread.
    """
    start = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        seconds = pool.map(simulate, [FOOTPRINTS // processes] * processes)
    total = time.perf_counter() - start
    print(
        f"{FOOTPRINTS} footprints of ATMS, {processes} processes: {max(seconds):.0f} s; "
        f"{total:.0f} s with start"
    )


def main(threads: int = 2, count: int = 6) -> None:
    """Measure and print speeds and their ratio."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    operator = MicrowaveOperator.for_instrument("atms")
    # the two take turns, so that what else the machine does weighs on both
    ours, rates = [], []
    for _ in range(2):
        ours.append(speed(operator))
        rates.append(peer(operator, max(count // 2, 1)))
    (forward, both), rate = np.max(ours, axis=0), max(rates)
    levels = len(operator.pressure)
    print(
        f"ATMS, 22 channels, {operator.nodes} nodes, {levels} levels, {threads} threads, "
        f"batch {BATCH}"
    )
    print(f"operator forward             {forward:10.0f} profiles/s")
    print(
        f"operator forward + gradients {both:10.0f} profiles/s, {forward / both:.1f} times the cost"
    )
    print(f"pyrtlib forward, one process {rate:10.2f} profiles/s")
    print(f"ratio forward                {forward / rate:10.0f}")
    if torch.cuda.is_available():
        forward, both = speed(operator.to("cuda"), "cuda", 32 * BATCH)
        name = torch.cuda.get_device_name()
        print(f"{name}, batch {32 * BATCH}: {forward:.0f} profiles/s, {both:.0f} with gradients")


if __name__ == "__main__":
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    if first == "accuracy":
        accuracy(sys.argv[2:])
    elif first == "day":
        day(*map(int, sys.argv[2:]))
    else:
        main(*map(int, sys.argv[1:]))
