"""Files and folders that appear whole or not at all."""

import os
import shutil
from pathlib import Path


def temporary(path: Path) -> Path:
    """The hidden neighbour of ``path`` that is written first; it keeps the suffix, which writers look at."""
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
