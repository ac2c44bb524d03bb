"""Checks before anything is loaded: keys, and files that somebody has to bring."""

from collections.abc import Iterable
from pathlib import Path

from fuxiflow.archive.era5 import check_credentials
from fuxiflow.archive.needs import BEST_TRACKS, INVARIANTS, Need, months_in_runs
from fuxiflow.archive.orders import era5_orders
from fuxiflow.archive.raw_store import STORE, MonthFolder
from fuxiflow.config.archives import Archives, load_archives


def needs_key(need: Need, store: Path, archives: Archives) -> bool:
    """Say whether the Climate Data Store would be asked for something.

    Parameters
    ----------
    need : Need
        What is needed; folders of the store without a manifest are adopted.
    store : Path
        The raw store.
    archives : Archives
        Say who is asked for ERA5.

    Returns
    -------
    bool
        Whether a key is needed.
    """
    if need.product != "era5" or archives.era5.provider != "cds":
        return False
    folders = [MonthFolder(store, need.product, month) for month in need.months]
    if any(not folder.path.is_dir() for folder in folders):
        of_old = folders[0].path.with_suffix(".grib")
        return not (need.segment == INVARIANTS and of_old.is_file())
    if need.segment == INVARIANTS or any(not folder.is_listed for folder in folders):
        return False
    covers = [entry.covers for folder in folders for entry in folder.manifest.files.values()]
    return any(era5_orders(need, covers, days_per_request=31, client=lambda: None))


def missing_months(needs: Iterable[Need], store: Path, archives: Archives) -> dict[str, list[str]]:
    """Return the months that are not in the store, of sources that no archive is known for.

    Parameters
    ----------
    needs : iterable of Need
        What is needed. Months in which no platform flew are never missing.
    store : Path
        The raw store.
    archives : Archives
        Addresses.

    Returns
    -------
    dict
        Months YYYY-MM by product, sorted.
    """
    missing: dict[str, set[str]] = {}
    for need in needs:
        fetched = ("era5", "gfs", BEST_TRACKS, *archives.sources)
        if need.idle or need.address or need.product in fetched:
            continue
        for month in need.months:
            if not (Path(store) / need.product / month).is_dir():
                missing.setdefault(need.product, set()).add(month)
    return {product: sorted(months) for product, months in sorted(missing.items())}


def missing_report(missing: dict[str, list[str]], archives: Archives, store: Path) -> str:
    """Say of each product that is missing who has it, on what terms, how much, and which months.

    Parameters
    ----------
    missing : dict
        Months by product.
    archives : Archives
        What is known of the archives.
    store : Path
        The raw store.

    Returns
    -------
    str
        A paragraph for each product, and what to do.
    """
    lines = ["files are missing that no archive gives away without being asked:"]
    for product, months in missing.items():
        span = months[0] if len(months) == 1 else f"{months[0]} to {months[-1]}"
        count = "1 month" if len(months) == 1 else f"{len(months)} months"
        lines.append(f"  {product}: {count} of {span}")
        if provider := archives.providers.get(product):
            total = provider.gb_per_month * len(months)
            lines += [
                f"    archive: {provider.archive} ({provider.address})",
                f"    account: {provider.account}; licence: {provider.licence}",
                f"    volume: about {provider.gb_per_month:g} GB a month, {total:g} GB in all",
            ]
        else:
            lines.append("    archive: not known; see providers in config/archive.yaml")
        if holes := months_in_runs(months):
            lines.append(f"    months: {holes}")
    lines.append(
        f"Bring the agencies' files to {store}/{{product}}/{{month}}/ and run 'fuxiflow adopt "
        f"{store}', add an address to config/archive.yaml, or leave these sources out of the "
        f"configuration. A folder without files says that the source was out."
    )
    return "\n".join(lines)


def check_needs(
    needs: Iterable[Need], store: Path = STORE, archives: Archives | None = None
) -> None:
    """Raise where something that is needed can be had neither from the store nor from an archive.

    Parameters
    ----------
    needs : iterable of Need
        What is to be there.
    store : Path
        The raw store.
    archives : Archives, optional
        Addresses; by default those of ``config/archive.yaml``.

    Raises
    ------
    ValueError
        With a paragraph for each source whose files are missing.
    CredentialsError
        Without a key for ERA5, where ERA5 is missing.
    """
    needs, archives = list(needs), archives or load_archives()
    if missing := missing_months(needs, store, archives):
        raise ValueError(missing_report(missing, archives, store))
    if any(needs_key(need, store, archives) for need in needs):
        check_credentials()
