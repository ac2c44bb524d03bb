"""Provenance of artefacts: digests of settings, code and inputs, versions, commit."""

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
    """Return 16 hexadecimal digits for anything JSON can hold, other values by their text."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Return a digest of a file: of its bytes up to 1 MB, else of its size and modification time.

    A folder is digested by its provenance stamp, or else by the names in it.
    """
    path = Path(path)
    if path.is_dir():
        stamp = path / "zarr.json"
        stamp = stamp if stamp.exists() else path / "provenance.json"
        if stamp.exists():
            return file_digest(stamp)
        return digest(sorted(entry.name for entry in path.iterdir()))
    stat = path.stat()
    if stat.st_size <= 1 << 20:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return digest([stat.st_size, stat.st_mtime_ns])


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8"
    ).stdout.strip()


def commit() -> str:
    """Return the commit of the working tree; ``unknown`` outside a checkout.

    ``+changes`` follows where the tree is not clean.
    """
    try:
        return _git("rev-parse", "HEAD") + ("+changes" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def versions() -> dict[str, str]:
    """Return versions of Python, the project and those of :data:`PACKAGES` that are installed."""
    numbers = {"python": platform.python_version(), "fuxiflow": __version__}
    for name in PACKAGES:
        try:
            numbers[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return numbers


def collect(rule: str, params: dict, inputs: Iterable[Path]) -> dict:
    """Gather the provenance of what a rule makes.

    Parameters
    ----------
    rule : str
        The name of the rule.
    params : dict
        The settings that change its products; ``code`` is the fingerprint of its code, ``world``
        says whether they are synthetic.
    inputs : iterable of Path
        The files that it reads; absent ones are left out.

    Returns
    -------
    dict
        Texts and digests by name.
    """
    return {
        "rule": rule,
        "configuration": digest({key: value for key, value in params.items() if key != "code"}),
        "code": params.get("code", "unknown"),
        "inputs": {str(path): file_digest(path) for path in inputs if Path(path).exists()},
        "versions": versions(),
        "commit": commit(),
        "world": params.get("world", "unknown"),
    }


def use(provenance: dict | None) -> None:
    """Make ``provenance`` what the writers of this process stamp; None for that of a session."""
    _current.set(provenance)


def current() -> dict:
    """Return the provenance to stamp; outside a rule, that of an interactive session."""
    return _current.get() or {"rule": "interactive", "versions": versions(), "commit": commit()}


def as_json() -> str:
    """Return :func:`current` as a JSON text, for formats whose metadata are strings."""
    return json.dumps(current(), sort_keys=True, default=str)


def write_sidecar(directory: Path) -> None:
    """Stamp a directory of raw files with ``provenance.json``."""
    (Path(directory) / "provenance.json").write_text(as_json(), encoding="utf-8")
