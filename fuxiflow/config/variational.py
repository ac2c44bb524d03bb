"""Settings of the assimilator ``variational``: 3D-Var with first guess at appropriate time."""

from typing import Annotated

from pydantic import Field

from fuxiflow.config.base import Positive, Section
from fuxiflow.config.linear_fits import VariationalFit


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
