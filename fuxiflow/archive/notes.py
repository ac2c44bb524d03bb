"""Notes beside a file that is not whole yet, by which a killed job goes on."""

import json
import os
from dataclasses import asdict
from pathlib import Path


class Note:
    """A dataclass that is kept as JSON; a note that is damaged counts as none."""

    @classmethod
    def read(cls, path: Path):
        """Read a note; None where there is none that is whole."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Write the note, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_name(f"{path.name}.new")
        written.write_text(json.dumps(asdict(self)), encoding="utf-8")
        os.replace(written, path)
