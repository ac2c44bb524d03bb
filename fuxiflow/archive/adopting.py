"""Take files that came by other ways into the raw store, and compare the store with its manifests.

What a file of GRIB holds is read from its messages; of others the name may tell the day.
"""

import filecmp
import json
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

from fuxiflow.archive.era5_zarr import covers_of_file
from fuxiflow.archive.needs import INVARIANTS, era5_field
from fuxiflow.archive.orders import era5_covers, init_text
from fuxiflow.archive.raw_store import ALL_DAYS, OF_OLD, MonthFolder, month_folders, now_text
from fuxiflow.channels import channel_table
from fuxiflow.config.base import did_you_mean
from fuxiflow.config.sources import source_names
from fuxiflow.storage.file_kinds import Unpacked, describe_file, file_kind
from fuxiflow.storage.files import temporary
from fuxiflow.storage.manifests import (
    MANIFEST,
    RawFileError,
    check_file,
    difference,
    files_below,
    is_manifest_of_old,
)
from fuxiflow.storage.raw_files import blocks_of

BESIDE = {".json", ".idx", ".txt", ".md", ".sha256"}
"""Suffixes of files that archives lay beside others; they hold no fields or observations."""
GRIB_PRODUCTS = ("era5", "gfs")
FIELD_FILES = ("HDF5", "NetCDF-4")
"""Kinds of files with fields of ERA5 under the names of the public Zarr stores."""
KINDS = {
    (".h5", ".hdf"): ("HDF5", "NetCDF-4"),
    (".nc", ".nc4", "_nc"): ("HDF5", "NetCDF-4", "NetCDF classic"),
    (".bufr", ".bufr4", ".bfr"): ("BUFR", "NCEP BUFR"),
    (".grib", ".grb", ".grib2", ".grb2"): ("GRIB",),
}
"""Formats that the end of a name promises, in lower case."""
COMPRESSED = ("gzip", "bzip2", "xz", "ZIP")
NO_DATA = ("empty", "web page", "XML", "JSON", "text", "PDF")
PADDING = b"\0 \r\n"
LONGEST_PADDING = 4096
"""Octets that may follow the last message of a GRIB file: MARS fills its files up."""
WORKERS = 4
FAULTS_SHOWN = 20
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)-?(\d\d)-?(\d\d)(?:\d{2,6})?(?!\d)")
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_DAY_OF_YEAR = re.compile(r"\.D(\d\d)(\d{3})\.")


def day_in_name(name: str) -> str:
    """Return the first day that a file's name holds, in ISO form; an empty text without any."""
    for year, month, day in _DATE.findall(name):
        with suppress(ValueError):
            return str(date(int(year), int(month), int(day)))
    if match := _DAY_OF_YEAR.search(name):
        year, number = int(match[1]), int(match[2])
        first = date(1900 + year if year > 70 else 2000 + year, 1, 1)
        return str(first + timedelta(days=number - 1))
    return ""


def _fault_of(path: Path, product: str) -> str:
    """Say why a file is not of the kind that its product or name promises; empty if it is."""
    kind = file_kind(path)
    name = path.name.lower()
    expected = [kinds for endings, kinds in KINDS.items() if name.endswith(endings)]
    if product in GRIB_PRODUCTS:
        expected = [("GRIB",)]
    if product == "era5" and kind in FIELD_FILES:
        return ""
    is_of_kind = not expected or kind in (*expected[0], *COMPRESSED)
    if kind in NO_DATA or not is_of_kind:
        promised = " or ".join(expected[0]) if expected else ""
        return describe_file(path, promised, promised)
    if kind == "GRIB":
        with open(path, "rb") as file:
            file.seek(max(path.stat().st_size - LONGEST_PADDING, 0))
            if not file.read().rstrip(PADDING).endswith(b"7777"):
                return "cut off: a GRIB file ends with 7777"
    return ""


def _fields_in(path: Path, product: str) -> Iterator[tuple[str, datetime, datetime, datetime]]:
    """Yield name, initial time, beginning and end of validity of the fields of a GRIB file."""
    import eccodes

    names = _names_by_keys(product)
    unpacked = Unpacked()
    with open(unpacked(path), "rb") as file:
        while True:
            handle = None
            try:
                handle = eccodes.codes_grib_new_from_file(file)
                if handle is None:
                    return
                get = eccodes.codes_get
                level = get(handle, "level") if get(handle, "typeOfLevel") != "surface" else 0
                if product == "gfs":
                    keys = ("discipline", "parameterCategory", "parameterNumber")
                    surface = get(handle, "typeOfFirstFixedSurface", int)
                    key = (*(get(handle, name) for name in keys), surface, level)
                else:
                    upper = get(handle, "typeOfLevel") == "isobaricInhPa"
                    key = (get(handle, "paramId"), level if upper else None)
                step = get(handle, "stepRange", str).split("-")
                init = _time(get(handle, "dataDate"), get(handle, "dataTime"))
                end = _time(get(handle, "validityDate"), get(handle, "validityTime"))
                begin = end - timedelta(hours=int(step[-1]) - int(step[0]))
            except (eccodes.CodesInternalError, ValueError) as error:
                raise RawFileError(f"{path}: a message cannot be read: {error}") from error
            finally:
                if handle is not None:
                    eccodes.codes_release(handle)
            if key in names:
                yield names[key], init, begin, end


def _time(day: int, clock: int) -> datetime:
    return datetime.strptime(f"{day:08d}{clock:04d}", "%Y%m%d%H%M")


def _names_by_keys(product: str) -> dict[tuple, str]:
    """Return the archive's names of all channels by the GRIB keys that tell them."""
    if product == "era5":
        return {(c.era5_param, c.level): era5_field(c) for c in channel_table()}
    from fuxiflow.archive.gfs import field_name

    return {
        (c.gfs_discipline, c.gfs_category, c.gfs_number, c.gfs_surface, c.gfs_level): field_name(c)
        for c in channel_table()
    }


def _era5_covers(path: Path) -> dict:
    """Return what a file of ERA5 covers, of GRIB or as the public Zarr stores have it."""
    if file_kind(path) in FIELD_FILES:
        return covers_of_file(path)
    return era5_covers(
        (name, end, int((end - begin) / timedelta(hours=1)))
        for name, _, begin, end in _fields_in(path, "era5")
    )


def _gfs_covers(path: Path) -> dict:
    """Return what a file of GFS covers."""
    fields_of: dict[tuple[datetime, int], set[str]] = defaultdict(set)
    for name, init, _, end in _fields_in(path, "gfs"):
        fields_of[init, int((end - init) / timedelta(hours=1))].add(name)
    return _as_covers(
        {
            "init": init_text(init),
            "lead": lead,
            "days": [str(init.date())],
            "fields": sorted(names),
        }
        for (init, lead), names in fields_of.items()
    )


def _as_covers(blocks: Iterable[dict]) -> dict:
    blocks = list(blocks)
    return blocks[0] if len(blocks) == 1 else {"blocks": blocks}


def _covers_of(path: Path, folder: MonthFolder) -> dict:
    """Return what a file covers; RawFileError where it is not of its product's kind or month."""
    if not path.is_file():
        raise RawFileError(
            f"{path}: a link to {os.readlink(path)}, which is not there: mount its disk, or remove "
            f"the link"
        )
    if path.suffix in BESIDE:
        return {"blocks": []}
    if fault := _fault_of(path, folder.product):
        raise RawFileError(f"{path}: {fault}")
    if folder.month == INVARIANTS:
        return {}
    if folder.product == "era5":
        covers = _era5_covers(path)
    elif folder.product == "gfs":
        covers = _gfs_covers(path)
    else:
        day = day_in_name(path.name)
        # it may reach into the day after
        after = str(date.fromisoformat(day) + timedelta(days=1)) if day else ""
        covers = {"days": [day, after]} if day else {}
    days = sorted(day for block in blocks_of(covers) for day in block.get("days", ()))
    if days and not any(_is_near(day, folder.month) for day in days):
        raise RawFileError(
            f"{path}: it is of {days[0]}, not of {folder.month}: it belongs into "
            f"{folder.path.with_name(days[0][:7])}"
        )
    return covers


def _is_near(day: str, month: str) -> bool:
    """Say whether a day is of a month, or the one before or after, as files may overlap it."""
    near = (date.fromisoformat(day) + timedelta(days=step) for step in (-1, 0, 1))
    return any(str(one).startswith(month) for one in near)


def _all_covers(
    base: Path, names: Iterable[str], folder: MonthFolder, again: str
) -> dict[str, dict]:
    """Return what files cover, by name.

    Parameters
    ----------
    base : Path
        The folder that they lie in.
    names : iterable of str
        Their names relative to it.
    folder : MonthFolder
        The folder of the store that they belong to.
    again : str
        The command to run when a fault is mended.

    Returns
    -------
    dict
        As in manifests.

    Raises
    ------
    RawFileError
        When files are not of the kind of their product, or not of the month; the text names all.
    """
    covers, faults = {}, []
    for name in names:
        try:
            covers[name] = _covers_of(base / name, folder)
        except RawFileError as error:
            faults.append(str(error))
    if faults:
        shown = faults[:FAULTS_SHOWN]
        if len(faults) > len(shown):
            shown.append(f"and {len(faults) - len(shown)} more")
        what = "it" if len(faults) == 1 else "them"
        shown.append(f"No file was taken in. Move {what} away or bring {what} again, then {again}")
        raise RawFileError("\n".join(shown))
    return covers


def adopt_month(
    folder: MonthFolder, origin: str = "", covers_known: Mapping[str, dict] | None = None
) -> list[str]:
    """List the files of a folder that its manifest does not list yet, all of them or none.

    A folder that holds nothing is one whose source was out: all its days count as asked for. So do
    the days of a source's files that tell no day. A manifest of old says what the archive lacked.

    Parameters
    ----------
    folder : MonthFolder
        The folder, held by this process.
    origin : str
        Who brought the files; by default the folder itself.
    covers_known : mapping, optional
        By name, what files cover that were looked at before.

    Returns
    -------
    list of str
        The names that were added.

    Raises
    ------
    RawFileError
        When files are not of the kind of their product or not of the month; none is listed then.
    """
    of_old = is_manifest_of_old(folder.path)
    if of_old:
        _keep_absent(folder)
    is_new, covers_known = not folder.is_listed, covers_known or {}
    names = folder.unlisted()
    origin = origin or f"adopted from {folder.path.as_posix()}"
    unknown = [name for name in names if name not in covers_known]
    again = f"run 'fuxiflow adopt {folder.path}'"
    covers = {**covers_known, **_all_covers(folder.path, unknown, folder, again)}
    # until all are listed the folder must not look as if it held no more
    folder.manifest.unfinished = True
    try:
        for name in names:
            folder.list_file(name, origin, covers[name])
            if not of_old:
                folder.save(at_once=False)
        if folder.product not in GRIB_PRODUCTS:
            _note_days(folder, is_new)
        folder.manifest.unfinished = False
    finally:
        # one of old goes when all that it lists is listed anew
        if not (of_old and folder.manifest.unfinished):
            folder.save()
    return names


def _keep_absent(folder: MonthFolder) -> None:
    """Take over what a manifest of old says that the archive lacks."""
    content = json.loads((folder.path / MANIFEST).read_text(encoding="utf-8"))
    for name in content.get("absent", ()):
        folder.note_absent(name, OF_OLD)


def _note_days(folder: MonthFolder, is_new: bool) -> None:
    """Note which days a source's files are of; all days where that is not asked."""
    days = {
        entry.covers["days"][0]
        for entry in folder.manifest.files.values()
        if entry.covers.get("days")
    }
    undated = any(not entry.covers for entry in folder.manifest.files.values())
    asked = {"asked": now_text(), "origin": "adopted"}
    if undated or (is_new and not days):
        folder.manifest.complete.setdefault(ALL_DAYS, asked)
    for day in days:
        folder.manifest.complete.setdefault(day, asked)


def _base_and_names(source: Path) -> tuple[Path, list[str]]:
    """Return a folder and the names of the files below it; those of a file are its own."""
    if source.is_dir():
        return source, [*files_below(source)]
    return source.parent, [source.name]


def bring_in(source: Path, folder: MonthFolder) -> None:
    """Link or copy the files of a folder elsewhere into the store.

    RawFileError where the store has another file of the same name.
    """
    base, names = _base_and_names(source)
    for name in names:
        target = folder.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            if filecmp.cmp(target, base / name, shallow=False):
                continue
            raise RawFileError(
                f"{target}: there is another file of this name: rename {base / name}"
            )
        aside = temporary(target)
        try:
            # not a link to a link, which may lead nowhere from there
            os.link(os.path.realpath(base / name), aside)
        except OSError:
            shutil.copyfile(base / name, aside)
        os.replace(aside, target)
    folder.path.mkdir(parents=True, exist_ok=True)


def place_in_store(path: Path, store: Path) -> tuple[str, ...]:
    """Return product and month of a path by its place below the store; empty outside of it."""
    pairs = [
        (Path(os.path.abspath(path)), Path(os.path.abspath(store))),
        (Path(path).resolve(), Path(store).resolve()),
    ]
    for place, root in pairs:
        if place.is_relative_to(root):
            return place.relative_to(root).parts[:2]
    return ()


def adopt(
    path: Path, store: Path, product: str = "", month: str = "", origin: str = ""
) -> Iterator[str]:
    """Take the files of a folder into the store, and yield a line about each month.

    Parameters
    ----------
    path : Path
        A folder of the store, of a month, a product or all; or one elsewhere, whose files are
        linked or copied into the store.
    store : Path
        The raw store.
    product, month : str
        Where files from elsewhere belong.
    origin : str
        Who they came from; by default their place.

    Returns
    -------
    Iterator of str
        Lines to print.

    Raises
    ------
    ValueError
        When the place does not say product and month and the options do not either, there is no
        such product or month, or a file is not of its kind.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such folder")
    place = place_in_store(path, store)
    inside = bool(place) or os.path.abspath(path) == os.path.abspath(store)
    if not inside and not (product and month):
        raise ValueError(
            f"{path}: lies outside of {store}: say with --product and --month where it belongs, "
            f"for example --product amsua --month 2022-01"
        )
    if not inside:
        folders = [(product, month)]
    elif len(place) == 2:
        folders = [place]
    else:
        folders = [pair for pair in month_folders(store) if pair[: len(place)] == place]
    for pair in folders:
        _check_place(*pair)
        folder = MonthFolder(store, *pair)
        with folder.locked():
            covers_known = {}
            if not inside:
                base, names = _base_and_names(path)
                new = [name for name in names if name not in folder.manifest.files]
                covers_known = _all_covers(base, new, folder, "run the same command again")
                bring_in(path, folder)
                for name in {*names} - {*new}:
                    check_file(folder.path / name, folder.manifest.files[name])
                origin = origin or f"adopted from {Path(os.path.abspath(path))}"
            names = adopt_month(folder, origin, covers_known)
        there = len(folder.manifest.files)
        out = "" if there else ": without a file the source counts as out in all of the month"
        yield f"{folder.path}: {len(names)} files adopted, {there} in its manifest{out}"


def _check_place(product: str, month: str) -> None:
    """Raise ValueError where no reader looks for a product and month."""
    products = [*GRIB_PRODUCTS, *source_names()]
    if product not in products:
        hint = did_you_mean(product, products) or f": {', '.join(products)}"
        raise ValueError(f"{product}/{month}: no product is called {product!r}{hint}")
    if not (_MONTH.fullmatch(month) or (product, month) == ("era5", INVARIANTS)):
        raise ValueError(
            f"{product}/{month}: {month!r} is no month, which is written as in 2022-01; rename the "
            f"folder or give another --month"
        )


def verify_month(folder: MonthFolder) -> Iterator[tuple[str, str]]:
    """Read all files of a folder again; yield name and fault of those at fault, listed or not."""
    if not folder.is_listed:
        yield MANIFEST, f"missing: run 'fuxiflow adopt {folder.path}'"
        return
    entries = folder.manifest.files
    with ThreadPoolExecutor(WORKERS) as pool:
        words = pool.map(lambda name: difference(folder.path / name, entries[name]), entries)
        yield from ((name, text) for name, text in zip(entries, words, strict=True) if text)
    for name in files_below(folder.path):
        if name not in entries:
            yield name, f"not listed in the manifest: run 'fuxiflow adopt {folder.path}'"
