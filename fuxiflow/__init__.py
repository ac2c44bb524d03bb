"""fuxiflow: from raw radiances and reanalysis to neural assimilation, forecasts and scores."""

from pathlib import Path

__version__ = "0.1.0"

PACKAGE = Path(__file__).resolve().parent


def project_folder(package: Path = PACKAGE, current: Path = Path()) -> Path:
    """Return the folder whose ``config`` and ``resources`` are read.

    A checkout's own files win: those of the checkout that the package is in, else those of the
    current folder where it is a checkout. An installed package carries a copy in ``fuxiflow/data``
    (``[tool.setuptools]`` in ``pyproject.toml``), so that it works in any folder.
    """
    for folder in (package.parent, current):
        if (folder / "Snakefile").is_file() and (folder / "config" / "channels.csv").is_file():
            return folder.resolve()
    return package / "data"


# Modules name a project file as ROOT / "folder" / "file": runtime.fingerprint reads that from
# their source to see which data files a computation depends on.
ROOT = project_folder()
