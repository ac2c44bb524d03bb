"""Settings of the assimilator ``variational``: 3D-Var with first guess at appropriate time."""

from typing import Annotated

from pydantic import Field

from fuxiflow.config.base import Positive, Section


class VariationalFit(Section):
    """Size and fit of the covariances of errors.

    See :mod:`fuxiflow.training.variational_fit`.
    """

    waves: Positive = 24
    """The largest zonal wavenumber of background errors."""
    vertical_modes: Positive = 48
    """Eigenvectors of the covariance between channels that background errors are made of."""
    rows: Positive = 60
    """Rows of latitude of background errors; grids with fewer latitudes have those."""
    rank: Positive = 300
    """Directions of each wavenumber that background errors have."""
    samples: Positive = 360
    """Forecasts of the training period whose errors are used."""
    lead_hours: int = Field(24, ge=6, multiple_of=6)
    """Length in hours of these forecasts, a multiple of 6."""
    taper_degrees: float = Field(20.0, gt=0)
    """Distance in latitude over which covariances of background errors are tapered."""

    @property
    def shape(self) -> dict[str, int]:
        """The arguments of :class:`fuxiflow.models.variational.BackgroundErrors`."""
        return {name: getattr(self, name) for name in ("waves", "vertical_modes", "rows", "rank")}

    def size(self, nlat: int) -> int:
        """Return the rows and columns of the matrix of a wavenumber, on ``nlat`` latitudes."""
        return min(self.rows, nlat) * self.vertical_modes

    def megabytes(self, nlat: int, nlon: int) -> float:
        """Return the size of the fitted background errors, in float32."""
        waves = min(self.waves, nlon // 2) + 1
        rank = min(self.rank, self.size(nlat))
        return 8 * waves * self.size(nlat) * rank / 1e6


class Variational(Section):
    """3D-Var of an experiment with ``assimilator: variational``.

    See :mod:`fuxiflow.models.variational`.
    """

    fit: VariationalFit = VariationalFit()
    """Covariances of errors, fitted once; a change of what follows fits nothing again."""
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
    iterations: Positive = 40
    """Most iterations of the minimisation."""
    tolerance: float = Field(0.01, gt=0, lt=1)
    """The minimisation ends when its gradient is below this share of the first one."""

    def inflation_of(self, source: str, *, sparse: bool) -> float:
        """Return the factor of the error variance of a source, ``sparse`` or of radiances."""
        return self.inflations.get(source, self.sparse_inflation if sparse else self.inflation)
