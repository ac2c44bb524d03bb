"""Fill the raw store with what a configuration needs and no manifest covers."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from datetime import date
from functools import cache
from pathlib import Path

import requests

from fuxiflow.archive import adopting, era5, era5_zarr, orders
from fuxiflow.archive.granules import granule_downloads
from fuxiflow.archive.mirrors_of_stores import mirror_orders
from fuxiflow.archive.ncep import ncep_downloads
from fuxiflow.archive.needs import BEST_TRACKS, INVARIANTS, WHOLE, Need
from fuxiflow.archive.nnja_ai import nnja_ai_downloads
from fuxiflow.archive.occultations import occultation_downloads
from fuxiflow.archive.orders import Order
from fuxiflow.archive.raw_store import ALL_DAYS, MonthFolder, now_text
from fuxiflow.archive.retries import Absent, DownloadError
from fuxiflow.archive.shared_files import linked_or_fetched, products_of_same_files
from fuxiflow.config.archives import Archives
from fuxiflow.progress import Progress
from fuxiflow.storage import raw_files

WORKERS = {"era5": 1, "gfs": 4}
"""Downloads at once: the Climate Data Store queues a user's requests anyway."""
SOURCE_WORKERS = 8
STORE_WORKERS = 3
"""Files at once of a Zarr store of ERA5: some hundred MB of memory each at 0.25 degrees."""
SOURCE_DOWNLOADS = {
    "granules": granule_downloads,
    "nnja_ai": nnja_ai_downloads,
    "gnssro": occultation_downloads,
    "ncep": ncep_downloads,
}
"""By layout of an archive: yields what it has of a day, of session, archive and day."""
_local = threading.local()


def _session() -> requests.Session:
    """Return the session of this thread, as sessions are not thread-safe."""
    if not hasattr(_local, "session"):
        _local.session = requests.Session()
    return _local.session


def fill(
    folder: MonthFolder, to_load: Iterable[Order], log: logging.Logger, workers: int | None = None
) -> None:
    """Load files into a folder of the store, and list each as soon as it is there.

    Files that lie whole in the folder, from a process that was killed, are listed and not loaded.
    What the archive lacks is logged and noted; the same address is not asked for it again.

    Parameters
    ----------
    folder : MonthFolder
        The folder, held by this process.
    to_load : iterable of Order
        The files.
    log : logging.Logger
        Takes progress and warnings.
    workers : int, optional
        Downloads at once; by default as many as the product's archive is asked for.

    Raises
    ------
    DownloadError
        When a download fails for good; what was loaded until then is in the manifest.
    """
    to_load = [order for order in to_load if not folder.lacks(order.name, order.origin)]
    if not to_load:
        return
    folder.require_writable()
    progress = Progress(len(to_load), f"{folder.product} {folder.month}", log)
    lock = threading.Lock()

    def load(order: Order) -> None:
        there = folder.path / order.name
        if not there.exists():
            loaded = folder.partial / order.name
            loaded.parent.mkdir(parents=True, exist_ok=True)
            try:
                fetched = order.download(_session(), loaded)
            except Absent as error:
                log.warning("the archive has no %s", error)
                with lock:
                    folder.note_absent(order.name, order.origin)
                    progress.step()
                return
        with lock:
            if there.exists():
                folder.list_file(order.name, order.origin, order.covered_by(there))
            else:
                folder.take_in(order.name, fetched, order.covered_by(fetched.path))
            folder.save(at_once=False)
            progress.step()

    workers = workers or WORKERS.get(folder.product, SOURCE_WORKERS)
    with ThreadPoolExecutor(workers) as pool:
        try:
            for done in as_completed([pool.submit(load, order) for order in to_load]):
                done.result()
        finally:
            # those that run come to their end and are listed too
            pool.shutdown(cancel_futures=True)
            folder.save()


def fetch_need(need: Need, store: Path, archives: Archives, log: logging.Logger) -> None:
    """Load what is needed of a product and segment and no manifest covers.

    Files that lie in the store without a manifest, or with one of old, are adopted first.

    Parameters
    ----------
    need : Need
        Product, segment, days and fields.
    store : Path
        The raw store.
    archives : Archives
        Addresses.
    log : logging.Logger
        Takes progress and warnings.

    Raises
    ------
    FileNotFoundError
        When no archive has any of it.
    DownloadError
        When a download fails for good; what was loaded until then is in the manifest.
    """
    if need.idle:
        log.info("%s %s: no platform flew, nothing is asked for", need.product, need.segment)
        _adopt_alone(need, store, log)
        return
    with ExitStack() as stack:
        folders = {}
        for month in need.months:
            folders[month] = MonthFolder(store, need.product, month)
            stack.enter_context(folders[month].locked())
            _adopt_what_is_there(folders[month], log)
            folders[month].drop_lost(
                has_archive=bool(need.address)
                or need.product in ("era5", "gfs", BEST_TRACKS, *archives.sources)
            )
        if need.product == "era5":
            _fetch_era5(need, folders, archives, log)
        elif need.product == "gfs":
            _fetch_gfs(need, folders, archives, log)
        elif need.product == BEST_TRACKS:
            _fetch_best_tracks(folders[WHOLE], archives, log)
        elif need.segment == WHOLE:
            _fetch_store(need, folders[WHOLE], log)
        else:
            _fetch_source(need, folders, archives, log)
        for folder in folders.values():
            _name_unlisted(folder, log)


def _fetch_best_tracks(folder: MonthFolder, archives: Archives, log: logging.Logger) -> None:
    """Fetch IBTrACS.

    Parameters
    ----------
    folder : MonthFolder
        Its folder.
    archives : Archives
        Addresses.
    log : logging.Logger
        Takes progress.
    """
    from fuxiflow.archive.ibtracs import fill_best_tracks  # which fills folders by this module

    # a file that was brought is as good
    if archives.ibtracs is not None and not folder.manifest.files:
        fill_best_tracks(folder, archives.ibtracs, log)


def _adopt_alone(need: Need, store: Path, log: logging.Logger) -> None:
    """Adopt what lies in the folders of a segment that nothing is asked for.

    Parameters
    ----------
    need : Need
        The segment.
    store : Path
        The raw store.
    log : logging.Logger
        Takes what is adopted.
    """
    for month in need.months:
        folder = MonthFolder(store, need.product, month)
        if folder.path.is_dir():
            with folder.locked():
                _adopt_what_is_there(folder, log)
                _name_unlisted(folder, log)


def _adopt_what_is_there(folder: MonthFolder, log: logging.Logger) -> None:
    """Adopt a folder that has no manifest, or one of old."""
    _link_invariants(folder)
    if folder.path.is_dir() and not folder.is_listed:
        names = adopting.adopt_month(folder)
        log.info(
            "%s: %d files adopted, which had no manifest%s",
            folder.path,
            len(names),
            "" if folder.manifest.files else ": an empty folder says that the source was out",
        )


def _name_unlisted(folder: MonthFolder, log: logging.Logger) -> None:
    """Name files that were put into a folder after it was adopted."""
    if folder.path.is_dir() and (names := folder.unlisted()):
        log.warning(
            "%s: %d files are not in its manifest and not used, first: %s; to use them run "
            "'fuxiflow adopt %s'",
            folder.path,
            len(names),
            names[0],
            folder.path,
        )


def _link_invariants(folder: MonthFolder) -> None:
    """Link ERA5's invariants of old, a file beside the months, into their folder."""
    of_old = folder.path.with_suffix(".grib")
    if folder.month == INVARIANTS and of_old.is_file() and not folder.path.exists():
        adopting.bring_in(of_old, folder)


def _covers(folders: Iterable[MonthFolder]) -> list[dict]:
    """Return what the files of folders cover."""
    return [entry.covers for folder in folders for entry in folder.manifest.files.values()]


def _fill_months(
    folders: dict[str, MonthFolder],
    listed: Iterable[Order],
    need: Need,
    log: logging.Logger,
    workers: int | None = None,
) -> None:
    """Load files into the folders of the months that they begin in.

    Parameters
    ----------
    folders : dict
        The folders of the months, held by this process.
    listed : iterable of Order
        The files; each covers days.
    need : Need
        What they are asked for.
    log : logging.Logger
        Takes progress and warnings.
    workers : int, optional
        Downloads at once.
    """
    by_month: dict[str, list[Order]] = {month: [] for month in folders}
    for order in listed:
        # the evening before the first day belongs to it
        day = max(order.covers["days"][0], need.days[0])
        by_month[day[:7]].append(order)
    for month, of_month in by_month.items():
        fill(folders[month], of_month, log, workers)


def _fetch_era5(
    need: Need, folders: dict[str, MonthFolder], archives: Archives, log: logging.Logger
) -> None:
    """Fetch ERA5: of all that is lacking, month by month.

    Parameters
    ----------
    need : Need
        Days and fields.
    folders : dict
        The folders of its months, held by this process.
    archives : Archives
        Addresses.
    log : logging.Logger
        Takes progress and warnings.
    """
    if archives.era5.store_url:
        _fetch_era5_store(need, folders, archives.era5.store_url, log)
        return

    # a client is made, and its key needed, only where something is lacking
    @cache
    def client():
        return era5.client(log)

    if need.segment == INVARIANTS:
        folder = folders[INVARIANTS]
        if not folder.manifest.files:
            fill(folder, [orders.invariants_order(client)], log)
        return
    covers = _covers(folders.values())
    per_request = archives.era5.days_per_request
    _fill_months(folders, orders.era5_orders(need, covers, per_request, client), need, log)


def _fetch_era5_store(
    need: Need, folders: dict[str, MonthFolder], url: str, log: logging.Logger
) -> None:
    """Fetch ERA5 from a public Zarr store, which is opened only where something is lacking.

    Parameters
    ----------
    need : Need
        Days and fields.
    folders : dict
        The folders of its months, held by this process.
    url : str
        Address of the store.
    log : logging.Logger
        Takes progress and warnings.

    Raises
    ------
    DownloadError
        When days are needed that the store does not hold; what it has is loaded before.
    """
    if need.segment == INVARIANTS:
        folder = folders[INVARIANTS]
        if not folder.manifest.files:
            store = era5_zarr.Era5Zarr(_session(), url)
            fill(folder, [era5_zarr.store_invariants_order(store)], log)
        return
    lacking = era5_zarr.lacking_fields(need, _covers(folders.values()), url)
    if not any(lacking.values()):
        return
    store = era5_zarr.Era5Zarr(_session(), url)
    outside = [day for day, fields in lacking.items() if fields and not store.holds(day)]
    lacking |= dict.fromkeys(outside, frozenset())
    listed = era5_zarr.store_orders(store, lacking)
    _fill_months(folders, listed, need, log, STORE_WORKERS)
    if outside:
        raise DownloadError(store.out_of_range(outside))
    _require_some(need, folders.values(), url)


def _fetch_store(need: Need, folder: MonthFolder, log: logging.Logger) -> None:
    """Mirror what is needed of a public store; what was wholly fetched is not looked up again.

    Parameters
    ----------
    need : Need
        Address, days and fields.
    folder : MonthFolder
        Its folder, held by this process.
    log : logging.Logger
        Takes progress and warnings.

    Raises
    ------
    DownloadError
        When the store is not there, has nothing of it, or a download fails for good.
    """
    key = orders.short_digest(need.parameters())
    complete = folder.manifest.complete
    enough = complete.get(key, {}).get("files", 0)
    if ALL_DAYS in complete or 0 < enough <= len(folder.manifest.files):
        return
    listed = list(mirror_orders(_session(), need))
    fill(folder, [order for order in listed if order.name not in folder.manifest.files], log)
    files = len(folder.manifest.files)
    complete[key] = {"asked": now_text(), "origin": need.address, "files": files}
    folder.save()


def _fetch_gfs(
    need: Need, folders: dict[str, MonthFolder], archives: Archives, log: logging.Logger
) -> None:
    """Fetch GFS: of all that is lacking, month by month.

    Parameters
    ----------
    need : Need
        Days and fields.
    folders : dict
        The folders of its months, held by this process.
    archives : Archives
        Addresses.
    log : logging.Logger
        Takes progress and warnings.
    """
    taken = [name for folder in folders.values() for name in folder.manifest.files]
    covers = _covers(folders.values())
    _fill_months(folders, orders.gfs_orders(need, covers, taken, archives.gfs), need, log)
    _require_some(need, folders.values(), archives.gfs.url)


def _fetch_source(
    need: Need, folders: dict[str, MonthFolder], archives: Archives, log: logging.Logger
) -> None:
    """Fetch the files of a source day by day; days that were listed are not listed again.

    Parameters
    ----------
    need : Need
        Days and fields.
    folders : dict
        The folders of its months, held by this process.
    archives : Archives
        Addresses.
    log : logging.Logger
        Takes progress and warnings.
    """
    archive = archives.sources.get(need.product)
    same = products_of_same_files(archives, need.product) if archive else []
    for month, folder in folders.items():
        if ALL_DAYS in folder.manifest.complete:
            continue
        if archive is None:
            if folder.is_listed:
                continue
            raise FileNotFoundError(
                f"{folder.path}: no archive is known for {need.product}; bring its files there"
            )
        lacking_days = [
            day for day in _days_of(need, month) if str(day) not in folder.manifest.complete
        ]
        store = folder.path.parents[1]
        others = [MonthFolder(store, product, month) for product in same]
        for day in lacking_days:
            listed = dict(SOURCE_DOWNLOADS[archive.layout](_session(), archive, day))
            lacking = [name for name in listed if name not in folder.manifest.files]
            downloads = {name: linked_or_fetched(name, listed[name], others) for name in lacking}
            fill(
                folder,
                [_granule_order(archive.url, name, day, one) for name, one in downloads.items()],
                log,
            )
            if listed:
                asked = {"asked": now_text(), "origin": archive.url, "files": len(listed)}
                folder.manifest.complete[str(day)] = asked
        if lacking_days and folder.manifest.files:
            folder.save()
    if archive is not None:
        _require_some(need, folders.values(), archive.url)


def _granule_order(url: str, name: str, day: date, download: Callable) -> Order:
    """Return the order of one granule.

    Parameters
    ----------
    url : str
        Address of the archive.
    name : str
        Name of the file.
    day : date
        The day that the archive lists it under.
    download : callable
        Loads it.

    Returns
    -------
    Order
        Its name is the archive's.
    """
    return Order(name, f"{url}: {name}", {"days": [str(day)]}, download)


def _days_of(need: Need, month: str) -> Iterator[date]:
    """Yield the days of a need that lie in a month."""
    first, last = map(date.fromisoformat, need.days)
    for number in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(number)
        if f"{day:%Y-%m}" == month:
            yield day


def _require_some(need: Need, folders: Iterable[MonthFolder], url: str) -> None:
    """Raise FileNotFoundError where an archive has nothing at all of a segment.

    Parameters
    ----------
    need : Need
        What was asked for.
    folders : iterable of MonthFolder
        The folders of its months.
    url : str
        Address of the archive.
    """
    folders = list(folders)
    if any(folder.manifest.files or ALL_DAYS in folder.manifest.complete for folder in folders):
        return
    raise FileNotFoundError(
        f"{need.product} {need.days[0]} to {need.days[1]}: {url} has none of the files; check its "
        f"address in config/archive.yaml, or make the folder {folders[0].path} where the source "
        f"was out"
    )


def write_need_receipt(path: Path, need: Need, store: Path) -> dict:
    """Write the receipt of a need as the store is now, and return its content.

    Parameters
    ----------
    path : Path
        The file to write.
    need : Need
        Product, segment, days and fields.
    store : Path
        The raw store.

    Returns
    -------
    dict
        See :func:`fuxiflow.storage.raw_files.write_receipt`.
    """
    folders = [Path(store) / need.product / month for month in need.months]
    return raw_files.write_receipt(
        path,
        need.product,
        need.segment,
        need.question,
        folders,
        reason="no platform flew" if need.idle else "",
    )
