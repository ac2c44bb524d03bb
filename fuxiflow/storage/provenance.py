"""Where an artefact came from: configuration digest, code fingerprint, inputs, versions, commit."""

import contextvars
import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from fuxiflow import ROOT, __version__

PACKAGES = ("numpy", "xarray", "zarr", "torch", "eccodes", "satpy", "jcm", "pandas", "pyarrow")
_current: contextvars.ContextVar[dict | None] = contextvars.ContextVar("provenance", default=None)


def digest(value) -> str:
    """A 16-digit hexadecimal digest of anything JSON can hold (other values by their text)."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Digest of a file's bytes up to 1 MB, else of its provenance stamp, or its size and modification time."""
    path = Path(path)
    if path.is_dir():
        stamp = path / "zarr.json"
        stamp = stamp if stamp.exists() else path / "provenance.json"
        return (
            file_digest(stamp) if stamp.exists() else digest(sorted(p.name for p in path.iterdir()))
        )
    stat = path.stat()
    if stat.st_size <= 1 << 20:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return digest([stat.st_size, stat.st_mtime_ns])


def commit() -> str:
    """The commit of the working tree, with ``+changes`` where it is not clean; ``unknown`` outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def versions() -> dict[str, str]:
    """Versions of the interpreter, the project and those of :data:`PACKAGES` that are installed."""
    found = {"python": platform.python_version(), "fuxiflow": __version__}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def collect(rule: str, params: dict, inputs: Iterable[Path]) -> dict:
    """The provenance of what ``rule`` makes with ``params`` from ``inputs``."""
    return {
        "rule": rule,
        "configuration": digest({key: value for key, value in params.items() if key != "code"}),
        "code": params.get("code", "unknown"),
        "inputs": {str(path): file_digest(path) for path in inputs if Path(path).exists()},
        "versions": versions(),
        "commit": commit(),
        "world": params.get("world", "unknown"),
    }


def use(provenance: dict) -> None:
    """Make ``provenance`` what the writers of this process stamp."""
    _current.set(provenance)


def current() -> dict:
    """The provenance to stamp on what is being written; outside a rule, that of an interactive session."""
    return _current.get() or {"rule": "interactive", "versions": versions(), "commit": commit()}


def as_json() -> str:
    """:func:`current` as a JSON text, for formats whose metadata are strings."""
    return json.dumps(current(), sort_keys=True, default=str)


def write_sidecar(directory: Path) -> None:
    """Stamp a directory of raw files with ``provenance.json``."""
    (Path(directory) / "provenance.json").write_text(as_json())
