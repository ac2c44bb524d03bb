"""Compare what two runs have computed, bit by bit: ``python -m tests.support.same_results A B``.

``A`` and ``B`` are folders such as ``results/test``. Numbers, texts and attributes are compared;
what tells when, where and by which version something was made is not: provenance, logs, records,
benchmarks, costs. Prints what differs, one line each, and exits with 1 where something does.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import torch
import zarr
from PIL import Image

FOLDERS_LEFT_OUT = ("benchmarks", "checksums", "logs", "records", "state", "warnings")
NAMES_LEFT_OUT = ("provenance.json", "manifest.json", "status.html", "report.html")
SUFFIXES_LEFT_OUT = (".pdf", ".log")  # a PDF holds its date; the PNG beside it has the same picture
STEMS_LEFT_OUT = ("costs",)
KEYS_LEFT_OUT = (
    *("provenance", "pandas", "ARROW:schema", "versions", "commit", "code"),
    *("checksum", "digest"),
)


def products(results: Path) -> dict[str, Path]:
    """Find the files and Zarr stores of a run that are compared, by their path in ``results``."""
    paths: dict[str, Path] = {}

    def walk(folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            if path.suffix == ".zarr" or (path.is_file() and is_compared(path)):
                paths[path.relative_to(results).as_posix()] = path
            elif path.is_dir() and not (folder == results and path.name in FOLDERS_LEFT_OUT):
                walk(path)

    walk(results)
    return paths


def is_compared(path: Path) -> bool:
    """Say whether a file holds what a run computes, and not when or where it did."""
    return not (
        path.name.startswith(".")
        or path.name in NAMES_LEFT_OUT
        or path.stem in STEMS_LEFT_OUT
        or path.suffix in SUFFIXES_LEFT_OUT
    )


def _arrays_of_group(group: zarr.Group | h5py.Group, members: Iterator[tuple]) -> dict:
    """Collect arrays and attributes of a hierarchy by their path."""
    values = {f"@{key}": value for key, value in group.attrs.items()}
    for path, node in members:
        values |= {f"{path}@{key}": value for key, value in node.attrs.items()}
        if hasattr(node, "shape"):
            values[path] = np.asarray(node[()])
    return values


def _zarr(path: Path) -> dict:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Snakemake's time stamp is no part of the hierarchy
        group = zarr.open_group(path, mode="r")
        return _arrays_of_group(group, group.members(max_depth=None))


def _hdf5(path: Path) -> dict:
    with h5py.File(path) as file:
        nodes: list[tuple] = []
        file.visititems(lambda name, node: nodes.append((name, node)))
        return _arrays_of_group(file, iter(nodes))


def _parquet(path: Path) -> dict:
    table = pq.read_table(path)
    values = {f"@{key.decode()}": text for key, text in (table.schema.metadata or {}).items()}
    values |= {f"type of {field.name}": str(field.type) for field in table.schema}
    return values | {name: table[name].to_pandas().to_numpy() for name in table.column_names}


def _checkpoint(path: Path) -> dict:
    return {"": torch.load(path, map_location="cpu", weights_only=False)}


def _numpy(path: Path) -> dict:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _picture(path: Path) -> dict:
    with Image.open(path) as image:
        return {"pixels": np.asarray(image)}


READERS: dict[str, Callable[[Path], dict]] = {
    ".zarr": _zarr,
    ".h5": _hdf5,
    ".HDF": _hdf5,
    ".nc": _hdf5,
    ".parquet": _parquet,
    ".ckpt": _checkpoint,
    ".pt": _checkpoint,
    ".npz": _numpy,
    ".restart": _numpy,
    ".png": _picture,
}


def _contents(path: Path) -> dict:
    """Read a product as values by name; its bytes where no reader knows its kind."""
    try:
        return READERS[path.suffix](path)
    except KeyError:
        return {"bytes": path.read_bytes()}


def _compare(name: str, one: object, other: object) -> Iterator[str]:
    """Compare two values, parts of dictionaries and lists one by one; yield a line a difference.

    Parameters
    ----------
    name : str
        How the value is called in the lines.
    one, other : object
        Dictionaries, sequences, arrays, tensors, or what ``==`` compares.

    Yields
    ------
    str
        A difference.
    """
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        one, other = one.contiguous().numpy(), other.contiguous().numpy()
    if type(one) is not type(other):
        yield f"{name}: {type(one).__name__} and {type(other).__name__}"
    elif isinstance(one, dict):
        for key in {**one, **other}:
            if str(key).rsplit("@", 1)[-1] in KEYS_LEFT_OUT:
                continue
            if key not in one or key not in other:
                yield f"{name}/{key}: in the {'first' if key in one else 'second'} alone"
            else:
                yield from _compare(f"{name}/{key}" if str(key) else name, one[key], other[key])
    elif isinstance(one, list | tuple):
        if len(one) != len(other):
            yield f"{name}: {len(one)} and {len(other)} parts"
        for i, (first, second) in enumerate(zip(one, other, strict=False)):
            yield from _compare(f"{name}[{i}]", first, second)
    elif isinstance(one, np.ndarray):
        yield from _compare_arrays(name, one, other)
    elif one != other and not (one != one and other != other):
        yield f"{name}: {_short(one)} and {_short(other)}"


def _compare_arrays(name: str, one: np.ndarray, other: np.ndarray) -> Iterator[str]:
    """Compare arrays by shape, type and bits; objects, such as texts, by value."""
    if one.shape != other.shape or one.dtype != other.dtype:
        yield f"{name}: {one.dtype} {one.shape} and {other.dtype} {other.shape}"
    elif one.dtype.hasobject:
        unlike = [
            i
            for i, (a, b) in enumerate(zip(one.flat, other.flat, strict=True))
            if not np.array_equal(a, b) and not (a != a and b != b)
        ]
        if unlike:
            yield f"{name}: {len(unlike)} of {one.size} values differ, the first at {unlike[0]}"
    elif one.tobytes() != other.tobytes():
        bits, others = (
            np.frombuffer(array.tobytes(), np.uint8).reshape(one.size, -1) for array in (one, other)
        )
        line = f"{name}: {int((bits != others).any(axis=1).sum())} of {one.size} values differ"
        if one.dtype.kind in "fiu":
            distance = np.abs(one.astype(float) - other.astype(float))
            line += f", by up to {np.nanmax(distance, initial=0.0):.3g}"
        yield line


def compare_products(one: Path, other: Path) -> Iterator[str]:
    """Compare two products, each a file or a Zarr store; yield a line a difference."""
    yield from _compare(one.name, _contents(one), _contents(other))


def _short(value: object, width: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def differences(first: Path, second: Path, within: str = "") -> list[str]:
    """List what two runs computed differently.

    Parameters
    ----------
    first, second : Path
        Folders of results.
    within : str
        The start of the paths that are compared, such as ``models/``; all by default.

    Returns
    -------
    list of str
        One line a difference; empty where both computed the same.

    Raises
    ------
    FileNotFoundError
        Where a folder holds no product to compare.
    """
    paths, others = (
        {name: path for name, path in products(Path(folder)).items() if name.startswith(within)}
        for folder in (first, second)
    )
    for folder, named in ((first, paths), (second, others)):
        if not named:
            raise FileNotFoundError(f"{folder}: no products to compare there")
    lines = []
    for name in sorted({**paths, **others}):
        if name not in paths or name not in others:
            lines.append(f"{name}: in the {'first' if name in paths else 'second'} alone")
        else:
            lines += _compare(name, _contents(paths[name]), _contents(others[name]))
    return lines


def main(words: list[str] | None = None) -> int:
    """Print what differs between two folders of results; the status is 1 where something does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--within", default="", help="the start of the paths to compare")
    options = parser.parse_args(words)
    lines = differences(options.first, options.second, options.within)
    compared = sum(name.startswith(options.within) for name in products(options.first))
    print("\n".join([*lines, f"{compared} products compared, {len(lines)} differences"]))
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
