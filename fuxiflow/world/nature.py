"""The nature run: jcm (dinosaur's spectral dynamics, SPEEDY's physics), the embedded world's truth.

jcm is stepped through its public pieces (``DynamicalCore.step``,
``compute_physics_step_gridpoint``) in a scan of our own, which keeps only the fields that are
needed and accumulates precipitation over every time step between frames.

SPEEDY: Molteni, F. (2003): Atmospheric simulations using a GCM with simplified physical
parametrizations. I. Climate Dynamics 20, 175-191, doi:10.1007/s00382-002-0268-2.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax_datetime as jdt
import numpy as np
import xarray as xr
from dinosaur.scales import units
from jcm import constants
from jcm.data.bc.interpolate import upsample_terrain_ds
from jcm.date import DateData
from jcm.forcing import ForcingData
from jcm.physics.speedy.speedy_coords import get_speedy_coords
from jcm.physics_interface import PhysicsState, compute_physics_step_gridpoint, verify_state
from jcm.terrain import TerrainData

from fuxiflow.config.world import ImperfectModel
from fuxiflow.physics import GAS_CONSTANT_DRY
from fuxiflow.storage import checksums, provenance
from fuxiflow.storage.zarr_stores import consolidate, create_store, open_store
from fuxiflow.world.imperfect_model import changed_model
from fuxiflow.world.truth import EPOCH, add_coordinates, field_compressor, hour_of

FRAME_HOURS = 6
NATIVE = "store of states of the nature run"
STRIDE_HOURS = 12
"""Length of one compiled stretch of integration: forecasts start at 00 and 12 UTC."""
REFERENCE_PRESSURE = 1.0e5
"""jcm's normalisation of surface pressure, Pa."""
MEAN_SEA_LEVEL_PRESSURE = 101_100.0
"""Mean sea-level pressure that the atmosphere's mass is set to, Pa (global mean of observed
analyses, about 1011 hPa: Trenberth & Smith, 2005, doi:10.1175/JCLI-3299.1). jcm's own start from
rest is 15 hPa heavier."""

# one thread whatever the machine has: the same weather everywhere, and sooner, as the model's
# operations are small; read when jax first computes. NPROC is the number of threads of XLA's
# executor, which the flags do not bound.
os.environ["NPROC"] = "1"
os.environ["XLA_FLAGS"] = " ".join(
    filter(
        None,
        [
            os.environ.get("XLA_FLAGS"),
            "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
        ],
    )
)
jax.config.update("jax_platforms", "cpu")


@dataclass(frozen=True)
class ModelState:
    """All that the model continues from.

    Attributes
    ----------
    time : datetime
        In UTC.
    step : int
        Steps since the start of the model.
    dynamics, physics : Any
        jcm's trees of arrays.
    frame : dict[str, np.ndarray]
        The fields of :meth:`NatureModel.advance` at ``time``, ``(level, lat, lon)`` or ``(lat,
        lon)``.
    """

    time: datetime
    step: int
    dynamics: Any
    physics: Any
    frame: dict[str, np.ndarray]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the state as named arrays.

        They are the frame's fields by their names, ``dynamics.NNN``, ``physics.NNN`` and ``step``.
        """
        arrays = dict(self.frame) | {"step": np.asarray(self.step)}
        for part, tree in (("dynamics", self.dynamics), ("physics", self.physics)):
            arrays |= {
                f"{part}.{i:03d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))
            }
        return arrays

    def write(self, path: Path) -> None:
        """Write the state in numpy's ``.npz`` format, whatever the suffix of ``path``."""
        with open(path, "wb") as file:
            np.savez(file, time=self.time.isoformat(), **self.arrays())
        checksums.seal_zip(path)


class NatureModel:
    """jcm with SPEEDY's physics and monthly climatological forcing.

    Fields are ``(level, lat, lon)``: level from the model's top down, latitude north to south,
    longitude 0 to 360 east.
    """

    def __init__(
        self,
        truncation: int = 31,
        time_step_minutes: int = 30,
        cache: Path | None = None,
        changes: ImperfectModel | None = None,
    ):
        """Set the model up; its code is compiled when it is first advanced.

        Parameters
        ----------
        truncation : int
            Triangular truncation: 21, 31 or 42.
        time_step_minutes : int
            Time step, which must divide 6 h.
        cache : Path or None
            Directory where compiled code is kept between processes.
        changes : ImperfectModel or None
            How a model of forecasts differs from that of the truth, which has none.

        Raises
        ------
        ValueError
            If the time step does not divide 6 h.
        """
        changes = changes or ImperfectModel()
        time_step_minutes = changes.time_step_minutes or time_step_minutes
        if cache is not None:
            jax.config.update("jax_compilation_cache_dir", str(cache))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        if FRAME_HOURS * 60 % time_step_minutes:
            raise ValueError(
                f"world.time_step_minutes: {time_step_minutes} does not divide {FRAME_HOURS} h"
            )
        coords = get_speedy_coords(spectral_truncation=truncation)
        self.truncation = truncation
        self._horizontal = coords.horizontal
        latitude, longitude = (
            np.rad2deg(coords.horizontal.latitudes),
            np.rad2deg(coords.horizontal.longitudes),
        )
        terrain = _packaged("terrain")
        if terrain.orog.shape != coords.horizontal.nodal_shape:
            # jcm brings the terrain of T30 alone
            terrain = upsample_terrain_ds(terrain, grid=coords.horizontal)
        # jcm warns of ozone and output options that SPEEDY on sigma levels lacks; errors still show
        logging.getLogger("jcm").setLevel(logging.ERROR)
        self._terrain = TerrainData.from_coords(
            coords,
            orography=jnp.asarray(terrain.orog.values),
            fmask=jnp.asarray(terrain.lsm.values),
        )
        self._forcing = ForcingData.from_dataset(
            _packaged("forcing"), coords=coords, align_mode="wrap_year"
        )
        self._model = changed_model(coords, self._terrain, time_step_minutes, changes)
        self._seconds = time_step_minutes * 60
        self.lat = np.asarray(latitude[::-1], float)
        self.lon = np.asarray(longitude, float)
        self.sigma = np.asarray(coords.vertical.centers, float)
        self.land_fraction = _outward(np.asarray(self._terrain.fmask, np.float32))
        # the dynamics' own orography: the terrain's phis0 differs by up to kilometres in mountains
        primitive = self._model.dycore.primitive
        height = primitive.physics_specs.dimensionalize(
            coords.horizontal.to_nodal(primitive.orography), units.meter
        ).m
        self.surface_geopotential = _outward(np.asarray(height, np.float32)) * np.float32(
            constants.grav
        )
        frames = STRIDE_HOURS // FRAME_HOURS
        self._stride = jax.jit(lambda carry: jax.lax.scan(self._frame, carry, None, length=frames))

    def rest(self, time: datetime) -> ModelState:
        """Return an isothermal atmosphere at rest, with an empty frame.

        Its mass is set by :data:`MEAN_SEA_LEVEL_PRESSURE`.
        """
        dynamics, physics = self._model.bootstrap_state()
        grid = self._model.dycore.to_physics_state(dynamics)
        weights = np.cos(np.deg2rad(self.lat))[:, None] * np.ones_like(self.lon)
        ps = _outward(np.asarray(grid.normalized_surface_pressure)) * REFERENCE_PRESSURE
        target = MEAN_SEA_LEVEL_PRESSURE * np.exp(
            -self.surface_geopotential / (GAS_CONSTANT_DRY * 275.0)
        )
        factor = np.average(target, weights=weights) / np.average(ps, weights=weights)
        # a factor of pressure is an addition to its logarithm, which is what the dynamics hold
        shift = self._horizontal.to_modal(jnp.full(self._horizontal.nodal_shape, np.log(factor)))
        dynamics = dynamics.replace(log_surface_pressure=dynamics.log_surface_pressure + shift)
        return ModelState(time, 0, dynamics, physics, {})

    def settled(self, time: datetime, fields: Sequence[np.ndarray], place: str) -> ModelState:
        """Return the state of :meth:`rest` with the dynamics of another state.

        Parameters
        ----------
        time : datetime
            Time of the state.
        fields : Sequence[np.ndarray]
            Spectral fields of the other state's dynamics, in the order of its arrays.
        place : str
            Origin of the fields, for the error.

        Returns
        -------
        ModelState
            The state.

        Raises
        ------
        ValueError
            If the fields do not fit the model.
        """
        state = self.rest(time)
        leaves, structure = jax.tree.flatten(state.dynamics)
        if [leaf.shape for leaf in leaves if leaf.ndim] != [field.shape for field in fields]:
            raise ValueError(
                f"{place}: its fields do not fit this model (other truncation or version of jcm): "
                "run python -m fuxiflow build-climate again"
            )
        remaining = iter(fields)
        leaves = [
            jnp.asarray(next(remaining), leaf.dtype) if leaf.ndim else leaf for leaf in leaves
        ]
        return replace(state, dynamics=jax.tree.unflatten(structure, leaves))

    def restore(self, time: datetime, arrays: dict[str, np.ndarray], place: str) -> ModelState:
        """Put a state together that :meth:`ModelState.arrays` took apart.

        Parameters
        ----------
        time : datetime
            Time of the state.
        arrays : dict[str, np.ndarray]
            The named arrays.
        place : str
            Origin of the arrays, for the error.

        Returns
        -------
        ModelState
            The state.

        Raises
        ------
        ValueError
            If the arrays do not fit the model.
        """
        trees = {}
        for part, template in zip(
            ("dynamics", "physics"), jax.eval_shape(self._model.bootstrap_state), strict=True
        ):
            leaves, structure = jax.tree.flatten(template)
            stored = [arrays[name] for name in sorted(arrays) if name.startswith(f"{part}.")]
            if [np.shape(leaf) for leaf in leaves] != [leaf.shape for leaf in stored]:
                raise ValueError(
                    f"{place}: its {part} do not fit this model (other truncation or version of "
                    "jcm): run world_spinup and world_nature again"
                )
            trees[part] = jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in stored])
        frame = {
            name: field for name, field in arrays.items() if "." not in name and name != "step"
        }
        return ModelState(time, int(arrays["step"]), frame=frame, **trees)

    def read(self, path: Path) -> ModelState:
        """Read a state written by :meth:`ModelState.write`; DamagedError when it is damaged."""
        checksums.check_sealed(path)
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        return self.restore(datetime.fromisoformat(str(arrays.pop("time"))), arrays, str(path))

    def perturbed(self, state: ModelState, increments: dict[str, np.ndarray]) -> ModelState:
        """Add ``increments`` of the :data:`~fuxiflow.world.levels.PROGNOSTIC` fields to a state.

        Humidity is kept from falling below 0. The increment is added in spectral space, so that
        increments of zero leave the state exactly as it is.
        """
        grid = verify_state(self._model.dycore.to_physics_state(state.dynamics))
        # increments come in our orientation
        delta = {name: _inward(jnp.asarray(field)) for name, field in increments.items()}
        changed = PhysicsState(
            grid.u_wind + delta["u_component_of_wind"],
            grid.v_wind + delta["v_component_of_wind"],
            grid.temperature + delta["temperature"],
            jnp.maximum(grid.specific_humidity + delta["specific_humidity"], 0.0),
            grid.geopotential,
            grid.normalized_surface_pressure + delta["surface_pressure"] / REFERENCE_PRESSURE,
            grid.tracers,
        )
        before, after = (self._model.dycore.initial_state(fields) for fields in (grid, changed))
        dynamics = jax.tree.map(lambda x, new, old: x + (new - old), state.dynamics, after, before)
        return ModelState(state.time, state.step, dynamics, state.physics, state.frame)

    def advance(
        self, state: ModelState, hours: int
    ) -> Iterator[tuple[ModelState, list[dict[str, np.ndarray]]]]:
        """Integrate for ``hours``, a multiple of 12; yield every 12 h the state and two frames.

        The frames are those at 6 and 12 h. A frame holds the prognostic fields, ``geopotential``
        (level; m2 s-2), ``2m_temperature`` (K), the 10 m wind components (m s-1),
        ``skin_temperature`` (K) and ``total_precipitation_6hr`` (mm in the 6 h before).
        FloatingPointError where the model blows up.
        """
        if hours % STRIDE_HOURS:
            raise ValueError(f"{hours} h is not a multiple of {STRIDE_HOURS} h")
        carry = (
            state.dynamics,
            state.physics,
            jdt.to_datetime(state.time.isoformat()),
            jnp.int32(state.step),
        )
        strides = hours // STRIDE_HOURS
        ahead = self._stride(carry) if strides else None
        for count in range(1, strides + 1):
            carry, fields = ahead
            # jax does not wait for it: it computes while the caller works on the frames before
            ahead = self._stride(carry) if count < strides else None
            fields = {name: np.asarray(field) for name, field in fields.items()}
            time = state.time + timedelta(hours=STRIDE_HOURS * count)
            if not np.isfinite(fields["surface_pressure"]).all():
                raise FloatingPointError(
                    f"the model blew up before {time}: a shorter world.time_step_minutes helps"
                )
            frames = [
                {name: field[i] for name, field in fields.items()}
                for i in range(STRIDE_HOURS // FRAME_HOURS)
            ]
            step = state.step + count * STRIDE_HOURS * 3600 // self._seconds
            yield ModelState(time, step, carry[0], carry[1], frames[-1]), frames

    def _step(self, carry, _):
        """Advance the dynamics, the physics and the sum of precipitation by one time step."""
        dynamics, physics, clock, step, rain = carry
        forcing = self._forcing.select(DateData(clock, step, self._seconds))
        tendency, physics = compute_physics_step_gridpoint(
            self._model.dycore.to_physics_state(dynamics),
            forcing,
            self._terrain,
            physics,
            physics=self._model.physics,
            time_step=float(self._seconds),
        )
        dynamics = self._model.dycore.step(dynamics, tendency)
        # g m-2 s-1: 1e-3 mm s-1
        rain = rain + (physics["_condensation"].precls + physics["_convection"].precnv) * (
            1e-3 * self._seconds
        )
        return (
            dynamics,
            physics,
            clock + jdt.Timedelta(seconds=jnp.int32(self._seconds)),
            step + 1,
            rain,
        ), None

    def _frame(self, carry, _):
        """Advance by 6 h and return the fields at their end."""
        steps = FRAME_HOURS * 3600 // self._seconds
        rain = jnp.zeros(self._horizontal.nodal_shape)
        (dynamics, physics, clock, step, rain), _ = jax.lax.scan(
            self._step, (*carry, rain), None, length=steps
        )
        grid = verify_state(self._model.dycore.to_physics_state(dynamics))
        surface = physics["_surface_flux"]
        fields = {
            "u_component_of_wind": grid.u_wind,
            "v_component_of_wind": grid.v_wind,
            "temperature": grid.temperature,
            "specific_humidity": grid.specific_humidity,
            "geopotential": grid.geopotential,
            "surface_pressure": grid.normalized_surface_pressure * REFERENCE_PRESSURE,
            "2m_temperature": surface.t0,
            "10m_u_component_of_wind": surface.u0,
            "10m_v_component_of_wind": surface.v0,
            "skin_temperature": surface.tskin,
            "total_precipitation_6hr": rain,
        }
        return (dynamics, physics, clock, step), {
            name: _outward(field) for name, field in fields.items()
        }


def frame_times(state: ModelState, frames: Sequence[dict[str, np.ndarray]]) -> list[datetime]:
    """Return the times of the frames that :meth:`NatureModel.advance` yields with a state."""
    last = len(frames) - 1
    return [state.time - timedelta(hours=FRAME_HOURS * (last - i)) for i in range(len(frames))]


def _outward(field):
    """Rearrange jcm's ``(…, lon, lat south to north)`` to ours."""
    return field.swapaxes(-1, -2)[..., ::-1, :]


def _inward(field):
    """Rearrange our fields to jcm's ``(…, lon, lat south to north)``."""
    return field[..., ::-1, :].swapaxes(-1, -2)


def _packaged(name: str) -> xr.Dataset:
    """Read a boundary file that comes with jcm: SPEEDY's monthly climatology on its T30 grid.

    It is opened with a named engine: when xarray guesses, it loads every engine there is, and
    ecCodes loaded before PROJ crashes the interpreter at its exit.
    """
    path = resources.files("jcm.data.bc") / "t30" / "clim" / f"{name}.nc"
    with xr.open_dataset(str(path), engine="netcdf4") as dataset:
        return dataset.load()


def write_model_states(path: Path, states: Sequence[ModelState]) -> None:
    """Write states, none or more, as one array ``(time, …)`` for each of :meth:`ModelState.arrays`.

    A chunk holds one time.
    """
    title = "states of the nature run at the init times of forecasts"
    group = create_store(path, {"title": title, "provenance": provenance.as_json()})
    add_coordinates(group, [state.time for state in states], {})
    every = [state.arrays() for state in states]
    for name in every[0] if every else ():
        data = np.stack([arrays[name] for arrays in every])
        group.create_array(
            name,
            data=data,
            chunks=(1, *data.shape[1:]),
            compressors=field_compressor(),
            dimension_names=("time", *(f"{name}.{i}" for i in range(1, data.ndim))),
        )
    consolidate(path)


def model_state_times(path: Path) -> list[datetime]:
    """Return the times of the states of a store."""
    return [EPOCH + timedelta(hours=int(hour)) for hour in open_store(path, NATIVE)["time"][:]]


def read_model_state(path: Path, model: NatureModel, time: datetime) -> ModelState:
    """Read a state from a store.

    Parameters
    ----------
    path : Path
        A store of :func:`write_model_states`.
    model : NatureModel
        The model that the state is of.
    time : datetime
        Time of the state.

    Returns
    -------
    ModelState
        The state.

    Raises
    ------
    KeyError
        Lists the times that the store holds.
    """
    group = open_store(path, NATIVE)
    hours = list(group["time"][:])
    if hour_of(time) not in hours:
        raise KeyError(
            f"{path}: no state at {time}; there are "
            f"{', '.join(map(str, model_state_times(path))) or 'none'}"
        )
    index = hours.index(hour_of(time))
    arrays = {name: np.asarray(array[index]) for name, array in group.arrays() if name != "time"}
    return model.restore(time, arrays, str(path))
