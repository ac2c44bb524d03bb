"""Fields of an analytic vortex on a global grid, for the tracker."""

import numpy as np

from fuxiflow.config.cyclones import Tracker
from fuxiflow.cyclones.sphere import displacement
from fuxiflow.cyclones.surroundings import Surroundings
from fuxiflow.cyclones.tracker import Ground
from fuxiflow.grids import Grid

QUARTER = Grid(720, 1440)
PRESSURE = 101000.0


def sea(grid: Grid = QUARTER) -> Ground:
    """A globe of water."""
    return Ground(grid, np.zeros(grid.shape, np.float32), np.zeros(grid.shape, np.float32))


def calm(grid: Grid = QUARTER, settings: Tracker | None = None) -> dict[str, np.ndarray]:
    """Fields without any storm and without wind."""
    fields = {name: np.zeros(grid.shape, np.float32) for name in (settings or Tracker()).channels}
    fields["MSL"][:] = PRESSURE
    return fields


def add_vortex(
    fields: dict[str, np.ndarray],
    lat: float,
    lon: float,
    grid: Grid = QUARTER,
    *,
    depth: float = 5000.0,
    radius: float = 150.0,
    wind: float = 40.0,
    drift: tuple[float, float] = (0.0, 0.0),
) -> dict[str, np.ndarray]:
    """Put a vortex of ``depth`` Pa and ``radius`` km into fields: cyclonic, on a steering flow.

    The pressure is a Gaussian bell. The wind along the circles, of at most ``wind`` m s-1, is that
    of a bell too, so that the vorticity at the centre is 2 sqrt(e) wind / radius; ``drift`` m s-1
    carries it.
    """
    near = Surroundings.of(grid, lat, lon, 6 * radius)
    rows = near.rows[1:-1]
    index = rows[:, None], near.columns[1:-1] % grid.nlon
    lats, lons = np.meshgrid(near.lat[1:-1], near.lon[1:-1], indexing="ij")
    east, north = displacement(lats, lons, lat, lon)  # toward the centre, seen from each cell
    distance = np.hypot(east, north)
    fields["MSL"][index] -= depth * np.exp(-0.5 * (distance / radius) ** 2)
    speed = wind / radius * np.exp(0.5 - 0.5 * (distance / radius) ** 2) * np.sign(lat)
    for name, values in fields.items():
        if name[0] in "UV":
            towards = north if name[0] == "U" else -east
            values[index] += speed * towards + drift[name[0] == "V"]
    return fields
