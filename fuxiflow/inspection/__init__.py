"""What an artefact holds and where it came from, as text: ``python -m fuxiflow inspect PATH``."""

from pathlib import Path

from fuxiflow.inspection.text import provenance

SUFFIXES = (".zarr", ".parquet", ".ckpt", ".pt", ".csv", ".png")


def describe(path: Path) -> str:
    """Dates, counts, ledger, least, mean and largest values by channel, and provenance of an artefact.

    Zarr stores, Parquet tables, checkpoints, the tables and pictures of figures, and folders of raw files. Raises
    FileNotFoundError, or ValueError for a file of another kind or one that cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.suffix == ".zarr":
        from fuxiflow.inspection.stores import store

        return store(path)
    if path.suffix in (".parquet", ".csv"):
        from fuxiflow.inspection import tables

        return tables.table(path) if path.suffix == ".parquet" else tables.plain(path)
    if path.suffix in (".ckpt", ".pt"):
        from fuxiflow.inspection.networks import saved

        return saved(path)
    if path.suffix == ".png":
        return _figure(path)
    if (path / "provenance.json").exists():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        size = sum(p.stat().st_size for p in files) / 1e6
        return f"{path}: {len(files)} files, {size:.1f} MB\n{provenance((path / 'provenance.json').read_text())}"
    raise ValueError(f"{path}: not one of {', '.join(SUFFIXES)} or a folder with provenance.json")


def _figure(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as image:
        return f"{path}: {image.width} x {image.height} pixels\n{provenance(image.info.get('provenance'))}"
