"""The earlier product stays until the new one is whole.

Before a job runs, its existing products are renamed into ``{results}/state/earlier/``, under the
same path, and beside them, in ``records/{rule}/{wildcards}.json``, stands what was known of them.
When the job has published its new products they go. After a failure ``fuxiflow restore`` puts them
back, with what Snakemake remembered of them, so that they count as before.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fuxiflow.runtime import leases, records
from fuxiflow.storage.files import read_sealed_json, remove, whole_file, write_sealed_json

FOLDER = "state/earlier"
RECORDS = "records"


@dataclass
class EarlierProducts:
    """The products of a job that were set aside.

    ``log`` is the job's, ``places`` maps each product to where it lies now, ``memory`` to what
    Snakemake remembered of it (None for nothing), ``record`` is the job's record (None for none).
    Paths are as Snakemake has them, relative to where it runs.
    """

    log: str
    places: dict[str, str] = field(default_factory=dict)
    memory: dict[str, dict | None] = field(default_factory=dict)
    record: dict | None = None
    since: str = ""

    @property
    def present(self) -> dict[str, str]:
        """Return the products that are still where they were put."""
        return {name: place for name, place in self.places.items() if os.path.lexists(place)}

    def write(self) -> None:
        """Write what is known of them."""
        path = record_of_earlier(Path(self.log))
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(json.dumps(asdict(self), indent=1).encode())

    def drop(self) -> None:
        """Remove them."""
        for place in self.places.values():
            remove(Path(place))
        record_of_earlier(Path(self.log)).unlink(missing_ok=True)


def _folder(results: Path) -> Path:
    return Path(results) / FOLDER


def record_of_earlier(log: Path) -> Path | None:
    """Return where it stands what was set aside of the job of a log; None for a log elsewhere."""
    paths = records.job_file(log, f"{FOLDER}/{RECORDS}")
    return paths[1] if paths else None


def read_earlier(log: Path) -> EarlierProducts | None:
    """Return what was set aside of the job of a log; None where there is nothing."""
    path = record_of_earlier(Path(log))
    return _read(path) if path else None


def _read(path: Path) -> EarlierProducts | None:
    try:
        earlier = EarlierProducts(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return earlier if earlier.present else None


def _read_record(log: Path) -> dict | None:
    try:
        return read_sealed_json(records.record_paths(log)[1])
    except (OSError, ValueError):
        return None


def _beside(path: Path) -> Path:
    """Return the place of an earlier product that stays in its folder."""
    return path.with_name(f".earlier-{path.name}")


def _rename(path: Path, place: Path) -> Path:
    """Rename a product to its place aside, or beside itself where that is another file system."""
    place.parent.mkdir(parents=True, exist_ok=True)
    remove(place)
    try:
        os.rename(path, place)
    except OSError:
        place = _beside(path)
        remove(place)
        os.rename(path, place)
    return place


def set_aside(log: Path, products: Iterable[str], memory_of: Callable[[str], dict | None]) -> None:
    """Set the existing products of a job aside, in place of those that were before.

    Products of a job that was cut short while it published are removed instead, where there are
    earlier ones: those are whole.

    Parameters
    ----------
    log : Path
        The log of the job.
    products : iterable of str
        The names of its products; those that are not there are passed over.
    memory_of : callable
        Returns what Snakemake remembers of a product, None for nothing.
    """
    existing = [name for name in map(str, products) if os.path.lexists(name)]
    if not existing:
        return
    before, record = read_earlier(log), _read_record(log)
    if before and record and not record.get("finished"):
        for name in existing:
            remove(Path(name))
        return
    folder = _folder(records.record_paths(log)[0].parent)
    results = folder.parent.parent
    earlier = before or EarlierProducts(str(log))
    earlier.record = record
    earlier.since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    for name in existing:
        path = Path(name)
        if path.is_relative_to(results):
            earlier.places[name] = str(folder / path.relative_to(results))
        else:
            earlier.places[name] = str(_beside(path))
        earlier.memory[name] = memory_of(name)
    # noted first: a kill in between leaves nothing of which nobody knows
    earlier.write()
    for name in existing:
        place = _rename(Path(name), Path(earlier.places[name]))
        if str(place) != earlier.places[name]:
            earlier.places[name] = str(place)
            earlier.write()


def drop_earlier(log: Path) -> None:
    """Remove what was set aside of a job that has published its new products."""
    path = record_of_earlier(Path(log))
    if path is not None and path.exists():
        try:
            EarlierProducts(**json.loads(path.read_text(encoding="utf-8"))).drop()
        except (ValueError, TypeError):
            path.unlink()


def restore_command(log: Path) -> str:
    """Return the command that puts back what was set aside of a job; empty for nothing."""
    earlier = read_earlier(Path(log))
    if earlier is None:
        return ""
    results = records.record_paths(Path(log))[0].parent
    return f"fuxiflow restore {results} {' '.join(earlier.present)}"


def list_earlier(results: Path) -> list[EarlierProducts]:
    """Return what was set aside of all jobs of a configuration, in order of their records."""
    paths = sorted((_folder(results) / RECORDS).rglob("*.json"))
    return [earlier for path in paths if (earlier := _read(path))]


def restore_products(
    results: Path,
    asked: Iterable[Path],
    remember: Callable[[Mapping[str, dict | None]], None],
) -> tuple[list[str], list[str]]:
    """Put products back that were set aside: those of the jobs that made ``asked``, or all.

    Parameters
    ----------
    results : Path
        The folder of the results of a configuration.
    asked : iterable of Path
        Products; all products of their jobs are put back, as they belong together. None for all.
    remember : callable
        Gives Snakemake back what it remembered of products, by their names.

    Returns
    -------
    tuple of two lists of str
        The products that were put back, and reasons why others were not.

    Raises
    ------
    ValueError
        For a product of which nothing was set aside, with those that can be put back.
    """
    earlier = list_earlier(results)
    names = {os.path.normpath(path) for path in asked}
    kept = sorted(name for one in earlier for name in one.present)
    if unknown := sorted(names - {os.path.normpath(name) for name in kept}):
        there = ", ".join(kept) or "nothing"
        raise ValueError(f"{unknown[0]}: no earlier one is kept; to be put back: {there}")
    restored, reasons = [], []
    for one in earlier:
        if names and not names & {os.path.normpath(name) for name in one.present}:
            continue
        if reason := _obstacle(one):
            reasons.append(reason)
            continue
        # the record goes last: what was cut short can be done again
        for name, place in one.present.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            os.rename(place, name)
            restored.append(name)
        remember({name: one.memory.get(name) for name in one.places})
        _restore_record(one)
        record_of_earlier(Path(one.log)).unlink()
    return restored, reasons


def _obstacle(earlier: EarlierProducts) -> str:
    """Say why the products of a job cannot be put back; empty where they can."""
    if leases.is_leased(Path(earlier.log)):
        return f"{', '.join(earlier.present)}: their job is running (log {earlier.log})"
    there = [name for name in earlier.present if os.path.lexists(name)]
    record = _read_record(Path(earlier.log)) or {}
    if there and record.get("finished"):
        return (
            f"{', '.join(there)}: a newer one is there, which is whole; delete it to have the "
            f"earlier one"
        )
    for name in there:
        remove(Path(name))
    return ""


def _restore_record(earlier: EarlierProducts) -> None:
    _, path = records.record_paths(Path(earlier.log))
    if earlier.record is None:
        path.unlink(missing_ok=True)
        return
    write_sealed_json(path, earlier.record)
