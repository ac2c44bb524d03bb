"""Files that appear whole or not at all, and folders of restart state, kept while they fit.

Restart state is what a killed job continues from. It lies outside the outputs of the job.
"""

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from fuxiflow.storage import provenance

KEY = "key"
LOG = logging.getLogger("fuxiflow")


def temporary(path: Path) -> Path:
    """Return the hidden neighbour of ``path`` that is written first.

    It keeps the suffix, which writers look at.
    """
    path = Path(path)
    return path.with_name(f".tmp-{path.name}")


def remove(path: Path) -> None:
    """Remove a file or a directory tree, if there is one."""
    path = Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def publish(written: Path, final: Path) -> None:
    """Rename what was written under a temporary name."""
    remove(final)
    os.replace(written, final)


def state_key(settings: Mapping[str, object] | None = None) -> str:
    """Digest what changes the result of the running rule: its settings, code and inputs.

    All parameters of the rule are its settings, unless ``settings`` name those that matter.
    """
    current = provenance.current()
    configuration = current.get("configuration")
    if settings is not None:
        configuration = provenance.digest(dict(settings))
    return provenance.digest(
        [current.get("rule"), configuration, current.get("code"), current.get("inputs")]
    )


def superseded(path: Path) -> Path:
    """Return the place beside a folder of restart state for one that no longer fits."""
    return path.with_name(f"{path.name}.superseded")


def workspace(path: Path, settings: Mapping[str, object] | None = None) -> Path:
    """Open a directory for restart state.

    State that was made with other settings, code or inputs is renamed, not deleted: it may be the
    work of days. The log says where it lies; one that was set aside before it goes.

    Parameters
    ----------
    path : Path
        The directory.
    settings : Mapping[str, object], optional
        The settings that change the result; by default all parameters of the running rule.

    Returns
    -------
    Path
        The directory, which exists and is empty where nothing fits.
    """
    path = Path(path)
    stamp, key = path / KEY, state_key(settings)
    if path.exists() and (not stamp.exists() or stamp.read_text() != key):
        aside = superseded(path)
        remove(aside)
        path.rename(aside)
        LOG.warning(
            "the restart state in %s was made with other settings, code or inputs; "
            "it is set aside as %s, and the job begins anew",
            path,
            aside.name,
        )
    path.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)
    return path
