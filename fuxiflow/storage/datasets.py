"""Data sets of xarray as Zarr stores whose chunks and metadata are checked when they are read."""

from collections.abc import Mapping
from pathlib import Path

import xarray as xr
from zarr.storage import LocalStore

from fuxiflow.storage.zarr_stores import (
    CheckedStore,
    codecs,
    consolidate,
    naming_damage,
    open_store,
    writing_parts,
)


def write_dataset(path: Path, groups: Mapping[str, xr.Dataset]) -> None:
    """Write data sets as a store, in place of one that is there.

    Parameters
    ----------
    path : Path
        The store.
    groups : mapping of str to xr.Dataset
        The data set of each group, asked for one by one; that of the store itself is ``""`` and
        comes first.
    """
    store = CheckedStore(LocalStore(path))
    with writing_parts():
        for name, data in groups.items():
            data.to_zarr(
                store,
                group=name,
                mode="a" if name else "w",
                zarr_format=3,
                consolidated=False,
                write_empty_chunks=True,
                encoding={variable: {"compressors": codecs()} for variable in data.variables},
            )
    consolidate(path)


def open_dataset(path: Path, group: str = "") -> xr.Dataset:
    """Open a store with xarray: what is read from it later is checked.

    Parameters
    ----------
    path : Path
        The store.
    group : str
        The group in it.

    Returns
    -------
    xr.Dataset
        Its arrays, not yet read.

    Raises
    ------
    FileNotFoundError, DamagedError
        As :func:`open_store` does.
    """
    open_store(path)
    store = CheckedStore(LocalStore(path, read_only=True))
    with naming_damage(path):
        return xr.open_zarr(store, group=group, consolidated=False, chunks=None)


def read_dataset(path: Path, group: str = "") -> xr.Dataset:
    """Read a store, or a group of one, into memory; raises as :func:`open_dataset`."""
    with open_dataset(path, group) as data, naming_damage(path):
        return data.load()
