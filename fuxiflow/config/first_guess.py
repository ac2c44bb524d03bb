"""Settings of the check of observations against the first guess of an experiment's cycle."""

from pydantic import Field

from fuxiflow.config.base import Positive, Section


class FirstGuessFit(Section):
    """Samples of departures that tell how large they are to be expected.

    See :mod:`fuxiflow.training.first_guess_fit`.
    """

    windows: Positive = 60
    """Windows of the observation period whose departures are used, drawn evenly."""
    lead_hours: int = Field(24, ge=6, multiple_of=6)
    """Length in hours of the forecasts that stand for backgrounds, a multiple of 6."""


class FirstGuess(Section):
    """The check of observations against the first guess, before each analysis of an experiment.

    See :mod:`fuxiflow.models.first_guess_check`.
    """

    limit: float = Field(5.0, gt=0)
    """Largest departure from the first guess that is used, in its expected standard deviations."""
    error_factor: float = Field(1.0, gt=0)
    """Size of a background's errors relative to those of the forecasts of the fit."""
    fit: FirstGuessFit = FirstGuessFit()
    """Expected departures, fitted once; a change of what stands above fits nothing again."""
