"""What the rules of the archive stage look up: segments, dates, addresses."""

from fuxiflow.config import archives

ARCHIVES = archives.load_archives()
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
    """Where the granules of a source are; None of one whose files somebody has to bring."""
    known = wildcards.source in ARCHIVES.sources
    return ARCHIVES.source(wildcards.source).model_dump() if known else None


def archive_check(jobs):
    """Stop a run before its first job where one of ``jobs`` could not succeed: without a key nothing that needs ERA5
    could follow, and files that no archive has must be there."""
    from fuxiflow.archive.era5 import CredentialsError, require_key

    if any(job.rule.name in ("archive_era5", "archive_invariants") for job in jobs):
        try:
            require_key()
        except CredentialsError as error:
            raise WorkflowError(str(error))
    absent = [
        job for job in jobs if job.rule.name == "archive_source" and job.params.archive is None
    ]
    if absent:
        names = ", ".join(sorted({job.wildcards.source for job in absent}))
        raise WorkflowError(
            f"no archive is known for {names}: bring the agencies' files to {RAW}/{{source}}/{{segment}}/ ("
            f"{absent[0].output[0]} is one of {len(absent)} that are not there), add an address to config/archive.yaml, "
            f"or leave these sources out of the configuration"
        )
