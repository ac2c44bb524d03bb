"""The nature model's climate: states of a run of years, month by month, from which spin-ups begin.

    python -m fuxiflow build-climate [truncation]

makes ``resources/world/t31.npz`` anew: from rest in October 2021 to June 2024, the first of each of
the last twelve months (half an hour). Begun at rest, the stratosphere and the mass over the poles
take more than a year to settle: the world's first January then has 28 hPa more over Antarctica than
its second, and networks trained on the first year never saw the like of the second. Only the
dynamics are kept, as shares of each field's largest coefficient in half precision: the weather of
such a start is another, its climate the same.
"""

import logging
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from fuxiflow import ROOT
from fuxiflow.progress import progress
from fuxiflow.world.nature import STRIDE_HOURS, ModelState, NatureModel

DIRECTORY = ROOT / "resources" / "world"
BEGIN, END = datetime(2021, 10, 23), datetime(2024, 6, 1)


def climate_path(truncation: int) -> Path:
    """Return the file that holds the states of a truncation."""
    return DIRECTORY / f"t{truncation}.npz"


def climate_start(model: NatureModel, time: datetime) -> ModelState:
    """Return the state that a spin-up begins with.

    It is that of the month of ``time``, on the month's first day. Where there are no states of the
    model's truncation, it is an atmosphere at rest at ``time``. ValueError when the states do not
    fit the model.
    """
    file = climate_path(model.truncation)
    if not file.exists():
        return model.rest(time)
    # the states are of the first of each month; the spin-up grows by up to a month
    first = datetime(time.year, time.month, 1)
    with np.load(file) as states:
        fields = [
            states[name][first.month - 1] * states[f"{name}.largest"][first.month - 1]
            for name in sorted(states.files)
            if not name.endswith("largest")
        ]
    return model.settled(first, fields, str(file))


def pack_states(states: list[ModelState]) -> dict[str, np.ndarray]:
    """Pack the dynamics of twelve states, from January on, as named arrays.

    Each field is stored as shares of its largest coefficient, which is in ``{name}.largest``.
    """
    taken, arrays = [state.arrays() for state in states], {}
    for name in (
        name for name, field in taken[0].items() if name.startswith("dynamics.") and field.ndim
    ):
        fields = np.stack([month[name] for month in taken])
        largest = np.abs(fields).reshape(12, -1).max(axis=1).reshape(12, *[1] * (fields.ndim - 1))
        arrays |= {
            name: (fields / largest).astype(np.float16),
            f"{name}.largest": largest.astype(np.float32),
        }
    return arrays


def build_climate(truncation: int) -> Path:
    """Integrate the nature model, write the states of one truncation and return their file."""
    model = NatureModel(truncation)
    hours = int((END - BEGIN) / timedelta(hours=1))
    kept = {}
    stretches = model.advance(model.rest(BEGIN), hours)
    for state, _ in progress(
        stretches, "climate, half days", logging.getLogger("climate"), hours // STRIDE_HOURS
    ):
        if state.time.day == 1 and state.time.hour == 0 and state.time > END - timedelta(days=360):
            kept[state.time.month] = state
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        climate_path(model.truncation), **pack_states([kept[month] for month in range(1, 13)])
    )
    return climate_path(model.truncation)
