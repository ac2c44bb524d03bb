"""What an artefact holds and where it came from, as text."""

import json
from pathlib import Path


def describe(path: Path) -> str:
    """Arrays, dates and provenance of a Zarr store, a Parquet table, a PNG figure or a folder of raw files.

    Raises FileNotFoundError, or ValueError for a file of another kind.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.suffix == ".zarr":
        return _store(path)
    if path.suffix == ".parquet":
        return _table(path)
    if path.suffix == ".png":
        return _figure(path)
    if (path / "provenance.json").exists():
        files = sorted(p for p in path.rglob("*") if p.is_file())
        size = sum(p.stat().st_size for p in files) / 1e6
        return f"{path}: {len(files)} files, {size:.1f} MB\n{_provenance((path / 'provenance.json').read_text())}"
    raise ValueError(f"{path}: not one of .zarr, .parquet, .png or a folder with provenance.json")


def _provenance(text: str | None) -> str:
    """A provenance stamp as indented text."""
    if not text:
        return "provenance: none"
    return "provenance:\n" + "\n".join(f"  {key}: {value}" for key, value in sorted(json.loads(text).items()))


def _store(path: Path) -> str:
    import xarray as xr

    with xr.open_zarr(path, consolidated=False) as data:
        lines = [f"{path}: {', '.join(f'{name} {size}' for name, size in data.sizes.items())}"]
        for name, array in data.variables.items():
            span = f", {array.values[0]} .. {array.values[-1]}" if array.dims == (name,) and array.size else ""
            lines.append(f"  {name} ({', '.join(map(str, array.dims))}) {array.dtype}{span}")
        return "\n".join([*lines, _provenance(data.attrs.get("provenance"))])


def _table(path: Path) -> str:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    metadata = file.schema_arrow.metadata or {}
    lines = [f"{path}: {file.metadata.num_rows} rows"]
    lines += [f"  {field.name} {field.type}" for field in file.schema_arrow]
    return "\n".join([*lines, _provenance(metadata.get(b"provenance", b"").decode())])


def _figure(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as image:
        return f"{path}: {image.width} x {image.height} pixels\n{_provenance(image.info.get('provenance'))}"
