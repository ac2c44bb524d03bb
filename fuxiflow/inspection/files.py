"""Files without a description of their own as text: JSON, other text, and all others."""

import hashlib
import json
from pathlib import Path

FIRST_LINES = 5
MOST_COLUMNS = 100
MOST_TEXT = 1 << 22
"""Bytes up to which a file is looked at as text."""


def file_text(path: Path) -> str:
    """Describe a file by its size, and what it holds as far as that is text.

    ValueError where the name says JSON and the content is not.
    """
    size = path.stat().st_size
    if size <= MOST_TEXT:
        content = path.read_bytes()
        if path.suffix == ".json":
            return f"{path}: {_json(path, content)}"
        try:
            if b"\0" not in content:
                return f"{path}: {_text(content.decode('utf-8'))}"
        except UnicodeDecodeError:
            pass
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{path}: {path.suffix or 'no suffix'}, {size / 1e6:.3f} MB, SHA-256 {digest}"


def _json(path: Path, content: bytes) -> str:
    """Return the keys of JSON, or its length."""
    try:
        value = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if not isinstance(value, dict):
        return f"JSON, {len(value)} entries" if isinstance(value, list) else f"JSON, {value!r}"
    lines = [f"  {key}: {json.dumps(part)[:MOST_COLUMNS]}" for key, part in value.items()]
    return "\n".join([f"JSON, {len(value)} keys", *lines])


def _text(text: str) -> str:
    """Return the number of lines, and the first and last ones."""
    lines = text.splitlines()
    shown = lines
    if len(lines) > 2 * FIRST_LINES:
        shown = [*lines[:FIRST_LINES], "…", *lines[-FIRST_LINES:]]
    return "\n".join([f"{len(lines)} lines", *(f"  {line[:MOST_COLUMNS]}" for line in shown)])
