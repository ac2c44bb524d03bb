"""Harm to files: a flipped byte, a truncation, a missing file; and the copies that undo it."""

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

UNHARMED = (".snakemake_timestamp",)
"""Files that are no part of a product."""


def files_of(product: Path) -> list[Path]:
    """All files of a product, which is a file or a folder, in the order of their names."""
    if product.is_file():
        return [product]
    return sorted(
        path for path in product.rglob("*") if path.is_file() and path.name not in UNHARMED
    )


@dataclass(frozen=True)
class Harm:
    """What was done to a file of a product: its kind and the place."""

    kind: str
    file: Path
    place: int = 0

    def __str__(self) -> str:
        where = f" at {self.place}" if self.kind != "missing" else ""
        return f"{self.kind} {self.file}{where}"


def _overwrite(path: Path, change) -> None:
    """Change the bytes of a file and keep its times, as a failing disk does."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    path.write_bytes(change(content))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def flip(product: Path, dice: random.Random) -> Harm:
    """Change one byte of one file: large files are hit more often, as by a failing disk.

    Every third hits any file alike, so that small ones, such as metadata, are not spared.
    """
    files = [path for path in files_of(product) if path.stat().st_size]
    sizes = [path.stat().st_size for path in files]
    file = dice.choice(files) if dice.random() < 1 / 3 else dice.choices(files, sizes)[0]
    place, mask = dice.randrange(file.stat().st_size), dice.randrange(1, 256)

    def change(content: bytearray) -> bytes:
        content[place] ^= mask
        return bytes(content)

    _overwrite(file, change)
    return Harm("flipped byte", file, place)


def truncate(product: Path, dice: random.Random) -> Harm:
    """Cut one file short, as an interrupted copy does."""
    files = [path for path in files_of(product) if path.stat().st_size > 1]
    file = dice.choice(files)
    place = dice.randrange(1, file.stat().st_size)
    _overwrite(file, lambda content: bytes(content[:place]))
    return Harm("truncated", file, place)


def remove_file(product: Path, dice: random.Random) -> Harm:
    """Remove one file, as a purge of a scratch disk does."""
    file = dice.choice(files_of(product))
    file.unlink()
    return Harm("missing", file)


def dangle(product: Path, dice: random.Random) -> Harm:
    """Replace a product by a link to a place that is not mounted."""
    remove(product)
    product.symlink_to("/nowhere/scratch/that/is/not/mounted")
    return Harm("unreachable", product)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def restore(path: str, reference: Path, folder: Path) -> None:
    """Put a product back as the reference has it, or remove it where that has none."""
    source, target = reference / path, folder / path
    remove(target)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copy2)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
