"""What the rules of the archive stage look up: segments, dates, addresses."""

from fuxiflow.archive import settings

ARCHIVES = settings.load()
ARCHIVE_TRAINING = CONFIG.segments(CONFIG.periods.training)
ARCHIVE_TEST = CONFIG.segments(CONFIG.periods.test)
ARCHIVE_VERIFICATION = CONFIG.segments(CONFIG.verification_period)
ARCHIVE_OBSERVED = sorted(
    {
        *CONFIG.segments(CONFIG.periods.observations),
        *CONFIG.segments(CONFIG.cycling_period),
    }
)


def archive_dates(wildcards):
    """First and last day of a segment that are used: of training, or from the cold start on."""
    training = wildcards.segment in ARCHIVE_TRAINING
    period = CONFIG.periods.training if training else CONFIG.verification_period
    return dates(period, wildcards.segment)


def archive_forecast_dates(wildcards):
    """First and last day of a segment that forecasts are verified from, or none."""
    tested = wildcards.segment in ARCHIVE_TEST
    return dates(CONFIG.periods.test, wildcards.segment) if tested else []


def archive_of_source(wildcards):
    """Where the granules of a source are."""
    return ARCHIVES.source(wildcards.source).model_dump()
