"""The ledger of a segment: what was read, what was not used, and why."""

from collections import Counter
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from fuxiflow.states.framing import Fault
from fuxiflow.storage import tables

SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("message", pa.int32()),
        ("time", pa.timestamp("ns")),
        ("channel", pa.string()),
        ("reason", pa.string()),
    ]
)


class Ledger:
    """Rows of what went wrong, and counts of messages: ``read`` = ``used`` + ``rejected`` + those ignored, by reason.

    A row names the file and the message's number in it (0: none in particular), the valid time and channel as far as
    they are known.
    """

    def __init__(self):
        self.rows: list[dict] = []
        self.read = self.used = self.rejected = 0
        self.ignored: Counter[str] = Counter()

    def note(
        self,
        reason: str,
        file: Path | str = "",
        message: int = 0,
        time: datetime | None = None,
        channel: str = "",
    ) -> None:
        """Add a row."""
        self.rows.append(
            {
                "file": str(file),
                "message": message,
                "time": time,
                "channel": channel,
                "reason": reason,
            }
        )

    def fault(self, fault: Fault) -> None:
        """Add a row for a damaged place of a file."""
        self.note(f"offset {fault.offset}: {fault.reason}", fault.path, fault.number)

    def ignore(self, reason: str, count: int = 1) -> None:
        """Count whole fields that are not wanted."""
        self.read += count
        self.ignored[reason] += count

    def summary(self) -> str:
        """The counts in a line; ValueError when they do not add up."""
        if self.read != self.used + self.rejected + self.ignored.total():
            raise ValueError(
                f"ledger: {self.read} fields read, but {self.used} used, {self.rejected} rejected and "
                f"{self.ignored.total()} ignored"
            )
        reasons = "".join(
            f", {count} ignored ({reason})" for reason, count in self.ignored.most_common()
        )
        counts = f"{self.read} fields read: {self.used} used, {self.rejected} rejected{reasons}"
        return f"{counts}; {len(self.rows)} ledger rows"

    def write(self, path: Path) -> None:
        """Write as Parquet; the summary is in the schema's metadata."""
        rows = pa.Table.from_pylist(self.rows, schema=SCHEMA)
        tables.write_parquet(path, rows, metadata={"summary": self.summary()}, compression="snappy")
