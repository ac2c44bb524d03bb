"""Lookups of the rules of the cyclones stage: the days that best tracks are of."""

from datetime import timedelta

from fuxiflow.config.base import Period


def cyclones_period():
    """Return the days of storms: those of the test, and on to the last lead that is tracked."""
    reach = timedelta(hours=CONFIG.cyclones.max_lead_hours)
    return Period(start=CONFIG.periods.test.start, end=CONFIG.periods.test.end + reach)
