"""Settings of 3D-Var with first guess at appropriate time."""

from typing import Annotated

from pydantic import Field

from fuxiflow.config.base import Positive, Section
from fuxiflow.config.linear_fits import VariationalFit


class Variational(Section):
    """3D-Var, whose increment the trained assimilator starts from and adds to.

    See :mod:`fuxiflow.models.variational`.
    """

    fit: VariationalFit = VariationalFit()
    """Covariance of background errors."""
    error_factor: float = Field(0.6, gt=0)
    """Size of a background's errors relative to those of the forecasts of the fit."""
    inflation: float = Field(4.0, gt=0)
    """Factor of the error variance of radiances, as neighbouring footprints err alike."""
    sparse_inflation: float = Field(1.0, gt=0)
    """Factor of the error variance of reports, soundings and occultations, which lie apart."""
    inflations: dict[str, Annotated[float, Field(gt=0)]] = {}
    """By source, another factor of its error variance."""
    limit: float = Field(5.0, gt=0)
    """Largest departure from the first guess that is used, in its expected standard deviations."""
    iterations: Positive = 20
    """Most iterations of the minimisation."""
    tolerance: float = Field(0.05, gt=0, lt=1)
    """The minimisation ends when its gradient is below this share of the first one."""

    def inflation_of(self, source: str, *, sparse: bool) -> float:
        """Return the factor of the error variance of a source, ``sparse`` or of radiances."""
        return self.inflations.get(source, self.sparse_inflation if sparse else self.inflation)

    def seconds(self, nlat: int, nlon: int) -> float:
        """Return the seconds of one core that an increment takes.

        On the demonstration's 32 x 64 cells, with background errors of 92 MB, 0.15 s go into the
        observations, and 0.05 s in single precision into each of 7 iterations, which it takes to a
        tolerance of 0.05.
        """
        observations = 0.15 * nlat * nlon / 2048
        iterations = min(self.iterations, 7)
        return observations + iterations * 0.05 * self.fit.megabytes(nlat, nlon) / 92

    def megabytes(self, nlat: int, nlon: int) -> float:
        """Return the memory in MB of an increment's minimisation, beside that of the errors."""
        modes = self.fit.vertical_modes
        return 2 * 4 * nlat * nlon * modes * (modes + 8) / 1e6
