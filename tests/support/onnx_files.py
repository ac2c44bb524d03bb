"""ONNX models of FuXi's interface for tests, small enough to be checked by hand.

They are written field by field as the protocol-buffer messages of onnx.proto (numbers in comments
there), so that no test needs the onnx package.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

FLOAT, INT64, INT_ATTRIBUTE = 1, 7, 2


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _field(number: int, value: int | str | bytes) -> bytes:
    """One field of a message: a number, a text, or bytes (of a message or of values)."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _value(name: str, shape: Sequence[int | str]) -> bytes:
    """A ValueInfoProto of float32; a text is the name of an axis that is left open."""
    dimensions = b"".join(
        _field(1, _field(1 if isinstance(side, int) else 2, side)) for side in shape
    )
    return _field(1, name) + _field(2, _field(1, _field(1, FLOAT) + _field(2, dimensions)))


def _tensor(name: str, values: np.ndarray) -> bytes:
    """A TensorProto."""
    kind = {"f": FLOAT, "i": INT64}[values.dtype.kind]
    sides = b"".join(_field(1, side) for side in values.shape)
    return sides + _field(2, kind) + _field(8, name) + _field(9, values.tobytes())


def _node(kind: str, inputs: Sequence[str], output: str, axis: int | None = None) -> bytes:
    """A NodeProto."""
    node = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)
    if axis is not None:
        node += _field(5, _field(1, "axis") + _field(3, axis) + _field(20, INT_ATTRIBUTE))
    return node


def write(
    path: Path,
    shape: Sequence[int | str],
    shift: float = 0.0,
    weights: np.ndarray | None = None,
    names: tuple[str, str] = ("input", "temb"),
    frames: int = 2,
) -> Path:
    """x(t-6), x(t), temb → x(t), 2 x(t) - x(t-6) + ``shift`` + temb · ``weights (12,)``, as FuXi's
    models return it.

    ``shape`` is that of the states; with ``frames`` 1 only the second is returned, as FuXi's models
    do not.
    """
    states, embedding = names
    weights = np.zeros(12) if weights is None else weights
    nodes = [
        _node("Gather", [states, "first"], "previous", axis=1),
        _node("Gather", [states, "second"], "current", axis=1),
        _node("Sub", ["current", "previous"], "change"),
        _node("Add", ["current", "change"], "line"),
        _node("MatMul", [embedding, "weights"], "season"),
        _node("Add", ["line", "season"], "seasonal"),
        _node("Add", ["seasonal", "shift"], "following"),
        _node(
            "Concat", ["current", "following"] if frames == 2 else ["following"], "output", axis=1
        ),
    ]
    tensors = [
        _tensor("first", np.array([0])),
        _tensor("second", np.array([1])),
        _tensor("weights", np.asarray(weights, np.float32)[:, None]),
        _tensor("shift", np.array([shift], np.float32)),
    ]
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "forecaster")
    graph += b"".join(_field(5, tensor) for tensor in tensors)
    graph += _field(11, _value(states, shape)) + _field(11, _value(embedding, [1, 12]))
    graph += _field(12, _value("output", [shape[0], frames, *shape[2:]]))
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13)))
    return path
