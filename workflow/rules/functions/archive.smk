"""Lookups of the rules of the archive stage: what is needed, and what is missing."""

import re

from fuxiflow.archive import needs


def raw_input(path):
    """Return a raw input: a folder of the embedded world, or the receipt of a segment's files.

    ``path`` is ``{product}/{segment}``. A receipt is small, so that Snakemake compares its content.
    """
    return raw(path) if CONFIG.kind == "embedded" else results(f"archive/{path}.json")


def archive_products():
    """Return a pattern of the products that the archives have for this configuration."""
    fixed = ["era5", "gfs", needs.BEST_TRACKS]
    return "|".join([*fixed, *CONFIG.sources, *map(re.escape, needs.store_needs(CONFIG))])


def archive_need(wildcards):
    """Return the days and fields of a segment that are needed of a product.

    Neither code nor addresses nor sizes of requests are among them: they change no raw file.
    """
    return needs.need_of(CONFIG, wildcards.product, wildcards.segment).parameters()


def archive_addresses(wildcards):
    """Return what a run changes of the archives, and the address of a public store."""
    need = needs.need_of(CONFIG, wildcards.product, wildcards.segment)
    return SimpleNamespace(archives=CONFIG.archives, address=need.address)


def archive_receipts():
    """Return the receipts of all that the configuration needs."""
    return [raw_input(f"{need.product}/{need.segment}") for need in needs.all_needs(CONFIG)]


def archive_check(jobs):
    """Stop a run before its first job where one of ``jobs`` could not succeed.

    Without a key that the store takes nothing that needs ERA5 could follow, and files that no
    archive gives away without an account must be there.
    """
    planned = [
        needs.need_of(CONFIG, job.wildcards.product, job.wildcards.segment)
        for job in jobs
        if job.rule.name == "archive_fetch"
    ]
    if not planned:
        return
    from fuxiflow.archive.checks import check_needs
    from fuxiflow.config.archives import load_archives

    try:
        check_needs(planned, archives=load_archives(changes=CONFIG.archives))
    except (RuntimeError, ValueError) as error:
        raise WorkflowError(str(error))
