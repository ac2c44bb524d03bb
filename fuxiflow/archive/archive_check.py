"""Check the archives that a configuration uses against what is expected of them, in two minutes.

Each provider is asked in a thread of its own, so that one that fails, or does not answer, keeps no
other from being checked. Nothing is kept.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from fuxiflow.archive import era5
from fuxiflow.archive.bucket_findings import check_granules, check_occultations
from fuxiflow.archive.findings import HurriedSession, ProviderReport
from fuxiflow.archive.forecast_findings import check_gfs, check_open_data
from fuxiflow.archive.ibtracs import check_best_tracks, file_address
from fuxiflow.archive.ncep_findings import check_ncep
from fuxiflow.archive.needs import BEST_TRACKS, INVARIANTS, WHOLE, Need, all_needs
from fuxiflow.archive.nnja_findings import check_nnja_ai
from fuxiflow.archive.open_data import OPEN_DATA
from fuxiflow.archive.retries import Absent
from fuxiflow.archive.store_findings import (
    check_climatology_store,
    check_era5_store,
    check_system_store,
)
from fuxiflow.archive.transfer import get_whole
from fuxiflow.config.archives import Archives, BestTrackArchive, load_archives
from fuxiflow.config.configuration import load_configuration

LIMIT = 110.0
"""Seconds after which what has not come is given up."""
SOURCE_CHECKS = {
    "granules": check_granules,
    "nnja_ai": check_nnja_ai,
    "gnssro": check_occultations,
    "ncep": check_ncep,
}
"""By layout of an archive: compares it, of session, report, archive and needed days."""
STORE_OF_CDS = "https://cds.climate.copernicus.eu/api"
Check = Callable[[requests.Session, ProviderReport], None]


@dataclass(frozen=True)
class ArchiveTask:
    """One provider to check; ``check`` is None where nobody is asked, and ``unasked`` says why."""

    name: str
    address: str
    check: Check | None
    unasked: str = ""


def archive_tasks(
    archives: Archives,
    needs: Iterable[Need] | None = None,
    names: Mapping[str, str] | None = None,
) -> list[ArchiveTask]:
    """Return the checks of all that is needed, or of all archives that there are.

    Parameters
    ----------
    archives : Archives
        Addresses.
    needs : iterable of Need, optional
        What a configuration needs; by default all archives are checked.
    names : mapping, optional
        Names of public stores by address; by default the names of their products.

    Returns
    -------
    list of ArchiveTask
        One for each provider.
    """
    if needs is None:
        stores = [name for name in ("wb2", "arco") if getattr(archives.era5, name)]
        tasks = [_era5_task(archives, name, None) for name in (*stores, "cds")]
        tasks.append(_gfs_task(archives, None))
        if archives.ibtracs:
            tasks.append(_best_track_task(archives.ibtracs))
        if forecasts := archives.ecmwf_open_data:
            tasks.append(
                ArchiveTask(
                    OPEN_DATA,
                    forecasts.url,
                    lambda *given: check_open_data(*given, forecasts),
                )
            )
        return tasks + [_source_task(archives, name, None) for name in archives.sources]
    needs = list(needs)
    tasks = []
    for product in dict.fromkeys(need.product for need in needs):
        of_product = [need for need in needs if need.product == product]
        days = _days_of(of_product)
        if product == "era5":
            tasks.append(_era5_task(archives, archives.era5.provider, days))
        elif product == "gfs":
            tasks.append(_gfs_task(archives, days))
        elif product == BEST_TRACKS:
            tasks.append(_best_track_task(archives.ibtracs))
        elif of_product[0].segment == WHOLE:
            name = (names or {}).get(of_product[0].address, product)
            tasks.append(_store_task(name, of_product[0]))
        else:
            tasks.append(_source_task(archives, product, days))
    return tasks


def _best_track_task(archive: BestTrackArchive) -> ArchiveTask:
    """Return the check of IBTrACS."""
    address = file_address(archive)
    return ArchiveTask(BEST_TRACKS, address, lambda *given: check_best_tracks(*given, archive))


def _days_of(needs: Sequence[Need]) -> tuple[str, str] | None:
    """Return the first and last day that are needed; None where nothing flew."""
    days = [need.days for need in needs if need.segment != INVARIANTS and not need.idle]
    return (min(first for first, _ in days), max(last for _, last in days)) if days else None


def _era5_task(archives: Archives, provider: str, days: tuple[str, str] | None) -> ArchiveTask:
    """Return the check of a provider of ERA5.

    Parameters
    ----------
    archives : Archives
        Addresses.
    provider : str
        ``cds``, ``wb2`` or ``arco``.
    days : tuple of str or None
        First and last day that are needed.

    Returns
    -------
    ArchiveTask
        Its check.
    """
    name = f"era5 ({provider})"
    if provider == "cds":
        return ArchiveTask(name, STORE_OF_CDS, lambda *given: _check_cds(*given, days))
    url = getattr(archives.era5, provider).url
    return ArchiveTask(name, url, lambda *given: check_era5_store(*given, provider, url, days))


def _gfs_task(archives: Archives, days: tuple[str, str] | None) -> ArchiveTask:
    archive = archives.gfs
    return ArchiveTask("gfs", archive.url, lambda *given: check_gfs(*given, archive, days))


def _store_task(name: str, need: Need) -> ArchiveTask:
    check = check_climatology_store if need.is_climatology else check_system_store
    return ArchiveTask(name, need.address, lambda *given: check(*given, need))


def _source_task(archives: Archives, name: str, days: tuple[str, str] | None) -> ArchiveTask:
    """Return the check of a source's archive.

    Parameters
    ----------
    archives : Archives
        Addresses.
    name : str
        The source.
    days : tuple of str or None
        First and last day that are needed.

    Returns
    -------
    ArchiveTask
        Without a check where its files are brought by hand.
    """
    archive = archives.sources.get(name)
    provider = archives.providers.get(name)
    if archive is None:
        account = f", account: {provider.account}" if provider else ""
        address = provider.address if provider else "no address is known"
        return ArchiveTask(name, address, None, f"brought by hand{account}")
    check = SOURCE_CHECKS.get(archive.layout)
    if check is None:
        return ArchiveTask(name, archive.url, None, f"layout {archive.layout} has no check")
    return ArchiveTask(name, archive.url, lambda *given: check(*given, archive, days))


def _check_cds(
    session: requests.Session, report: ProviderReport, days: tuple[str, str] | None
) -> None:
    """See whether the Climate Data Store has both data sets and takes the user's key.

    Parameters
    ----------
    session : requests.Session
        Session of the calling thread.
    report : ProviderReport
        Takes the findings.
    days : tuple of str or None
        First and last day that are needed.
    """
    try:
        report.address = era5.read_access().url
        era5.check_credentials()
        report.expect("a key, and both licences accepted")
    except era5.CredentialsError as error:
        report.expect("a key, and both licences accepted", str(error))
    for data_set in (era5.UPPER_AIR, era5.SINGLE):
        url = f"{report.address}/catalogue/v1/collections/{data_set}"
        try:
            entry = get_whole(session, url).json()
        except Absent:
            report.expect(f"data set {data_set}", "it is not there")
            continue
        report.expect(f"data set {data_set}", "" if entry.get("id") == data_set else "another")
        interval = entry.get("extent", {}).get("temporal", {}).get("interval") or [[None, None]]
        first, last = (str(one)[:10] if one else "" for one in interval[0])
        report.newest_day = max(report.newest_day, last)
        if days and first and last:
            outside = not first <= days[0] or not days[1] <= last
            report.expect(
                f"{data_set}: days {days[0]} to {days[1]}",
                f"it has {first} to {last}" if outside else "",
            )


def run_checks(tasks: Sequence[ArchiveTask], limit: float = LIMIT) -> list[ProviderReport]:
    """Check providers, all at once.

    Parameters
    ----------
    tasks : sequence of ArchiveTask
        What to check.
    limit : float
        Seconds after which a check that has not ended is given up.

    Returns
    -------
    list of ProviderReport
        In the order of the tasks.
    """
    deadline = time.monotonic() + limit
    running = []
    for task in tasks:
        report = ProviderReport(task.name, task.address, unasked=task.unasked)
        session = HurriedSession(deadline)
        # a thread that hangs is left behind
        thread = threading.Thread(target=_run, args=(task.check, session, report), daemon=True)
        thread.start()
        running.append((thread, session, report))
    for thread, session, report in running:
        thread.join(max(deadline - time.monotonic(), 0))
        if thread.is_alive():
            report.failure = f"not finished after {limit:.0f} s"
        report.reachable = session.answers > 0
    return [report for _, _, report in running]


def _run(check: Check | None, session: HurriedSession, report: ProviderReport) -> None:
    """Run a check; a failure is noted in its report.

    Parameters
    ----------
    check : callable or None
        The check.
    session : HurriedSession
        Its session.
    report : ProviderReport
        Takes what is seen.
    """
    if check is None:
        return
    try:
        check(session, report)
    except Absent as error:
        report.failure = f"{error}: there is none (status 404)"
    # whatever an archive answers, the others are checked
    except Exception as error:
        known_kind = isinstance(error, RuntimeError | ValueError | OSError)
        report.failure = str(error) if known_kind else repr(error)


def reports_table(reports: Sequence[ProviderReport]) -> str:
    """Return a table of providers, and below it what was compared of each."""
    rows = [("provider", "reachable", "as expected", "newest day")]
    rows += [(one.name, _reachable(one), _summary(one), one.newest_day or "-") for one in reports]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    for one in reports:
        lines += ["", f"{one.name}: {one.address}"]
        lines += [f"  {one.unasked}"] if one.unasked else []
        for finding in one.findings:
            word = "differs" if finding.differs else "other" if finding.difference else "ok"
            mark = "[U]" if finding.assumed else "   "
            more = f": {finding.difference}" if finding.difference else ""
            lines.append(f"  {word:7} {mark} {finding.expectation}{more}")
        short = one.failure.removeprefix(f"{one.address}/")
        lines += [f"  failed      {short}"] if short else []
    lines += [
        "",
        "[U]: assumed where no network was at hand, not seen before. other: not as expected, but "
        "what reads the archive does not rely on it.",
    ]
    return "\n".join(lines)


def _reachable(report: ProviderReport) -> str:
    return "-" if report.unasked else "yes" if report.reachable else "no"


def _summary(report: ProviderReport) -> str:
    if report.unasked:
        return "not asked"
    if not report.reachable:
        return "not reached"
    differing = sum(one.differs for one in report.findings)
    compared = f"{len(report.findings)} compared"
    if differing:
        return f"no: {differing} of {compared} differ" + (", broken off" * bool(report.failure))
    return f"broken off, {compared}" if report.failure else f"yes, {compared}"


def check_archives(paths: Sequence[Path], limit: float = LIMIT) -> int:
    """Check the archives that a configuration uses, or all, and print a table.

    Parameters
    ----------
    paths : sequence of Path
        The configuration, and what is laid over it; all archives are checked where there is none.
    limit : float
        Seconds after which a check that has not ended is given up.

    Returns
    -------
    int
        1 where something differs or fails, else 0.

    Raises
    ------
    ValueError
        When the configuration is of the embedded world.
    """
    needs, archives, names = None, load_archives(), {}
    if paths:
        config = load_configuration(*paths)
        if config.kind != "archive":
            raise ValueError(
                f"{', '.join(map(str, paths))}: kind is {config.kind}: its raw files are made, and "
                "no archive is asked"
            )
        needs, archives = all_needs(config), load_archives(changes=config.archives)
        for name, system in config.verification.systems.items():
            names |= {
                system.forecasts: f"{name} (forecasts)",
                system.analyses: f"{name} (analyses)",
            }
        names |= {config.verification.climatology: "climatology"}
    reports = run_checks(archive_tasks(archives, needs, names), limit)
    print(reports_table(reports))
    return int(any(not one.unasked and not one.is_as_expected for one in reports))
