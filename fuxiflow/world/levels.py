"""From the nature run's sigma levels to pressure levels, the surface and a regular grid.

Between full levels, and between the lowest one and the ground, temperature and wind are linear in
the logarithm of pressure, specific humidity's logarithm too; geopotential is hydrostatic. Below the
ground temperature, geopotential and mean-sea-level pressure follow Trenberth, Berry & Buja (1993),
Vertical interpolation and truncation of model-coordinate data, NCAR/TN-396+STR,
doi:10.5065/D6HX19NH (the ECMWF method), which caps the reduction over high and over cold ground.
"""

import numpy as np
from scipy import sparse

from fuxiflow.channels import ChannelTable, channel_table
from fuxiflow.grids import Grid
from fuxiflow.interpolation import linear_matrix
from fuxiflow.physics import (
    COLD_LIMIT,
    GAS_CONSTANT_DRY,
    GRAVITY,
    LAPSE_RATE,
    WARM_LIMIT,
    relative_humidity,
    virtual_temperature,
)

PROGNOSTIC = (
    "u_component_of_wind",
    "v_component_of_wind",
    "temperature",
    "specific_humidity",
    "surface_pressure",
)
"""Fields that a perturbed state is made of: m s-1, m s-1, K, kg kg-1 on ``(level, lat, lon)``, Pa
on ``(lat, lon)``."""
HUMIDITY_FLOOR = 3.0e-6
"""Least specific humidity, kg kg-1, about that of the stratosphere: the model dries its upper
levels out altogether."""
RELATIVE_HUMIDITY_CAP = 110.0
"""Greatest relative humidity, %."""
SURFACE_CHANNELS = {
    "T2M": "2m_temperature",
    "U10": "10m_u_component_of_wind",
    "V10": "10m_v_component_of_wind",
    "TP": "total_precipitation_6hr",
}
LEVEL_VARIABLES = (
    "geopotential",
    "temperature",
    "u_component_of_wind",
    "v_component_of_wind",
    "relative_humidity",
    "specific_humidity",
)
WINDS = ("U", "V")
EXTRA = ("surface_pressure", "skin_temperature")


def to_pressure(
    frame: dict[str, np.ndarray],
    sigma: np.ndarray,
    surface_geopotential: np.ndarray,
    levels: list[int],
) -> dict[str, np.ndarray]:
    """Interpolate a frame of the nature run to pressure levels.

    Humidity is kept within [3e-6 kg kg-1, 110 % of saturation].

    Parameters
    ----------
    frame : dict[str, np.ndarray]
        Fields of :meth:`fuxiflow.world.nature.NatureModel.advance`, ``(sigma, lat, lon)`` from the
        top.
    sigma : np.ndarray
        Full levels, ``(sigma,)``.
    surface_geopotential : np.ndarray
        In m2 s-2, ``(lat, lon)``.
    levels : list[int]
        Pressures in hPa.

    Returns
    -------
    dict[str, np.ndarray]
        The fields of :data:`LEVEL_VARIABLES`, ``(level, lat, lon)``, and
        ``mean_sea_level_pressure`` in Pa, ``(lat, lon)``.
    """
    ps = frame["surface_pressure"].astype(np.float64)
    log_levels = np.log(sigma)[:, None, None] + np.log(ps)
    surface_log = np.log(ps)[None]
    temperature = frame["temperature"]
    # from the lowest full level to the ground at the standard lapse rate
    ground = temperature[-1] * (
        1.0 + LAPSE_RATE * GAS_CONSTANT_DRY / GRAVITY * (1.0 / sigma[-1] - 1.0)
    )
    # its logarithm is interpolated
    humidity = np.maximum(frame["specific_humidity"], HUMIDITY_FLOOR)

    def with_surface(field: np.ndarray, surface: np.ndarray) -> np.ndarray:
        return np.concatenate([field, surface[None]])

    x = np.concatenate([log_levels, surface_log])
    t = with_surface(temperature, ground)
    q = with_surface(humidity, humidity[-1])
    tv = virtual_temperature(t, q)
    z = with_surface(frame["geopotential"], surface_geopotential)
    columns = {"temperature": t, "specific_humidity": np.log(q), "geopotential": z, "tv": tv}
    for name in ("u_component_of_wind", "v_component_of_wind"):
        columns[name] = with_surface(frame[name], frame[name][-1])

    out = {name: np.empty((len(levels), *ps.shape), np.float32) for name in LEVEL_VARIABLES}
    for k, level in enumerate(levels):
        target = np.log(100.0 * level)
        upper = np.clip((x < target).sum(0) - 1, 0, len(sigma) - 1)[None]
        x0, x1 = (np.take_along_axis(x, upper + i, 0)[0] for i in (0, 1))
        weight = np.clip((target - x0) / (x1 - x0), 0.0, 1.0)
        here = {}
        for name, column in columns.items():
            above, below = (np.take_along_axis(column, upper + i, 0)[0] for i in (0, 1))
            here[name] = above + weight * (below - above)
            if name == "tv":
                slope = (below - above) / (x1 - x0)
        # d(geopotential)/d(ln p) = -R Tv with Tv linear: a parabola through both ends
        here["geopotential"] += (
            0.5 * GAS_CONSTANT_DRY * slope * (x1 - x0) ** 2 * weight * (1.0 - weight)
        )
        depth = target - surface_log[0]
        beneath = depth > 0.0
        if beneath.any():
            t_below, z_below = _below_ground(
                ground, surface_geopotential, np.where(beneath, depth, 0.0)
            )
            here["temperature"] = np.where(beneath, t_below, here["temperature"])
            here["geopotential"] = np.where(beneath, z_below, here["geopotential"])
        _above_top(here, x[0] - target, t[0], z[0])
        moisture = np.exp(here["specific_humidity"])
        relative = relative_humidity(moisture, here["temperature"], float(level))
        # both humidities are cut together, or they would contradict each other
        excess = np.maximum(relative / RELATIVE_HUMIDITY_CAP, 1.0)
        here["relative_humidity"] = relative / excess
        here["specific_humidity"] = moisture / excess
        for name in LEVEL_VARIABLES:
            out[name][k] = here[name]
    out["mean_sea_level_pressure"] = sea_level_pressure(ps, ground, surface_geopotential).astype(
        np.float32
    )
    return out


def _above_top(
    here: dict[str, np.ndarray],
    height: np.ndarray,
    top_temperature: np.ndarray,
    top_geopotential: np.ndarray,
) -> None:
    """Extend columns isothermally above the highest model level, in place.

    Parameters
    ----------
    here : dict[str, np.ndarray]
        Fields of one level, ``(lat, lon)``, of which temperature and geopotential are changed.
    height : np.ndarray
        ln(p_top / p), positive above the highest model level, ``(lat, lon)``.
    top_temperature : np.ndarray
        Temperature of that level in K, ``(lat, lon)``.
    top_geopotential : np.ndarray
        Geopotential of that level in m2 s-2, ``(lat, lon)``.
    """
    above = height > 0.0
    if above.any():
        here["temperature"] = np.where(above, top_temperature, here["temperature"])
        isothermal = top_geopotential + GAS_CONSTANT_DRY * top_temperature * height
        here["geopotential"] = np.where(above, isothermal, here["geopotential"])


def _tempered(
    ground: np.ndarray, surface_geopotential: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the ground temperature and the lapse rate of the air imagined below the ground.

    They are in K and K m-1, ``(lat, lon)`` each (Trenberth et al., 1993, equations 13 to 16).
    """
    sea_level = ground + LAPSE_RATE * surface_geopotential / GRAVITY
    height = np.maximum(np.abs(surface_geopotential) / GRAVITY, 1.0)
    hot = sea_level > WARM_LIMIT
    lapse = np.where(hot, np.clip((WARM_LIMIT - ground) / height, 0.0, LAPSE_RATE), LAPSE_RATE)
    warm_ground = hot & (ground > WARM_LIMIT)
    tempered = np.where(warm_ground, 0.5 * (WARM_LIMIT + ground), ground)
    tempered = np.where(ground < COLD_LIMIT, 0.5 * (COLD_LIMIT + ground), tempered)
    return tempered, lapse


def _below_ground(
    ground: np.ndarray, surface_geopotential: np.ndarray, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Extend columns below the ground (Trenberth et al., 1993, equations 15 and 16).

    Parameters
    ----------
    ground : np.ndarray
        Temperature of the air at the ground in K, ``(lat, lon)``.
    surface_geopotential : np.ndarray
        In m2 s-2, ``(lat, lon)``.
    depth : np.ndarray
        ln(p / p_s) >= 0, ``(lat, lon)``.

    Returns
    -------
    tuple[np.ndarray, np.ndarray]
        Temperature in K and geopotential in m2 s-2, ``(lat, lon)``.
    """
    tempered, lapse = _tempered(ground, surface_geopotential)
    y = lapse * GAS_CONSTANT_DRY / GRAVITY * depth
    temperature = ground * (1.0 + y + y**2 / 2.0 + y**3 / 6.0)
    geopotential = surface_geopotential - GAS_CONSTANT_DRY * tempered * depth * (
        1.0 + y / 2.0 + y**2 / 6.0
    )
    return temperature, geopotential


def sea_level_pressure(
    surface_pressure: np.ndarray, ground: np.ndarray, surface_geopotential: np.ndarray
) -> np.ndarray:
    """Reduce surface pressure to mean sea level (Trenberth et al., 1993, equations 11 to 14).

    p_s exp(b (1 - x/2 + x^2/3)), b = z_s / (R T), x = lapse z_s / (g T).

    Parameters
    ----------
    surface_pressure : np.ndarray
        In any unit, ``(lat, lon)``.
    ground : np.ndarray
        Temperature of the air at the ground in K, ``(lat, lon)``.
    surface_geopotential : np.ndarray
        In m2 s-2, ``(lat, lon)``.

    Returns
    -------
    np.ndarray
        Mean-sea-level pressure in the unit of ``surface_pressure``.
    """
    tempered, lapse = _tempered(ground, surface_geopotential)
    b = surface_geopotential / (GAS_CONSTANT_DRY * tempered)
    x = lapse * surface_geopotential / (GRAVITY * tempered)
    return surface_pressure * np.exp(b * (1.0 - x / 2.0 + x**2 / 3.0))


class Regridder:
    """Bilinear interpolation from a Gaussian grid to a regular one.

    Longitude is periodic. Beyond the last source latitude values go to the pole's: for scalars the
    mean of the nearest row, for the components of a vector its wavenumber 1, as one vector at the
    pole looks from every meridian.
    """

    def __init__(self, lat: np.ndarray, lon: np.ndarray, grid: Grid):
        """Compute the matrices of the interpolation.

        Parameters
        ----------
        lat : np.ndarray
            Source latitudes in degrees, decreasing, of any spacing.
        lon : np.ndarray
            Source longitudes in degrees, ``(lon,)``.
        grid : Grid
            The target.
        """
        self.grid = grid
        self._scalar = self._operator(
            lat, lon, grid, lambda angle: np.full_like(angle, 1.0 / len(lon))
        )
        self._vector = self._operator(lat, lon, grid, lambda angle: 2.0 / len(lon) * np.cos(angle))

    @staticmethod
    def _operator(lat, lon, grid, polar) -> sparse.csr_matrix:
        """Compute the matrix of the interpolation, ``(target cell, source cell)``.

        Parameters
        ----------
        lat, lon : np.ndarray
            Source latitudes and longitudes in degrees.
        grid : Grid
            The target.
        polar : Callable
            Weights of the nearest row's cells in the value at the pole, of the difference of
            longitude in radians; the two extra rows of the poles are eliminated with it.

        Returns
        -------
        sparse.csr_matrix
            Weights, float32.
        """
        nlat, nlon = len(lat), len(lon)
        rows = np.interp(-grid.lat, -np.concatenate([[90.0], lat, [-90.0]]), np.arange(nlat + 2))
        columns = np.interp(grid.lon, np.append(lon, lon[0] + 360.0), np.arange(nlon + 1))
        row = linear_matrix(rows, nlat + 2, wrap=False)
        column = linear_matrix(columns, nlon, wrap=True)
        extended = sparse.kron(row, column, format="csr")
        ring = polar(np.deg2rad(lon[:, None] - lon[None, :]))
        below = sparse.csr_matrix((nlon, (nlat - 1) * nlon))
        north = sparse.hstack([sparse.csr_matrix(ring), below])
        south = sparse.hstack([below, sparse.csr_matrix(ring)])
        poles = sparse.vstack([north, sparse.identity(nlat * nlon), south], format="csr")
        operator = (extended @ poles).astype(np.float32)
        # rounding leaves weights that are zero in exact arithmetic
        operator.data[np.abs(operator.data) < 1e-7] = 0.0
        operator.eliminate_zeros()
        return operator

    def __call__(self, fields: np.ndarray, vector: bool = False) -> np.ndarray:
        """Interpolate ``(…, source lat, source lon)`` to ``(…, lat, lon)``, float32."""
        leading = fields.shape[:-2]
        flat = np.ascontiguousarray(
            fields.reshape(-1, fields.shape[-2] * fields.shape[-1]).T, np.float32
        )
        operator = self._vector if vector else self._scalar
        return np.ascontiguousarray((operator @ flat).T).reshape(*leading, *self.grid.shape)


def world_fields(
    frame: dict[str, np.ndarray],
    sigma: np.ndarray,
    surface_geopotential: np.ndarray,
    regrid: Regridder,
    channels: ChannelTable | None = None,
) -> dict[str, np.ndarray]:
    """Compute all truth fields of one time on the world's grid.

    Parameters
    ----------
    frame : dict[str, np.ndarray]
        A frame of the nature run.
    sigma : np.ndarray
        Full levels of the nature run, ``(sigma,)``.
    surface_geopotential : np.ndarray
        That of the nature run in m2 s-2, ``(lat, lon)``.
    regrid : Regridder
        From the nature run's grid to the world's.
    channels : ChannelTable or None
        The project's table by default.

    Returns
    -------
    dict[str, np.ndarray]
        Every channel of the table by its name, in its unit, ``(lat, lon)``; ``surface_pressure`` in
        Pa, ``skin_temperature`` in K and ``specific_humidity`` in kg kg-1, ``(level, lat, lon)``;
        float32.
    """
    channels = channels or channel_table()
    levels = list(channels.pressure_levels)
    native = to_pressure(frame, sigma, surface_geopotential, levels)
    source = {}
    for channel in channels:
        if channel.level is not None:
            source[channel.name] = native[channel.variable][levels.index(channel.level)]
        elif channel.name == "MSL":
            source["MSL"] = native["mean_sea_level_pressure"]
        else:
            source[channel.name] = frame[SURFACE_CHANNELS[channel.name]]
    source |= {name: frame[name] for name in EXTRA}
    winds = [name for name in source if name.startswith(WINDS)]
    scalars = [name for name in source if name not in winds]
    out = dict(
        zip(winds, regrid(np.stack([source[name] for name in winds]), vector=True), strict=True)
    )
    out |= dict(zip(scalars, regrid(np.stack([source[name] for name in scalars])), strict=True))
    out["specific_humidity"] = regrid(native["specific_humidity"])
    # no negative rain from rounding
    out["TP"] = np.maximum(out["TP"], 0.0)
    return out
