"""What made every product, kept with the results: one JSON file a job, and one a fingerprint of code.

Snakemake remembers the parameters and inputs of a finished job in ``.snakemake/metadata``, and takes a product that it
does not remember as up to date. So that this folder can be deleted, every job writes the same beside its log, as
``results/{name}/records/{rule}/{wildcards}.json``; :func:`restore` gives it back to Snakemake. For readers,
``records/code/{fingerprint}.json`` resolves a fingerprint of code into digests of functions and files.
"""

import json
import os
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from pathlib import Path

from fuxiflow import ROOT
from fuxiflow.runtime import fingerprint, slurm

# the record of Snakemake 9 (snakemake.persistence.RECORD_FORMAT_VERSION); one of another version asks for no rerun
FORMAT_VERSION = 6
NAME_MAX = 254
REQUESTED = ("threads", "mem_mb", "runtime", "gpu")


def locate(log: Path) -> tuple[Path, Path] | None:
    """Folder of records and record that belong to a log ``…/logs/{rule}/{wildcards}.log``; None for a log elsewhere."""
    parts = Path(log).parts
    if "logs" not in parts:
        return None
    last = len(parts) - 1 - parts[::-1].index("logs")
    directory = folder(Path(*parts[:last]))
    return directory, directory.joinpath(*parts[last + 1 :]).with_suffix(".json")


def folder(results: Path) -> Path:
    """Where the records of a configuration lie."""
    return Path(results) / "records"


def _write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    written.write_text(json.dumps(content, indent=1))
    os.replace(written, path)


def code_files(rule: str, params: dict) -> dict[str, Path]:
    """The file behind each parameter that is a fingerprint of code: the rule's script, and a source's reader."""
    found = {"code": ROOT / "workflow" / "scripts" / f"{rule}.py"} if "code" in params else {}
    if "reader_code" in params:
        from fuxiflow.observations import readers

        found["reader_code"] = readers.module_file(params["reader"])
    return found


def _gpus(requested: dict) -> int:
    """How many of the GPUs that a job asked for it has: none on a machine without."""
    there = slurm.gpus_here()
    if there is None:
        there = sys.modules["torch"].cuda.device_count() if "torch" in sys.modules else 0
    return min(there * int(requested.get("nodes", 1)), int(requested.get("gpu", 0)))


def write(
    log: Path,
    rule: str,
    params: dict,
    inputs: Iterable[Path],
    outputs: Iterable[Path],
    finished: bool,
    requested: dict | None = None,
) -> None:
    """Write the record of the job with this log, unless that lies outside results; ``requested`` are its resources.

    An unfinished job has no parameters, so that nothing agrees with it. A fingerprint is resolved once, and only while
    its code is still the one that was planned.
    """
    if not (found := locate(log)):
        return
    directory, path = found
    _write_json(
        path,
        {
            "rule": rule,
            "outputs": [str(name) for name in outputs],
            "inputs": sorted(str(name) for name in inputs),
            "params": {name: repr(value) for name, value in params.items()} if finished else {},
            "requested": {name: requested[name] for name in REQUESTED if name in requested}
            if requested
            else {},
            "gpus": _gpus(requested or {}),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) if finished else None,
        },
    )
    for name, script in code_files(rule, params).items() if finished else ():
        resolved = _code_path(directory, params[name])
        if (
            not resolved.exists()
            and script.exists()
            and fingerprint.fingerprint(script) == params[name]
        ):
            _write_json(resolved, fingerprint.parts(script))


def _code_path(directory: Path, code: str) -> Path:
    return directory / "code" / f"{code}.json"


def read(directory: Path) -> dict[str, dict]:
    """The records below ``directory``, each under the names of all its products; unreadable ones are left out."""
    found = {}
    for path in sorted(directory.rglob("*.json")):
        if path.relative_to(directory).parts[0] == "code" or path.name.startswith("."):
            continue
        try:
            record = json.loads(path.read_text())
            found.update(dict.fromkeys(record["outputs"], record))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def read_code(directory: Path, code: str) -> dict[str, dict[str, str]] | None:
    """Digests by file and definition that a fingerprint stood for; None where no job under it was recorded."""
    try:
        return json.loads(_code_path(directory, code).read_text())
    except (OSError, ValueError):
        return None


def _memory_path(metadata: Path, output: str) -> Path:
    """Where Snakemake keeps what it remembers of a product: its name in base 64, in folders where that is long."""
    text = urlsafe_b64encode(output.encode()).decode()
    parts = [text[i : i + NAME_MAX] for i in range(0, len(text), NAME_MAX)]
    return metadata.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def restore(directory: Path, metadata: Path, workdir: Path = Path()) -> int:
    """Give Snakemake back its memory of the products recorded in ``directory``; the number of those restored.

    Does nothing while it remembers any of them, so that ``--cleanup-metadata`` keeps its effect. ``workdir`` is what
    the names of products are relative to.
    """
    if not directory.is_dir():
        return 0
    found = {name: record for name, record in read(directory).items() if (workdir / name).exists()}
    if any(_memory_path(metadata, name).exists() for name in found):
        return 0
    # where this is missing, Snakemake takes its folder for one of an older version
    (metadata.parent / "incomplete").mkdir(parents=True, exist_ok=True)
    for name, record in found.items():
        end = (workdir / name).stat().st_mtime
        _write_json(
            _memory_path(metadata, name),
            {
                "rule": record["rule"],
                "input": record["inputs"],
                "params": sorted(record["params"].values()),
                "record_format_version": FORMAT_VERSION,
                "starttime": end,
                "endtime": end,
                "incomplete": False,
                "log": None,
                "shellcmd": None,
                "code": None,
                "conda_env": None,
                "container_img_url": None,
                "software_stack_hash": None,
                "job_hash": None,
                "external_jobid": None,
                "input_checksums": {},
            },
        )
    return len(found)
