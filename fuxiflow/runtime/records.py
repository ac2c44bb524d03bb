"""Records of jobs, kept with the results: one JSON file a job, and one a fingerprint of code.

Snakemake remembers the parameters and inputs of a finished job in ``.snakemake/metadata``. So that
this folder can be deleted, every job writes the same beside its log, as
``results/{name}/records/{rule}/{wildcards}.json``, from which
:mod:`fuxiflow.runtime.snakemake_internals` gives it back. For readers,
``records/code/{fingerprint}.json`` resolves a fingerprint of code into digests of definitions.
"""

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from fuxiflow import ROOT
from fuxiflow.runtime import slurm
from fuxiflow.runtime.fingerprint import fingerprint, fingerprint_parts
from fuxiflow.storage.files import read_sealed_json, write_sealed_json

RECORDS = "records"
REQUESTED = ("threads", "mem_mb", "runtime", "gpu")
COMPARED = (
    *(bool, int, float, complex, str, bytes, bytearray, type(None)),
    *(list, tuple, range, set, frozenset, dict),
)
"""Types of parameters whose change asks for a rerun; Snakemake compares no others."""


def compared_params(params: dict) -> dict:
    """Return the parameters whose change asks for a rerun."""
    return {name: value for name, value in params.items() if isinstance(value, COMPARED)}


def job_file(log: Path, folder: str) -> tuple[Path, Path] | None:
    """Return where a folder of results keeps what belongs to the job of a log.

    Parameters
    ----------
    log : Path
        ``{results}/logs/{rule}/{wildcards}.log``.
    folder : str
        The folder, relative to the results.

    Returns
    -------
    tuple of Path or None
        The folder of results, and ``{results}/{folder}/{rule}/{wildcards}.json``; None for a log
        elsewhere.
    """
    parts = Path(log).parts
    if "logs" not in parts:
        return None
    last = len(parts) - 1 - parts[::-1].index("logs")
    results = Path(*parts[:last])
    return results, results.joinpath(folder, *parts[last + 1 :]).with_suffix(".json")


def record_paths(log: Path) -> tuple[Path, Path] | None:
    """Return the folder of records and the record of the job of a log; None for a log elsewhere."""
    paths = job_file(log, RECORDS)
    return (records_folder(paths[0]), paths[1]) if paths else None


def records_folder(results: Path) -> Path:
    """Return where the records of a configuration lie."""
    return Path(results) / RECORDS


def code_files(rule: str, params: dict) -> dict[str, Path]:
    """Return the file behind each parameter that is a fingerprint: a script, a source's reader."""
    files = {"code": ROOT / "workflow" / "scripts" / f"{rule}.py"} if "code" in params else {}
    if "reader_code" in params:
        from fuxiflow.observations import readers

        files["reader_code"] = readers.module_file(params["reader"])
    return files


def _gpus(requested: dict) -> int:
    """Count the GPUs that a job has of those it asked for: none on a machine without."""
    available = slurm.gpus_here()
    if available is None:
        available = sys.modules["torch"].cuda.device_count() if "torch" in sys.modules else 0
    return min(available * int(requested.get("nodes", 1)), int(requested.get("gpu", 0)))


def write_record(
    log: Path,
    rule: str,
    params: dict,
    inputs: Iterable[Path],
    outputs: Iterable[Path],
    finished: bool,
    requested: dict | None = None,
) -> None:
    """Write the record of a job, unless its log lies outside results.

    A fingerprint is resolved once, and only while its code is still the one that was planned.

    Parameters
    ----------
    log : Path
        The job's log, which tells where the record lies.
    rule : str
        The name of its rule.
    params : dict
        The parameters of the job.
    inputs, outputs : iterable of Path
        The names of what it reads and makes, as Snakemake has them.
    finished : bool
        Whether its products are all there. An unfinished job is recorded without parameters, so
        that nothing agrees with it.
    requested : dict, optional
        The resources of the job.
    """
    if not (paths := record_paths(log)):
        return
    directory, path = paths
    compared = compared_params(params) if finished else {}
    resources = {name: requested[name] for name in REQUESTED if name in (requested or {})}
    outputs = [str(name) for name in outputs]
    passing = getattr(params.get("temporary"), "outputs", ())
    write_sealed_json(
        path,
        {
            "rule": rule,
            "outputs": outputs,
            "temporary": [outputs[place] for place in passing],
            "inputs": sorted(str(name) for name in inputs),
            "params": {name: repr(value) for name, value in compared.items()},
            "requested": resources,
            "gpus": _gpus(requested or {}),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) if finished else None,
        },
    )
    for name, script in code_files(rule, compared).items():
        resolved = _code_path(directory, params[name])
        if not resolved.exists() and script.exists() and fingerprint(script) == params[name]:
            write_sealed_json(resolved, fingerprint_parts(script))


def accept_products(
    log: Path, rule: str, params: dict, inputs: Iterable[str], outputs: Iterable[str]
) -> None:
    """Record products as made with what is planned now: a person has accepted them by a touch.

    Parameters
    ----------
    log : Path
        The job's log, which tells where the record lies.
    rule : str
        The name of its rule.
    params : dict
        The parameters that the job has now.
    inputs, outputs : iterable of str
        The names of what it reads and makes; nothing is recorded where a product is missing.
    """
    paths, outputs = record_paths(log), list(outputs)
    if not paths or not all(Path(name).exists() for name in outputs):
        return
    try:
        before = read_sealed_json(paths[1])
    except (OSError, ValueError):
        before = {}
    write_record(log, rule, params, map(Path, inputs), map(Path, outputs), True)
    now = read_sealed_json(paths[1])
    # what the job had asked for stays
    kept = {name: before[name] for name in ("requested", "gpus") if name in before}
    write_sealed_json(paths[1], now | kept)


def _code_path(directory: Path, code: str) -> Path:
    return directory / "code" / f"{code}.json"


def records_by_product(directory: Path) -> dict[str, dict]:
    """Return the records below ``directory`` by product; unreadable ones are left out."""
    by_product = {}
    for path in sorted(directory.rglob("*.json")):
        if path.relative_to(directory).parts[0] == "code" or path.name.startswith("."):
            continue
        try:
            record = read_sealed_json(path)
            by_product.update(dict.fromkeys(record["outputs"], record))
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            continue
    return by_product


def finished_products(results: Path) -> dict[Path, tuple[str, frozenset[str]]]:
    """Return the products of the finished jobs of a run, with the rule and inputs of their records.

    A record names products as its run did, from the folder of the checkout: below ``results`` they
    are those of this run, wherever it lies now. Temporary ones that have gone are left out.
    """
    by_product = records_by_product(records_folder(results))
    finished = {}
    for name, record in by_product.items():
        path = Path(name)
        if not record["finished"] or path.parts[:1] != ("results",) or not path.parts[2:]:
            continue
        here = Path(results).joinpath(*path.parts[2:])
        if name not in record.get("temporary", ()) or here.exists():
            finished[here] = record["rule"], frozenset(record["inputs"])
    return finished


def read_job_record(results: Path, rule: str, wildcards: str) -> dict:
    """Return the record of a job.

    Parameters
    ----------
    results : Path
        The folder of the results of a configuration.
    rule : str
        The name of its rule.
    wildcards : str
        The values of its wildcards, joined by ``/``; empty without any.

    Returns
    -------
    dict
        What :func:`write_record` wrote; empty where there is none.
    """
    path = records_folder(results).joinpath(*(part for part in (rule, wildcards) if part))
    try:
        return read_sealed_json(path.with_name(f"{path.name}.json"))
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def read_code(directory: Path, code: str) -> dict[str, dict[str, str]] | None:
    """Return digests by file and definition that a fingerprint stood for, None if not recorded."""
    try:
        return read_sealed_json(_code_path(directory, code))
    except (OSError, ValueError, AttributeError, TypeError):
        return None
