"""The tracker: follows storms through a forecast from lead to lead.

ECMWF's tracker as FuXiWeather2 uses it (arXiv 2603.15358; van der Grijn, 2002, ECMWF Newsletter 95;
Magnusson et al., 2021, ECMWF Technical Memorandum 888). Its numbers are the settings of
:class:`fuxiflow.config.cyclones.Tracker`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fuxiflow.config.cyclones import Tracker
from fuxiflow.cyclones.sphere import displaced, displacement
from fuxiflow.cyclones.surroundings import Surroundings
from fuxiflow.grids import Grid
from fuxiflow.physics import GRAVITY

Fields = Mapping[str, np.ndarray]
"""Fields ``(lat, lon)`` by the name of their channel."""

ENDS = {
    "pressure": "no minimum of pressure within the radius",
    "vorticity": "too little vorticity",
    "land_wind": "too little wind over land",
    "terrain": "ground too high",
    "absent": "the field of a lead is missing",
}
"""Reasons for which a track ends, and their meaning."""
_KM_PER_HOUR = 3.6
"""1 m s-1 in km h-1."""
_PASCALS = 100.0
"""Pa in a hPa."""


@dataclass(frozen=True)
class Ground:
    """The ground below the storms: grid, land fraction (0 to 1) and height (m), ``(lat, lon)``."""

    grid: Grid
    land_fraction: np.ndarray
    height: np.ndarray

    @classmethod
    def of_geopotential(
        cls, grid: Grid, land_fraction: np.ndarray, geopotential: np.ndarray
    ) -> "Ground":
        """Make it of the surface geopotential.

        Parameters
        ----------
        grid : Grid
            The grid.
        land_fraction : np.ndarray
            Land fraction ``(lat, lon)``.
        geopotential : np.ndarray
            Surface geopotential ``(lat, lon)`` in m2 s-2.

        Returns
        -------
        Ground
            The ground.
        """
        return cls(grid, land_fraction, geopotential / GRAVITY)


@dataclass(frozen=True)
class Centre:
    """A storm's centre in degrees, its pressure in hPa and its strongest 10-m wind in m s-1."""

    lat: float
    lon: float
    pressure: float
    wind: float


def locate(
    fields: Fields, guess: tuple[float, float], ground: Ground, settings: Tracker, choice: str
) -> Centre | str:
    """Find the centre of a storm near a guess.

    The minima of sea-level pressure within ``search_km`` are tried in turn, until one fulfils the
    conditions on vorticity, on wind over land and on the height of the ground.

    Parameters
    ----------
    fields : Fields
        The forecast at a lead; channels are those of ``settings.channels``.
    guess : tuple of float
        Latitude and longitude of the guess in degrees.
    ground : Ground
        Grid, land and height.
    settings : Tracker
        Radii and limits.
    choice : str
        Which minimum is tried first, ``lowest`` or ``nearest`` to the guess.

    Returns
    -------
    Centre or str
        The centre; where there is none, why the first minimum tried was refused, of :data:`ENDS`.
    """
    around = Surroundings.of(ground.grid, *guess, settings.search_km)
    minima = around.minima(fields["MSL"], settings.search_km)
    if choice == "nearest":
        minima.sort(key=lambda minimum: float(around.distance[minimum[1], minimum[2]]))
    refusals = []
    for value, i, j in minima:
        place = float(around.lat[i]), float(around.lon[j] % 360.0), value
        if settings.sub_grid:
            place = around.between_cells(fields["MSL"], i, j)
        lat, lon, pressure = place
        wind = strongest_wind(fields, lat, lon, ground.grid, settings)
        refusal = _refusal(fields, (lat, lon), wind, ground, settings)
        if not refusal:
            return Centre(lat, lon, pressure / _PASCALS, wind)
        refusals.append(refusal)
    return refusals[0] if refusals else "pressure"


def strongest_wind(fields: Fields, lat: float, lon: float, grid: Grid, settings: Tracker) -> float:
    """Return the strongest wind at 10 m about a centre.

    Parameters
    ----------
    fields : Fields
        The forecast at a lead.
    lat, lon : float
        The centre in degrees.
    grid : Grid
        The grid.
    settings : Tracker
        Radii.

    Returns
    -------
    float
        Wind in m s-1.
    """
    near = Surroundings.of(grid, lat, lon, settings.wind_km)
    speed = np.hypot(near.cut(fields["U10"]), near.cut(fields["V10"]))[1:-1, 1:-1]
    return near.strongest(speed, settings.wind_km)


def _refusal(
    fields: Fields, place: tuple[float, float], wind: float, ground: Ground, settings: Tracker
) -> str:
    """Say which condition a centre fails.

    Parameters
    ----------
    fields : Fields
        The forecast at a lead.
    place : tuple of float
        Latitude and longitude of the centre in degrees.
    wind : float
        Strongest wind at 10 m in m s-1.
    ground : Ground
        Grid, land and height.
    settings : Tracker
        Radii and limits.

    Returns
    -------
    str
        One of :data:`ENDS`, empty where all are fulfilled.
    """
    row, column = divmod(int(ground.grid.cell(*map(np.array, place))), ground.grid.nlon)
    if settings.terrain is not None and ground.height[row, column] > settings.terrain:
        return "terrain"
    over_land = ground.land_fraction[row, column] >= settings.land_fraction
    if over_land and not wind > settings.land_wind:
        return "land_wind"
    near = Surroundings.of(ground.grid, *place, settings.vorticity_km)
    level = settings.vorticity_level
    vorticity = near.vorticity(fields[f"U{level}"], fields[f"V{level}"])
    cyclonic = vorticity if place[0] >= 0 else -vorticity
    if not near.strongest(cyclonic, settings.vorticity_km) >= settings.vorticity:
        return "vorticity"
    return ""


def steering_wind(
    fields: Fields, lat: float, lon: float, grid: Grid, settings: Tracker
) -> tuple[float, float]:
    """Average the wind over ``steering_levels`` and the area about a centre.

    Parameters
    ----------
    fields : Fields
        The forecast at a lead.
    lat, lon : float
        The centre in degrees.
    grid : Grid
        The grid.
    settings : Tracker
        Levels and radius.

    Returns
    -------
    tuple of float
        Eastward and northward wind in m s-1.
    """
    near = Surroundings.of(grid, lat, lon, settings.steering_km)
    u, v = (
        np.mean(
            [
                near.mean(fields[f"{component}{level}"], settings.steering_km)
                for level in settings.steering_levels
            ]
        )
        for component in "UV"
    )
    return float(u), float(v)


def next_guess(
    fields: Fields,
    track: Sequence[tuple[int, Centre]],
    lead: int,
    grid: Grid,
    settings: Tracker,
) -> tuple[float, float]:
    """Guess where a storm is at the next lead.

    The last displacement, along its great circle and scaled by the time between leads, is averaged
    with that by the steering wind. After the first position there is the steering wind alone.

    Parameters
    ----------
    fields : Fields
        The forecast at the lead of the last position.
    track : sequence of tuple
        Leads in hours and positions so far.
    lead : int
        The next lead in hours.
    grid : Grid
        The grid.
    settings : Tracker
        Weights, levels and radius.

    Returns
    -------
    tuple of float
        Latitude and longitude in degrees.
    """
    last_lead, last = track[-1]
    hours = lead - last_lead
    u, v = steering_wind(fields, last.lat, last.lon, grid, settings)
    east, north = u * _KM_PER_HOUR * hours, v * _KM_PER_HOUR * hours
    if len(track) > 1:
        before_lead, before = track[-2]
        back = displacement(last.lat, last.lon, before.lat, before.lon)
        scale = -hours / (last_lead - before_lead)
        weight = settings.extrapolation
        east = weight * scale * back[0] + (1.0 - weight) * east
        north = weight * scale * back[1] + (1.0 - weight) * north
    lat, lon = displaced(last.lat, last.lon, np.float64(east), np.float64(north))
    return float(lat), float(lon)


@dataclass(frozen=True)
class Track:
    """A storm in a forecast: leads in hours with positions, and how the track ended.

    ``end`` is one of :data:`ENDS`, empty where the storm was followed to the last lead;
    ``end_lead`` is the lead at which there was no position any more.
    """

    positions: list[tuple[int, Centre]]
    end: str = ""
    end_lead: int | None = None


def follow(
    read: Callable[[int], Fields | None],
    leads: Sequence[int],
    starts: Mapping[str, tuple[float, float]],
    ground: Ground,
    settings: Tracker,
) -> dict[str, Track]:
    """Follow storms through a forecast; fields of a lead are read once for all storms.

    Parameters
    ----------
    read : callable
        Returns the fields of a lead in hours, None of a missing one.
    leads : sequence of int
        Leads in hours, ascending; the first is where storms are looked for.
    starts : mapping
        By storm, latitude and longitude of the best track at the first lead, in degrees.
    ground : Ground
        Grid, land and height.
    settings : Tracker
        Radii and limits.

    Returns
    -------
    dict of str to Track
        The tracks by storm.
    """
    positions: dict[str, list[tuple[int, Centre]]] = {storm: [] for storm in starts}
    ended: dict[str, tuple[str, int]] = {}
    before: Fields = {}
    for lead in leads:
        alive = [storm for storm in starts if storm not in ended]
        if not alive:
            break
        fields = read(lead)
        for storm in alive:
            if fields is None:
                ended[storm] = "absent", lead
                continue
            track = positions[storm]
            if track:
                guess = next_guess(before, track, lead, ground.grid, settings)
                centre = locate(fields, guess, ground, settings, settings.choice)
            else:
                centre = locate(fields, starts[storm], ground, settings, "lowest")
            if isinstance(centre, str):
                ended[storm] = centre, lead
            else:
                track.append((lead, centre))
        before = fields or {}
    return {storm: Track(positions[storm], *ended.get(storm, ("", None))) for storm in starts}
