"""Describe an artefact as text: ``fuxiflow inspect PATH``."""

from pathlib import Path

from fuxiflow.inspection.text import lines_of_check, provenance_text

MOST_KINDS = 20
"""Kinds of files, and stores, of a folder that are listed."""


def describe(path: Path) -> str:
    """Return what an artefact holds and where it came from.

    It tells dates, counts, the ledger, least, mean and largest values by channel, and provenance.
    Artefacts are Zarr stores, Parquet tables, checkpoints, the tables and pictures of figures, and
    folders. Of other files the kind, size and digest are told. Raises FileNotFoundError, or
    ValueError for a file that is not what its name says.
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
    if path.is_dir():
        return folder_text(path)
    from fuxiflow.inspection.files import file_text

    lines_of_check(path)
    return file_text(path)


def folder_text(path: Path) -> str:
    """Return what a folder holds, by kind, and the provenance that lies in it."""
    stores = sorted(store for store in path.rglob("*.zarr") if store.is_dir())
    inside = set(stores)
    files = [file for file in path.rglob("*") if file.is_file() and inside.isdisjoint(file.parents)]
    kinds: dict[str, list[int]] = {}
    for file in files:
        kinds.setdefault(file.suffix or file.name, []).append(file.stat().st_size)
    size = sum(map(sum, kinds.values())) / 1e6
    lines = [f"{path}: {len(files)} files, {size:.1f} MB, and {len(stores)} Zarr stores"]
    for kind, sizes in sorted(kinds.items(), key=lambda item: -sum(item[1]))[:MOST_KINDS]:
        lines.append(f"  {len(sizes)} {kind}, {sum(sizes) / 1e6:.1f} MB")
    lines += [f"  {store.relative_to(path)}" for store in stores[:MOST_KINDS]]
    others = len(stores) - MOST_KINDS
    lines += [f"  and {others} more stores"] if others > 0 else []
    stamp = path / "provenance.json"
    lines += [provenance_text(stamp.read_text(encoding="utf-8"))] if stamp.exists() else []
    return "\n".join(lines)


def _figure(path: Path) -> str:
    """Return the size and provenance of a picture."""
    from PIL import Image

    unchecked = lines_of_check(path)
    with Image.open(path) as image:
        stamp = provenance_text(image.info.get("provenance"))
        head = f"{path}: {image.width} x {image.height} pixels"
        return "\n".join([head, *unchecked, stamp])
