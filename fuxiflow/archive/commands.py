"""Fetch all that a configuration needs into the raw store, and verify all that is there."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from fuxiflow.archive.adopting import place_in_store, verify_month
from fuxiflow.archive.checks import missing_months, missing_report, needs_key
from fuxiflow.archive.era5 import check_credentials
from fuxiflow.archive.fetching import fetch_need
from fuxiflow.archive.needs import all_needs, narrowed
from fuxiflow.archive.raw_store import STORE, MonthFolder, month_folders
from fuxiflow.config.archives import load_archives
from fuxiflow.config.configuration import load_configuration

LOG = logging.getLogger("fuxiflow")


def fetch_all(
    paths: Sequence[Path], products: Iterable[str] = (), months: Iterable[str] = ()
) -> int:
    """Fetch what a configuration needs; what fails does not keep the rest from being fetched.

    Parameters
    ----------
    paths : sequence of Path
        The configuration, and what is laid over it.
    products : iterable of str
        ``era5``, ``gfs`` or names of sources; by default all.
    months : iterable of str
        Calendar months YYYY-MM; by default all.

    Returns
    -------
    int
        How many segments could not be fetched, 1 at least where files are missing: 0 is success.

    Raises
    ------
    ValueError
        When the configuration is of the embedded world, or needs no such product.
    CredentialsError
        Without a key for ERA5, where ERA5 is to be fetched.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    config = load_configuration(*paths)
    archives = load_archives(changes=config.archives)
    if config.kind != "archive":
        raise ValueError(
            f"{', '.join(map(str, paths))}: kind is {config.kind}: its raw files are made, not "
            f"fetched"
        )
    needs = list(narrowed(all_needs(config), products, months))
    if any(needs_key(need, STORE, archives) for need in needs):
        check_credentials()
    missing = missing_months(needs, STORE, archives)
    failures = []
    for need in needs:
        if set(need.months) & set(missing.get(need.product, ())):
            continue
        try:
            fetch_need(need, STORE, archives, LOG)
        except (RuntimeError, ValueError, OSError) as error:
            LOG.error("%s %s: %s", need.product, need.segment, error)
            failures.append(f"{need.product} {need.segment}")
    print(f"{len(needs)} segments asked for, {len(failures)} failed")
    if failures:
        print("failed:", ", ".join(failures))
    if missing:
        print(missing_report(missing, archives, STORE))
    return int(bool(failures or missing))


def verify_store(paths: Sequence[Path], store: Path = STORE) -> int:
    """Read the files of the store again, and print what is damaged, missing or not listed.

    Parameters
    ----------
    paths : sequence of Path
        Folders of months or products; all of the store where there is none.
    store : Path
        The raw store.

    Returns
    -------
    int
        1 where something is at fault, else 0.
    """
    places = [place_in_store(path, store) for path in paths] or [()]
    for path, place in zip(paths, places, strict=False):
        if not path.exists() or not (place or path.resolve() == store.resolve()):
            raise ValueError(f"{path}: no folder of {store}")
    files = faults = 0
    for product, month in month_folders(store):
        if any((product, month)[: len(place)] == place for place in places):
            folder = MonthFolder(store, product, month)
            files += len(folder.manifest.files)
            for name, words in verify_month(folder):
                faults += 1
                print(f"{folder.path / name}: {words}")
    print(f"{files} files in manifests, {faults} at fault")
    if faults:
        print(
            "What is damaged or missing: move the file away where it is there, then run 'fuxiflow "
            "fetch' with the configuration, or bring the file again and run 'fuxiflow adopt' with "
            "its folder."
        )
    return int(faults > 0)
