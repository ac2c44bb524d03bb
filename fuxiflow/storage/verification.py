"""Check a run's products on disk: every chunk, every digest, and whether each is there at all."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq

from fuxiflow.storage import checksums
from fuxiflow.storage.manifests import MANIFEST, difference, read_manifest, remedy_of
from fuxiflow.storage.zarr_checks import store_faults

LEFT_OUT = ("benchmarks", "logs", "records", "warnings", "state/jax", "state/leases")
"""Folders of a run's results that hold no products and no state that cannot be made again."""
SEALED = (".parquet", ".ckpt", ".pt", ".restart")
"""Suffixes of files that carry their checksum."""
NAMED = re.compile(r"-([0-9a-f]{64})\.")
"""A file whose name holds the SHA-256 of its bytes, as restart files of a training have it."""


NONE = MappingProxyType({})


@dataclass
class Checked:
    """A product that was checked.

    Attributes
    ----------
    path : Path
        A store or a file.
    kind : str
        ``Zarr store``, ``Parquet table``, ``checkpoint``, ``restart file``, ``raw folder``,
        ``noted file``, or ``without a checksum``.
    size : int
        Bytes on disk.
    faults : list of str
        What is wrong with it, each with the remedy.
    """

    path: Path
    kind: str
    size: int = 0
    faults: list[str] = field(default_factory=list)


def find_products(results: Path) -> Iterator[Path]:
    """Yield stores, raw folders with a manifest, and files of a run; hidden names are left out."""
    left_out = {Path(results) / name for name in (*LEFT_OUT, checksums.FOLDER)}

    def below(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if path in left_out or path.name.startswith("."):
                continue
            if path.is_dir() and path.suffix != ".zarr" and not (path / MANIFEST).exists():
                yield from below(path)
            else:
                yield path

    yield from below(Path(results))


def _raw_faults(folder: Path) -> Iterator[str]:
    """Yield how the files of a raw folder differ from its manifest."""
    try:
        manifest = read_manifest(folder)
    except ValueError as error:
        yield str(error)
        return
    for name, entry in manifest.files.items() if manifest else ():
        if words := difference(folder / name, entry):
            yield f"{folder / name}: {words}; {remedy_of(folder / name)}"


def _parquet_pages(path: Path) -> None:
    """Read all pages of a table, whose sums pyarrow compares."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            file.read_row_group(group)


def check_product(path: Path, results: Path | None = None) -> Checked:
    """Check all of a store or file.

    Parameters
    ----------
    path : Path
        A product.
    results : Path, optional
        The folder of results that it belongs to.

    Returns
    -------
    Checked
        Its kind, its size, and what is wrong.
    """
    path = Path(path)
    if path.is_dir():
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        if path.suffix != ".zarr":
            return Checked(path, "raw folder", size, list(_raw_faults(path)))
        remedy = checksums.remedy(path)
        faults = [f"{path}: {fault}; {remedy}" for fault in store_faults(path)]
        return Checked(path, "Zarr store", size, faults)
    checked = Checked(path, "without a checksum", path.stat().st_size)
    try:
        if named := NAMED.search(path.name):
            checked.kind = "restart file"
            with open(path, "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != named[1]:
                    raise checksums.DamagedError(
                        f"{path}: its SHA-256 is another than its name says; delete it: the job "
                        "goes on from the one before"
                    )
        elif path.suffix in SEALED:
            kinds = {".parquet": "Parquet table", ".ckpt": "checkpoint"}
            checked.kind = kinds.get(path.suffix, "restart file")
            checksums.check_sealed(path)
            if path.suffix == ".parquet":
                _parquet_pages(path)
        elif checksums.check_noted(path, results):
            checked.kind = "noted file"
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        checked.faults.append(str(error))
    return checked


def _absent(results: Path, outputs: Iterable[Path]) -> Iterator[Checked]:
    """Yield products that a finished job made, or a checksum is noted for, and that are gone."""
    notes = Path(results) / checksums.FOLDER
    noted = (
        Path(results) / note.relative_to(notes).with_suffix("")
        for note in sorted(notes.rglob("*.json"))
    )
    for path in dict.fromkeys([*map(Path, outputs), *noted]):
        if not path.exists():
            yield Checked(
                path,
                "absent",
                0,
                [
                    f"{path}: absent, though its job had finished; run the same command again, "
                    f"with '-- {path}' behind it where nothing else needs it"
                ],
            )


def _name_exchanged(checked: Checked, makers: Mapping[Path, checksums.Maker]) -> None:
    """Add a fault to a sound product that another job made, by its provenance.

    One that fits no job at all may have been accepted with other inputs, and is left alone.
    """
    maker = makers.get(checked.path)
    if maker is None or checked.faults:
        return
    stated = checksums.maker_of(checked.path)
    if stated in (None, maker):
        return
    if others := [str(path) for path in makers if makers[path] == stated]:
        checked.faults.append(
            f"{checked.path}: by its provenance it is {' or '.join(others[:2])}, which was put in "
            f"its place; delete {checked.path} and run the same command again: rule {maker[0]} "
            f"makes it anew"
        )


def verify_results(
    results: Path, outputs: Mapping[Path, checksums.Maker] = NONE, jobs: int = 1
) -> Iterator[Checked]:
    """Check all products of a run.

    Parameters
    ----------
    results : Path
        The folder of a run's results.
    outputs : mapping of Path to Maker
        Products of its finished jobs, and what made them.
    jobs : int
        Number of processes that check.

    Yields
    ------
    Checked
        Each product, as it is done.

    Raises
    ------
    FileNotFoundError
        When there is no such folder.
    """
    results = Path(results)
    if not results.is_dir():
        raise FileNotFoundError(f"{results}: no folder of results")
    yield from _absent(results, outputs)
    paths = list(find_products(results))
    with ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext() as pool:
        mapped = pool.map if jobs > 1 else map
        for checked in mapped(check_product, paths, [results] * len(paths)):
            _name_exchanged(checked, outputs)
            yield checked


def summarize_checks(checked: Iterable[Checked]) -> str:
    """Return a table of products by kind: how many, their size, how many are damaged."""
    number, size, harmed = Counter(), Counter(), Counter()
    for one in checked:
        number[one.kind] += 1
        size[one.kind] += one.size
        harmed[one.kind] += bool(one.faults)
    lines = [f"{'kind':20s} {'number':>8s} {'MB':>12s} {'damaged':>8s}"]
    lines += [
        f"{kind:20s} {number[kind]:8d} {size[kind] / 1e6:12.1f} {harmed[kind]:8d}"
        for kind in sorted(number)
    ]
    return "\n".join(lines)
