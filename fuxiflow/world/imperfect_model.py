"""Models of forecasts that are not the truth's: other diffusion, other parameters of physics."""

from dataclasses import replace

from jcm.diffusion import DiffusionFilter
from jcm.dycore.dinosaur.dycore import DinosaurDycore
from jcm.model import Model
from jcm.physics.speedy.params import Parameters
from jcm.physics.speedy.speedy_terms import speedy_physics
from jcm.terrain import TerrainData

from fuxiflow.config.world import ImperfectModel


def changed_parameters(factors: dict[str, float]) -> Parameters:
    """Multiply SPEEDY's default parameters by factors, given by names as in ``convection.trcnv``.

    KeyError names a parameter that jcm does not have.
    """
    parameters = Parameters.default()
    for name, factor in factors.items():
        scheme, _, parameter = name.partition(".")
        values = getattr(parameters, scheme, None)
        if not hasattr(values, parameter):
            raise KeyError(f"{name}: jcm's SPEEDY has no such parameter")
        changed = {parameter: getattr(values, parameter) * factor}
        parameters = replace(parameters, **{scheme: replace(values, **changed)})
    return parameters


def changed_diffusion(factor: float) -> DiffusionFilter:
    """Multiply the rates of jcm's default horizontal diffusion: its times get shorter."""
    default = DiffusionFilter.default()
    times = ("div_timescale", "vor_q_timescale", "temp_timescale")
    return replace(default, **{name: getattr(default, name) / factor for name in times})


def changed_model(
    coords, terrain: TerrainData, time_step_minutes: int, changes: ImperfectModel
) -> Model:
    """Set jcm up with changes; without any it is the model of the truth.

    Parameters
    ----------
    coords : dinosaur.coordinate_systems.CoordinateSystem
        Horizontal and vertical coordinates.
    terrain : TerrainData
        Orography and land fraction.
    time_step_minutes : int
        Time step.
    changes : ImperfectModel
        Changes of diffusion and physics.

    Returns
    -------
    Model
        The model.
    """
    physics = speedy_physics(changed_parameters(changes.physics)) if changes.physics else None
    if changes.diffusion == 1.0:
        return Model(coords=coords, terrain=terrain, time_step=time_step_minutes, physics=physics)
    dynamics = DinosaurDycore(
        coords=coords,
        terrain=terrain,
        dt_seconds=60.0 * time_step_minutes,
        diffusion=changed_diffusion(changes.diffusion),
    )
    return Model(dynamics, physics=physics)
