"""Settings of what is fitted to forecasts and reanalysis by zonal wavenumber, and never trained."""

from pydantic import Field

from fuxiflow.config.base import Positive, Section


class SpectralFit(Section):
    """Size of a matrix for each zonal wavenumber, and the forecasts that it is fitted to.

    See :mod:`fuxiflow.models.spectral_basis` and :mod:`fuxiflow.training.spectral_samples`.
    """

    waves: Positive = 24
    """The largest zonal wavenumber that has a matrix."""
    vertical_modes: Positive = 48
    """Eigenvectors of the covariance between channels that the matrices act on."""
    rows: Positive = 60
    """Rows of latitude that the matrices act on; grids with fewer latitudes have those."""
    rank: Positive = 300
    """Directions that are kept of each wavenumber."""
    samples: Positive = 360
    """Times of the training period whose forecasts, and states, are used."""
    lead_hours: int = Field(24, ge=6, multiple_of=6)
    """Length in hours of the forecasts whose errors are used, a multiple of 6."""

    def size(self, nlat: int) -> int:
        """Return the rows and columns of the matrix of a wavenumber, on ``nlat`` latitudes."""
        return min(self.rows, nlat) * self.vertical_modes

    def factor_mb(self, nlat: int, nlon: int) -> float:
        """Return the MB of one factor of all matrices, real and imaginary parts in float32."""
        waves = min(self.waves, nlon // 2) + 1
        rank = min(self.rank, self.size(nlat))
        return 8 * waves * self.size(nlat) * rank / 1e6

    def megabytes(self, nlat: int, nlon: int) -> float:
        """Return the size of what is fitted, in MB: one factor."""
        return self.factor_mb(nlat, nlon)


class FilterFit(SpectralFit):
    """Size and fit of the filter of backgrounds.

    See :mod:`fuxiflow.training.filter_fit`.
    """

    keep_small_scales: bool = False
    """Whether what the filter does not act on stays; else it becomes climatology.

    It stays on fine grids, whose smaller scales are forecast too."""
    climatology_shift_days: int = Field(0, ge=0)
    """Most days between a state and the day whose climatology its anomaly is from."""
    error_factor: float = Field(0.5, gt=0)
    """Size of a background's errors relative to those of the forecasts."""
    white_noise: float = Field(1.0, ge=0)
    """Uncorrelated noise, as a multiple of the mean variance of the errors."""
    floor: float = Field(0.01, gt=0)
    """Uncorrelated noise, as a share of the mean variance of the anomalies."""
    anomaly_taper_degrees: float = Field(25.0, gt=0)
    """Distance in latitude over which covariances of anomalies are tapered."""
    error_taper_degrees: float = Field(20.0, gt=0)
    """Distance in latitude over which covariances of errors are tapered."""

    @property
    def shape(self) -> dict[str, int | bool]:
        """The arguments of :class:`fuxiflow.models.background_filter.BackgroundFilter`."""
        names = ("waves", "vertical_modes", "rows", "rank", "keep_small_scales")
        return {name: getattr(self, name) for name in names}

    def megabytes(self, nlat: int, nlon: int) -> float:
        """Return the size of the fitted filter in MB: two factors."""
        return 2 * self.factor_mb(nlat, nlon)


class VariationalFit(SpectralFit):
    """Size and fit of the covariance of background errors of 3D-Var.

    See :mod:`fuxiflow.training.variational_fit`.
    """

    taper_degrees: float = Field(20.0, gt=0)
    """Distance in latitude over which covariances of background errors are tapered."""

    @property
    def shape(self) -> dict[str, int]:
        """The arguments of :class:`fuxiflow.models.error_covariances.BackgroundErrors`."""
        return {name: getattr(self, name) for name in ("waves", "vertical_modes", "rows", "rank")}
