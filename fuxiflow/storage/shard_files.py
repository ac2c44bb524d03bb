"""Write a shard file of a Zarr v3 array a chunk at a time.

Zarr encodes and holds all chunks of a shard before it writes the file. The leads of a forecast at
0.25 degrees are 11.6 GB, so they are appended one by one. The layout is that of the codec
``sharding_indexed`` with its table at the end, see :mod:`fuxiflow.states.shards`.
"""

import os
from pathlib import Path

import numpy as np

from fuxiflow.storage.files import leftovers, remove, temporary
from fuxiflow.storage.zarr_checks import EMPTY, with_sum


class AppendedShard:
    """A shard file that grows by a chunk at a time, in any order.

    It lies under a temporary name beside its place until :meth:`finish`. No file is held open
    meanwhile, as there is one for each variable of each forecast that is made.
    """

    def __init__(self, path: Path, count: int):
        """Begin a file; what a killed process left of it goes.

        Parameters
        ----------
        path : Path
            Its place.
        count : int
            Number of chunks that the shard has.
        """
        self.path = Path(path)
        self._aside = temporary(self.path)
        self._table = np.full((count, 2), EMPTY, "<u8")
        self._end = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for left in leftovers(self.path):
            remove(left)

    def append(self, position: int, chunk: bytes) -> None:
        """Add the encoded chunk of a position; of a position that came before, it takes the place.

        Raises ValueError when the file is not as long as what was appended.
        """
        with open(self._aside, "ab") as file:
            if file.tell() != self._end:
                raise ValueError(
                    f"{self._aside}: has {file.tell()} bytes where {self._end} were written: "
                    "another process writes to it; run the job again"
                )
            file.write(chunk)
        self._table[position] = self._end, len(chunk)
        self._end += len(chunk)

    def finish(self) -> None:
        """Write the table of chunks and give the file its name.

        Raises ValueError when a chunk was never appended.
        """
        lacking = np.flatnonzero(self._table[:, 0] == EMPTY)
        if len(lacking):
            raise ValueError(
                f"{self.path}: {len(lacking)} of {len(self._table)} chunks were never written, "
                f"the first at position {lacking[0]}"
            )
        with open(self._aside, "ab") as file:
            file.write(with_sum(self._table.tobytes()))
        os.replace(self._aside, self.path)

    def abandon(self) -> None:
        """Remove what was written, where the file is not finished."""
        self._aside.unlink(missing_ok=True)
