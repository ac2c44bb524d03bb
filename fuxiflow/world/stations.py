"""Networks of the embedded world: places of stations, tracks of ships and buoys, fixed by the seed.

Like the real ones they are dense over the continents of the middle latitudes, above all the
northern, thin over tropical forests, deserts and the polar caps, and at sea. A network is a
property of the world, the same in all segments of its time.
"""

from dataclasses import dataclass

import numpy as np

from fuxiflow.grids import Grid
from fuxiflow.interpolation import bilinear
from fuxiflow.physics import GRAVITY
from fuxiflow.randomness import generator

LAND = 0.5
"""Land fraction from which on a place is land."""
COAST = 0.1
"""The same for radiosondes: many ascend from coasts and islands, which the nature run's smooth land
does not show."""
CANDIDATES = 40
"""Places drawn for each station wanted, of which those that are too near to one that is chosen
already are left."""
EPOCH = np.datetime64("2022-01-01T00:00:00", "ns")
_DAY = np.timedelta64(86_400_000_000_000, "ns")


@dataclass(frozen=True)
class Stations:
    """Land stations or radiosonde stations.

    Attributes
    ----------
    number : np.ndarray
        WMO block number times 1000 plus the station's, ``(n,)``.
    lat, lon : np.ndarray
        In degrees, ``(n,)``.
    height : np.ndarray
        In m above mean sea level, ``(n,)``.
    """

    number: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    height: np.ndarray

    def __len__(self) -> int:
        return len(self.number)


@dataclass(frozen=True)
class Vessels:
    """Ships, which sail about a place, and buoys, which drift about theirs.

    Attributes
    ----------
    identifier : np.ndarray
        Call signs of ships, numbers of buoys, ``(n,)``.
    buoy : np.ndarray
        Whether it is a buoy, ``(n,)``.
    lat, lon : np.ndarray
        Middle of the track in degrees, ``(n,)``.
    reach : np.ndarray
        How far the track goes north and east in degrees, ``(n, 2)``.
    period : np.ndarray
        In days, ``(n,)``.
    phase : np.ndarray
        In radians, ``(n, 2)``.
    """

    identifier: np.ndarray
    buoy: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    reach: np.ndarray
    period: np.ndarray
    phase: np.ndarray

    def __len__(self) -> int:
        return len(self.identifier)

    def at(self, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return latitude and longitude ``(…, n)`` in degrees at ``time`` (…,), datetime64[ns]."""
        angle = 2.0 * np.pi * ((time - EPOCH) / _DAY)[..., None] / self.period
        lat = self.lat + self.reach[:, 0] * np.sin(angle + self.phase[:, 0])
        lon = self.lon + self.reach[:, 1] * np.sin(angle + self.phase[:, 1])
        return lat, (lon + 180.0) % 360.0 - 180.0


def station_density(lat: np.ndarray) -> np.ndarray:
    """Return the density of stations on land at latitudes in degrees ``(n,)``.

    It is relative to its most, at 45 N: a bell there of 18 degrees, a lower one at 32 S, one over
    the ring of stations on Antarctica's coast, and a twelfth of it elsewhere. After the maps of the
    Global Observing System in WMO-No. 544 and the forty all-year stations of COMNAP's Antarctic
    Station Catalogue; no centre's list is copied.
    """
    north, south = (
        np.exp(-0.5 * ((lat - 45.0) / 18.0) ** 2),
        np.exp(-0.5 * ((lat + 32.0) / 10.0) ** 2),
    )
    return 0.08 + 0.92 * north + 0.35 * south + 0.25 * np.exp(-0.5 * ((lat + 70.0) / 6.0) ** 2)


def _places(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw latitudes and longitudes ``(count,)`` in degrees, evenly on the sphere."""
    return np.degrees(np.arcsin(rng.uniform(-1.0, 1.0, count))), rng.uniform(-180.0, 180.0, count)


def _apart(
    lat: np.ndarray, lon: np.ndarray, weight: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw places that lie apart from each other.

    Of the places that share a small box only the first drawn counts. Boxes have half the side that
    ``count`` equal ones would cover the globe with, so that clusters thin out.

    Parameters
    ----------
    lat, lon : np.ndarray
        The places in degrees, ``(n,)``.
    weight : np.ndarray
        Relative probabilities, ``(n,)``.
    count : int
        Number of places at most.
    rng : np.random.Generator
        Draws the places.

    Returns
    -------
    np.ndarray
        Indices of at most ``count`` places.
    """
    order = (
        rng.choice(len(lat), len(lat), replace=False, p=weight / weight.sum())
        if weight.sum()
        else np.empty(0, int)
    )
    side = 0.5 * np.sqrt(4.0 * np.pi / max(count, 1)) / np.pi * 180.0 * 0.5
    box = np.floor(lat / side) * 10_000 + np.floor(lon * np.cos(np.radians(lat)) / side)
    _, first = np.unique(box[order], return_index=True)
    return order[np.sort(first)][:count]


def place_stations(
    source: str,
    count: int,
    seed: int,
    land_fraction: np.ndarray,
    surface_geopotential: np.ndarray,
    grid: Grid,
    least: float = LAND,
) -> Stations:
    """Place the stations of a source on land, in order of their numbers.

    Stations stand on the ground of the nature run, which is smoother than the Earth's.

    Parameters
    ----------
    source : str
        Name of the source.
    count : int
        Number of stations; there are fewer where there is no space for them.
    seed : int
        Seed of the configuration.
    land_fraction : np.ndarray
        From 0 to 1, ``(lat, lon)`` on ``grid``.
    surface_geopotential : np.ndarray
        In m2 s-2, ``(lat, lon)`` on ``grid``.
    grid : Grid
        A grid with rows on the poles.
    least : float
        Land fraction from which on there are stations.

    Returns
    -------
    Stations
        The network.
    """
    rng = generator(seed, source, "network")
    lat, lon = _places(rng, CANDIDATES * count)
    on_land = bilinear(land_fraction, grid, lat, lon) >= least
    lat, lon = lat[on_land], lon[on_land]
    members = _apart(lat, lon, station_density(lat), count, rng)
    # numbers run eastward in bands of 10 degrees
    members = members[np.lexsort((lat[members], np.floor(lon[members] / 10.0)))]
    rank = np.arange(len(members))
    # a block number has two digits and a station number three
    blocks = max(1, -(-len(members) // 900))
    per_block = -(-len(members) // max(1, min(98, max(blocks, len(members) // 10))))
    number = 1000 * (rank // per_block + 1) + rank % per_block + 1
    lat, lon = np.round(lat[members], 5), np.round(lon[members], 5)
    height = bilinear(surface_geopotential, grid, lat, lon) / GRAVITY
    return Stations(number, lat, lon, height)


def place_vessels(
    source: str, count: int, seed: int, land_fraction: np.ndarray, grid: Grid
) -> Vessels:
    """Place the ships and buoys of a source so that their tracks stay at sea, half of them buoys.

    Ships make up to some 5 m/s and crowd in the northern middle latitudes; buoys are everywhere and
    drift at decimetres a second.

    Parameters
    ----------
    source : str
        Name of the source.
    count : int
        Number of ships and buoys; there are fewer where there is no space for them.
    seed : int
        Seed of the configuration.
    land_fraction : np.ndarray
        From 0 to 1, ``(lat, lon)`` on ``grid``.
    grid : Grid
        A grid with rows on the poles.

    Returns
    -------
    Vessels
        The network.
    """
    rng = generator(seed, source, "network")
    lat, lon = _places(rng, CANDIDATES * count)
    size = len(lat)
    buoy = rng.random(size) < 0.3
    reach = np.where(
        buoy[:, None],
        rng.uniform(0.1, 0.8, (size, 2)),
        rng.uniform([0.5, 3.0], [8.0, 15.0], (size, 2)),
    )
    period = np.where(buoy, rng.uniform(40.0, 90.0, size), rng.uniform(25.0, 40.0, size))
    phase = rng.uniform(0.0, 2.0 * np.pi, (size, 2))
    vessels = Vessels(np.empty(size, object), buoy, lat, lon, reach, period, phase)
    angle = np.linspace(0.0, 1.0, 60, endpoint=False)[:, None] * period * _DAY
    # sixty places along each track, over one period
    along = [
        lat + reach[:, 0] * np.sin(2.0 * np.pi * angle / _DAY / period + phase[:, 0]),
        lon + reach[:, 1] * np.sin(2.0 * np.pi * angle / _DAY / period + phase[:, 1]),
    ]
    # beyond there is ice
    wet = (np.abs(along[0]) < 70.0).all(axis=0)
    wet[wet] = (bilinear(land_fraction, grid, along[0][:, wet], along[1][:, wet]) < 0.1).all(axis=0)
    members = []
    for kind, share in ((False, count - count // 2), (True, count // 2)):
        rows = np.flatnonzero(wet & (buoy == kind))
        weight = (
            np.ones(len(rows)) if kind else 0.2 + np.exp(-0.5 * ((lat[rows] - 40.0) / 15.0) ** 2)
        )
        members.append(rows[_apart(lat[rows], lon[rows], weight, share, rng)])
    members = np.concatenate(members)
    names = np.array(
        [f"{4_400_001 + i}" if drifts else f"SIM{i:04d}" for i, drifts in enumerate(buoy[members])]
    )
    return Vessels(
        names,
        *(
            getattr(vessels, name)[members]
            for name in ("buoy", "lat", "lon", "reach", "period", "phase")
        ),
    )
