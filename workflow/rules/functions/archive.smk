"""Lookups of the rules of the archive stage: dates and addresses."""

from fuxiflow.config import archives

ARCHIVES = archives.load_archives()


def archive_forecast_dates(wildcards):
    """Return the first and last day of a segment that forecasts are verified from, or none."""
    tested = wildcards.segment in CONFIG.segments(CONFIG.periods.test)
    return dates(CONFIG.periods.test, wildcards.segment) if tested else []


def archive_of_source(wildcards):
    """Return where the granules of a source are; None where somebody has to bring its files."""
    if wildcards.source not in ARCHIVES.sources:
        return None
    return ARCHIVES.source(wildcards.source).model_dump()


def archive_check(jobs):
    """Stop a run before its first job where one of ``jobs`` could not succeed.

    Without a key that the store takes nothing that needs ERA5 could follow, and files that no
    archive has must be there.
    """
    from fuxiflow.archive.era5 import CredentialsError, check_credentials

    if any(job.rule.name in ("archive_era5", "archive_invariants") for job in jobs):
        try:
            check_credentials()
        except CredentialsError as error:
            raise WorkflowError(str(error))
    absent = [
        job for job in jobs if job.rule.name == "archive_source" and job.params.archive is None
    ]
    if absent:
        names = ", ".join(sorted({job.wildcards.source for job in absent}))
        raise WorkflowError(
            f"no archive is known for {names}: bring the agencies' files to "
            f"{raw('{source}/{segment}/')} ({absent[0].output[0]} is one of {len(absent)} that are "
            f"not there), add an address to config/archive.yaml, or leave these sources out of the "
            f"configuration"
        )
