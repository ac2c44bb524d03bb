"""The microwave operator next to pyrtlib: speed and difference, in one run.

    python -m benchmarks.microwave_operator [threads] [profiles of pyrtlib]

prints ATMS profiles a second of the operator, forward and with gradients, those of pyrtlib at the same frequencies
and levels, their ratio, and how far the two are apart for the same columns, by channel.
"""

import sys
import time

import numpy as np
import torch

from fuxiflow.operators import reference, tables
from fuxiflow.operators.microwave import MicrowaveOperator

BATCH = 2048
ROUNDS = 8
SEED = 11
REFINEMENT = 4
DIFFERENTIATED = ("temperature", "specific_humidity", "surface_pressure", "skin_temperature")


def best(action, rounds: int = ROUNDS) -> float:
    """Seconds of the quickest of several calls, after one to warm up."""
    action()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def speed(operator: MicrowaveOperator) -> tuple[float, float]:
    """Profiles a second, forward alone and with the gradients of all state variables."""
    made = tables.ensemble(operator.pressure.double().numpy(), BATCH, SEED)
    columns = {name: torch.as_tensor(value, dtype=torch.float32) for name, value in made.items()}

    def forward():
        with torch.no_grad():
            operator(**columns)

    leaves = {name: columns[name].clone().requires_grad_(True) for name in DIFFERENTIATED}

    def gradients():
        torch.autograd.grad(operator(**{**columns, **leaves}).sum(), list(leaves.values()))

    return BATCH / best(forward), BATCH / best(gradients, ROUNDS // 2)


def peer(operator: MicrowaveOperator, count: int, refine: int) -> tuple[float, np.ndarray]:
    """Profiles a second of pyrtlib, and the operator's differences from it ``(profile, channel)`` in K."""
    made = tables.ensemble(operator.pressure.double().numpy(), count, SEED)
    pressure, frequency = operator.pressure.double().numpy(), operator.frequency.double().numpy()
    start = time.perf_counter()
    theirs = [
        reference.brightness_temperatures(
            pressure,
            *(made[name][i] for name in DIFFERENTIATED),
            np.full(len(frequency), made["emissivity"][i, 0]),
            made["secant"][i],
            frequency,
            refine,
        )
        for i in range(count)
    ]
    rate = count / (time.perf_counter() - start)
    with torch.no_grad():
        ours = operator(**{name: torch.as_tensor(value, dtype=torch.float32) for name, value in made.items()})
    return rate, ours.double().numpy() - np.array(theirs) @ operator.weights.double().numpy()


def main(threads: int = 2, profiles: int = 6) -> None:
    """Measure and print."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    operator = MicrowaveOperator.for_instrument("atms")
    forward, both = speed(operator)
    rate, same = peer(operator, profiles, 1)
    _, fine = peer(operator, profiles, REFINEMENT)
    levels = len(operator.pressure)
    print(f"ATMS, 22 channels, {operator.nodes} nodes, {levels} levels, {threads} threads, batch {BATCH}")
    print(f"operator forward             {forward:10.0f} profiles/s")
    print(f"operator forward + gradients {both:10.0f} profiles/s")
    print(f"pyrtlib forward, one process {rate:10.2f} profiles/s")
    print(f"ratio forward                {forward / rate:10.0f}")
    print(f"difference in K from pyrtlib on the same {levels} levels, and with {REFINEMENT} layers for each:")
    print("channel   rms   max |  rms   max")
    for i, name in enumerate(operator.channels):
        cells = [(np.sqrt(np.mean(d[:, i] ** 2)), np.abs(d[:, i]).max()) for d in (same, fine)]
        print(f"{name:>7} " + " | ".join(f"{rms:5.3f} {largest:5.3f}" for rms, largest in cells))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
