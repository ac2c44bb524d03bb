"""Errors of observations that are correlated in space, in time and between channels."""

from collections.abc import Iterator

import numpy as np

from fuxiflow.config.world import Radiances
from fuxiflow.observations.orbits import EPOCH
from fuxiflow.physics import EARTH_RADIUS

WAVES = 256
"""Waves that a random field is a sum of."""
POINTS = 4096
"""Points that are evaluated at once."""


class CorrelatedErrors:
    """Gaussian random fields on the sphere and in time, one a channel, of unit variance.

    Correlations fall as exp(-(d/L)^2/2 - (t/T)^2/2) with the chord d and the time t between two
    points. A field is a sum of waves of random wave vectors and amplitudes (Rahimi & Recht, 2007,
    Random features for large-scale kernel machines), so that it is known at any point without
    others: it depends neither on the days asked for nor on their order.
    """

    def __init__(self, channels: int, options: Radiances, random: np.random.Generator):
        """Draw the waves.

        Parameters
        ----------
        channels : int
            Number of channels.
        options : Radiances
            Lengths in space and time, and the correlation between channels.
        random : np.random.Generator
            Random numbers; the same ones give the same fields.
        """
        length = EARTH_RADIUS / options.length_km
        scales = np.array([length, length, length, 1.0 / options.hours])
        self._vectors = random.standard_normal((4, WAVES)) * scales[:, None]
        shared = random.standard_normal((2 * WAVES, 1))
        own = random.standard_normal((2 * WAVES, channels))
        correlation = options.channel_correlation
        amplitudes = np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * own
        self._amplitudes = amplitudes / np.sqrt(WAVES)

    def at(self, lat: np.ndarray, lon: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Return the errors at points.

        Parameters
        ----------
        lat, lon : np.ndarray
            In degrees, ``(n,)``.
        time : np.ndarray
            UTC, datetime64, ``(n,)``.

        Returns
        -------
        np.ndarray
            Errors of unit variance, ``(n, channel)``, float32.
        """
        return np.concatenate(list(self._parts(np.radians(lat), np.radians(lon), time)))

    def _parts(self, lat, lon, time) -> Iterator[np.ndarray]:
        """Yield the errors of :data:`POINTS` points at once.

        Parameters
        ----------
        lat, lon : np.ndarray
            In radians, ``(n,)``.
        time : np.ndarray
            UTC, datetime64, ``(n,)``.

        Yields
        ------
        np.ndarray
            Errors ``(points, channel)``, float32.
        """
        hours = (time - EPOCH) / np.timedelta64(1, "h")
        for first in range(0, max(len(lat), 1), POINTS):
            part = slice(first, first + POINTS)
            phi, theta = lat[part], lon[part]
            points = np.stack(
                [
                    np.cos(phi) * np.cos(theta),
                    np.cos(phi) * np.sin(theta),
                    np.sin(phi),
                    hours[part],
                ],
                axis=1,
            )
            phase = points @ self._vectors
            waves = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
            yield (waves @ self._amplitudes).astype(np.float32)
