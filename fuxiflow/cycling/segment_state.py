"""Restart state of a segment's cycle: the analyses so far, and what the next starts from.

Both lie in the folder of restart state of the job. The carry is saved after the analyses before it
are on disk, as a restart file: whole, with a checksum (:mod:`fuxiflow.storage.restart_files`). It
names the store that it belongs to and how many analyses that holds, and has the counts of what was
rejected in them. A job goes on from the newest carry that is sound and whose analyses are all
there. Where there is none it begins anew.
"""

import logging
import secrets
import shutil
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fuxiflow.channels import ChannelTable
from fuxiflow.cycling.analyses import Carry, Cycled
from fuxiflow.grids import Grid
from fuxiflow.models.networks import STEP
from fuxiflow.observations.ledger import LedgerEntry, build_ledger
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.states.coordinates import as_nanoseconds
from fuxiflow.states.store import StateWriter
from fuxiflow.storage.files import remove, settle_tree
from fuxiflow.storage.restart_files import RestartFiles
from fuxiflow.storage.zarr_stores import consolidate, open_store

ARRAYS = ("analysis", "background")
KEPT = 2
IDENTITY = "cycle_identity"
"""Attribute of an unfinished store that its carries name."""


class SegmentState:
    """The restart state in ``folder`` of a cycle over ``slots``, and the writer of its analyses."""

    def __init__(
        self,
        folder: Path,
        slots: np.ndarray,
        channels: ChannelTable,
        grid: Grid,
        shard: int,
        log: logging.Logger,
        compression: str = "lz4hc",
    ):
        """Open what a job before has left, where it fits together, or begin anew.

        Parameters
        ----------
        folder : Path
            The folder of restart state.
        slots : np.ndarray
            Times of the analyses, ``(n,)``.
        channels : ChannelTable
            Analysed channels.
        grid : Grid
            Grid of the analyses.
        shard : int
            Analyses in a file of the store, after which a carry is saved.
        log : logging.Logger
            Is told what is continued, and what is not and why.
        compression : str
            A key of :data:`~fuxiflow.states.store.COMPRESSIONS`.
        """
        self.folder, self.log = Path(folder), log
        self.store = self.folder / "analyses.zarr"
        self.slots = as_nanoseconds(slots)
        self._layout = slots, channels, grid, ARRAYS
        self.shard = shard
        self._files = RestartFiles(self.folder, KEPT, log, "carry")
        self._saved_at = 0.0
        self._begun = self._continued()
        if self._begun is not None:
            self._rejected = list(self._begun["rejected"])
            return
        self._rejected: list[tuple[str, str, str, int]] = []
        if self.store.exists() or self._files.files():
            log.warning(
                "%s: no analyses with a sound carry that goes on from them; begun anew", folder
            )
        for path in (self.store, *self._files.files()):
            remove(path)
        self.identity = secrets.token_hex(16)
        options = {"attrs": {IDENTITY: self.identity}, "compression": compression}
        self.writer = StateWriter(self.store, *self._layout, shard=shard, **options)

    def _continued(self) -> dict | None:
        """Open the store, and return the newest carry that goes on from it; None for none."""
        if not self.store.exists():
            return None
        try:
            self.identity = str(open_store(self.store).attrs[IDENTITY])
            self.writer = StateWriter(self.store, *self._layout, resume=True, shard=self.shard)
        # whatever Zarr makes of a damaged store
        except Exception as error:
            self.log.warning("%s cannot be continued: %s", self.store, error)
            return None
        written = self.writer.count_written
        for done, content in self._files.sound():
            due = self.slots[0] + done * STEP
            if content["store"] != self.identity or np.datetime64(content["time"], "ns") != due:
                reason = "it belongs to another store"
            elif done > written:
                reason = f"it comes after {done} analyses, of which {written} are there"
            else:
                self.writer.begin_at(done)
                return content
            self.log.warning("the carry of %s is passed over: %s", content["time"], reason)
        return None

    def carry(self, device: torch.device) -> Carry | None:
        """Return the states that the next analysis starts from; None where the segment begins."""
        if self._begun is None:
            return None
        carry = Carry.of(self._begun, device)
        self.log.info("resumed at %s", carry.time)
        return carry

    def write(self, index: int, cycled: Cycled, carry: Carry) -> None:
        """Store a cycle's analysis and background; after every file of the store, its carry too.

        Parameters
        ----------
        index : int
            Position of the time.
        cycled : Cycled
            The products.
        carry : Carry
            The states that the next cycle starts from.
        """
        self.writer.write(index, cycled.analysis, "analysis")
        self.writer.write(index, cycled.background, "background")
        day = str(np.datetime64(cycled.time, "D"))
        self._rejected += [
            (source, day, channel, count)
            for source, counts in cycled.rejected.items()
            for channel, count in counts.items()
        ]
        if (index + 1) % self.shard == 0 or index + 1 == len(self.slots):
            self.writer.flush()
            # the analyses first: a carry must not outlive those that it goes on from
            settle_tree(self.store, self._saved_at)
            self._saved_at = time.time() - 60
            own = {"store": self.identity, "rejected": self._rejected}
            self._files.save(index + 1, {**carry.content(), **own})

    def ledger(self) -> pd.DataFrame:
        """Count what was too far from the first guess, by source, day of the analysis and channel.

        The layout is that of :mod:`fuxiflow.observations.ledger`. A value counts once for each
        window that it is in.
        """
        return build_ledger(
            LedgerEntry(
                source, "", date.fromisoformat(day), Reason.FIRST_GUESS.label, count, channel
            )
            for source, day, channel, count in self._rejected
        )

    def finish(self, target: Path) -> None:
        """Move the whole store to its place and remove the restart state.

        Raises ValueError when analyses are lacking.
        """
        self.writer.close()
        shutil.move(self.store, target)
        # of two runs with the same settings products are the same
        del open_store(target, mode="r+").attrs[IDENTITY]
        consolidate(target)
        remove(self.folder)
