"""How states are stored."""

from typing import Literal

from fuxiflow.config.base import Section


class States(Section):
    """Stores that training reads. ``compression: none`` is copied from mapped files instead of unpacked, and takes
    the room of float32: a third more in the demonstration, two and a half times as much of real ERA5."""

    compression: Literal["lz4hc", "none"] = "lz4hc"
