"""Describe an artefact as text: ``fuxiflow inspect PATH``."""

from pathlib import Path

from fuxiflow.inspection.text import provenance_text

SUFFIXES = (".zarr", ".parquet", ".ckpt", ".pt", ".csv", ".png")


def describe(path: Path) -> str:
    """Return what an artefact holds and where it came from.

    It tells dates, counts, the ledger, least, mean and largest values by channel, and provenance.
    Artefacts are Zarr stores, Parquet tables, checkpoints, the tables and pictures of figures, and
    folders of raw files. Raises FileNotFoundError, or ValueError for a file of another kind or one
    that cannot be read.
    """
    # each kind imports what it needs: a picture does not wait for torch
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.suffix == ".zarr":
        from fuxiflow.inspection.stores import describe_store

        return describe_store(path)
    if path.suffix in (".parquet", ".csv"):
        from fuxiflow.inspection import tables

        if path.suffix == ".parquet":
            return tables.describe_parquet(path)
        return tables.describe_csv(path)
    if path.suffix in (".ckpt", ".pt"):
        from fuxiflow.inspection.checkpoints import describe_checkpoint

        return describe_checkpoint(path)
    if path.suffix == ".png":
        return _figure(path)
    if (path / "provenance.json").exists():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        size = sum(p.stat().st_size for p in files) / 1e6
        stamp = provenance_text((path / "provenance.json").read_text(encoding="utf-8"))
        return f"{path}: {len(files)} files, {size:.1f} MB\n{stamp}"
    raise ValueError(f"{path}: not one of {', '.join(SUFFIXES)} or a folder with provenance.json")


def _figure(path: Path) -> str:
    """Return the size and provenance of a picture."""
    from PIL import Image

    with Image.open(path) as image:
        stamp = provenance_text(image.info.get("provenance"))
        return f"{path}: {image.width} x {image.height} pixels\n{stamp}"
