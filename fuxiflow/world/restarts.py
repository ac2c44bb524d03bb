"""States of the nature run that forecasts start from: one Zarr store a segment, one array for each of jcm's."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import zarr

from fuxiflow.storage import provenance
from fuxiflow.world.nature import ModelState, NatureModel
from fuxiflow.world.truth import EPOCH, add_coordinates, compressor, hour_of


def write_states(path: Path, states: Sequence[ModelState]) -> None:
    """Write states, none or more: the arrays of :meth:`ModelState.arrays`, ``(time, …)``, one time a chunk."""
    group = zarr.open_group(path, mode="w")
    group.attrs.update(
        title="states of the nature run at the init times of forecasts",
        provenance=provenance.as_json(),
    )
    add_coordinates(group, [state.time for state in states], {})
    if not states:
        return
    every = [state.arrays() for state in states]
    for name in every[0]:
        data = np.stack([arrays[name] for arrays in every])
        group.create_array(name, data=data, chunks=(1, *data.shape[1:]), compressors=compressor())


def state_times(path: Path) -> list[datetime]:
    """Times of the states of a store."""
    return [
        EPOCH + timedelta(hours=int(hour)) for hour in zarr.open_group(path, mode="r")["time"][:]
    ]


def read_state(path: Path, model: NatureModel, time: datetime) -> ModelState:
    """The state at ``time``; KeyError lists the times there are."""
    group = zarr.open_group(path, mode="r")
    hours = list(group["time"][:])
    if hour_of(time) not in hours:
        raise KeyError(
            f"{path}: no state at {time}; there are {', '.join(map(str, state_times(path))) or 'none'}"
        )
    index = hours.index(hour_of(time))
    arrays = {name: np.asarray(array[index]) for name, array in group.arrays() if name != "time"}
    return model.restore(time, arrays, str(path))
