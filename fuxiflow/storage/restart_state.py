"""Restart state: what a killed job continues from, kept outside its outputs and only while it still fits."""

from pathlib import Path

from fuxiflow.storage import provenance
from fuxiflow.storage.files import remove

KEY = "key"


def key() -> str:
    """A digest of the configuration, code and inputs of the running rule."""
    current = provenance.current()
    return provenance.digest(
        [current.get(name) for name in ("rule", "configuration", "code", "inputs")]
    )


def workspace(path: Path) -> Path:
    """A directory for restart state; emptied when it was made with another configuration, other code or inputs."""
    path = Path(path)
    stamp = path / KEY
    if path.exists() and (not stamp.exists() or stamp.read_text() != key()):
        remove(path)
    path.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key())
    return path
