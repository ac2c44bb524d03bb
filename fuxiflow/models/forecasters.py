"""Forecasters in physical units: their common interface, and FuXi's public ONNX models.

FuXi's models, and whatever has their interface, run as a cascade through onnxruntime. The interface
is that of the code published with Chen et al., FuXi, npj Clim. Atmos. Sci. 6, 190, 2023
(https://github.com/tpys/FuXi): inputs ``input (1, 2, 70, lat, lon)``, the states at t-6 h and t in
physical units, latitudes from pole to pole (721 x 1440), and ``temb (1, 12)``; one output of the
shape of ``input``, whose last frame is the state at t+6 h and which is the next step's input as a
whole. ``short``, ``medium`` and ``long`` are used for 20 steps each, in that order.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from fuxiflow.channels import PRESSURE_LEVELS, ChannelTable, channel_table
from fuxiflow.grids import Grid
from fuxiflow.times import STEP_HOURS

log = logging.getLogger("fuxiflow")

CHANNELS = [
    *(f"{name}{level}" for name in "ZTUVR" for level in PRESSURE_LEVELS),
    "T2M",
    "U10",
    "V10",
    "MSL",
    "TP",
]
FRAMES = 2
FULL_SIZE = (721, 1440)
STEP = np.timedelta64(STEP_HOURS, "h")


class ForecastModel(Protocol):
    """A global forecaster of six-hourly steps.

    ``channels`` are those of its states, in its order, in the channel table's units; ``grid`` is
    the one it works on.
    """

    channels: ChannelTable
    grid: Grid

    def forecast(
        self, previous: np.ndarray, current: np.ndarray, inits: np.ndarray, steps: int
    ) -> Iterator[np.ndarray]:
        """Forecast a batch of initial times in steps of six hours.

        Parameters
        ----------
        previous, current : np.ndarray
            The states at t-6 h and t, ``(init, channel, lat, lon)``. Precipitation must be finite:
            0 where an analysis has none.
        inits : np.ndarray
            The times t, ``(init,)``.
        steps : int
            Number of steps.

        Yields
        ------
        np.ndarray
            The forecasts of 6 h, 12 h, and so on, ``(init, channel, lat, lon)``.

        Raises
        ------
        FloatingPointError
            When a forecast is not finite.
        """
        ...


def time_embedding(times: np.ndarray) -> np.ndarray:
    """Compute ``temb (time, 12)`` of steps from ``times``.

    It holds for t-6 h, t and t+6 h the sine of day and hour, then their cosine. Day of the year
    over 366 and hour over 24 are taken as radians: there is no 2 pi in the published code, and the
    published weights were trained with that.
    """
    times = np.asarray(times, "datetime64[h]")[:, None] + np.arange(-1, 2) * STEP
    days = times.astype("datetime64[D]")
    day = (days - days.astype("datetime64[Y]")).astype(int) + 1
    hour = (times - days).astype(int)
    phase = np.stack([day / 366, hour / 24], -1).astype(np.float32)
    return np.concatenate([np.sin(phase), np.cos(phase)], -1).reshape(len(times), -1)


def providers(accelerator: str) -> list[str]:
    """List the execution providers of onnxruntime for ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    RuntimeError
        When CUDA is asked for and not there.
    """
    import onnxruntime

    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if accelerator == "cuda" and not cuda:
        raise RuntimeError(
            "training.accelerator is cuda, but this onnxruntime has no CUDA provider; install "
            "onnxruntime-gpu in its place, or set it to auto or cpu"
        )
    return (
        ["CUDAExecutionProvider", "CPUExecutionProvider"]
        if cuda and accelerator != "cpu"
        else ["CPUExecutionProvider"]
    )


class OnnxCascade:
    """A :class:`ForecastModel` of ONNX files, each used for ``steps`` steps, in order.

    One model is in memory at a time. The grid is that of the first file's input, poles included
    where the number of latitudes is odd.
    """

    def __init__(
        self, paths: Sequence[Path], steps: int = 20, accelerator: str = "auto", threads: int = 0
    ):
        """Open the first model.

        Parameters
        ----------
        paths : Sequence[Path]
            ONNX files, in the order of their use.
        steps : int
            Steps that each is used for.
        accelerator : str
            ``auto``, ``cpu`` or ``cuda``.
        threads : int
            Threads of the processor; 0 leaves it to onnxruntime.

        Raises
        ------
        ValueError
            When a file is no such model, with what it is instead.
        """
        if not paths:
            raise ValueError("no ONNX file given")
        self.paths, self.steps = [Path(path) for path in paths], steps
        self.channels = channel_table().select(CHANNELS)
        self._providers, self._threads = providers(accelerator), threads
        log.info("device: %s, as accelerator is %s", self._providers[0], accelerator)
        self._loaded = -1
        self._load(0)
        nlat, nlon = self._signature()
        self.grid = Grid(nlat, nlon, poles=bool(nlat % 2))

    def _load(self, number: int) -> None:
        """Open model ``number``, unless it is open; the one before is dropped first."""
        if number == self._loaded:
            return
        import onnxruntime

        self._session, self._loaded = None, -1
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        # as in the published code: what one step took is given back, at full size tens of gigabytes
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        path = self.paths[number]
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=self._providers)
        except Exception as error:
            raise ValueError(
                f"{path} cannot be opened as an ONNX model: {error}; weights that it keeps in a "
                f"second file must lie beside it"
            ) from error
        self._loaded = number
        if number and self._signature() != list(self.grid.shape):
            raise ValueError(
                f"{path} works on {self._signature()} points, the first model on "
                f"{list(self.grid.shape)}"
            )

    def _signature(self) -> list[int]:
        """Latitudes and longitudes of the open model's ``input``.

        Raises
        ------
        ValueError
            When it has another interface than FuXi's.
        """
        inputs = {node.name: (node.type, list(node.shape)) for node in self._session.get_inputs()}
        kind, shape = inputs.get("input", ("", []))
        expected = [1, FRAMES, len(CHANNELS)]
        # axes that are left open have names, or nothing, instead of sizes
        fits = len(shape) == 5 and all(
            a == b or not isinstance(a, int) for a, b in zip(shape, expected, strict=False)
        )
        if set(inputs) != {"input", "temb"} or kind != "tensor(float)" or not fits:
            path = self.paths[self._loaded]
            raise ValueError(
                f"{path} is no forecaster of FuXi's interface: inputs {inputs}, "
                f"expected 'input' (1, {FRAMES}, {len(CHANNELS)}, lat, lon) and 'temb' (1, 12), "
                f"float32"
            )
        return [
            side if isinstance(side, int) else usual
            for side, usual in zip(shape[-2:], FULL_SIZE, strict=True)
        ]

    def _step(self, states: np.ndarray, embedding: np.ndarray) -> np.ndarray:
        """Make one step of one forecast, ``(2, channel, lat, lon)`` to the same."""
        arguments = {
            "input": np.ascontiguousarray(states[None], np.float32),
            "temb": embedding[None],
        }
        result = self._session.run(None, arguments)[0]
        if result.shape != arguments["input"].shape:
            raise ValueError(
                f"{self.paths[self._loaded]} returns {result.shape}, not the shape of its input "
                f"{arguments['input'].shape}"
            )
        return result[0]

    def forecast(
        self, previous: np.ndarray, current: np.ndarray, inits: np.ndarray, steps: int
    ) -> Iterator[np.ndarray]:
        """Forecast as :meth:`ForecastModel.forecast` describes.

        Precipitation is never negative in the forecasts; what is fed back is the model's own.

        Parameters
        ----------
        previous, current : np.ndarray
            The states at t-6 h and t, ``(init, channel, lat, lon)``.
        inits : np.ndarray
            The times t, ``(init,)``.
        steps : int
            Number of steps.

        Yields
        ------
        np.ndarray
            The forecasts of 6 h, 12 h, and so on, ``(init, channel, lat, lon)``.

        Raises
        ------
        ValueError
            Beyond the cascade's reach.
        """
        if steps > self.steps * len(self.paths):
            raise ValueError(
                f"{steps} steps wanted of {len(self.paths)} models of {self.steps} steps each"
            )
        states = list(np.stack([previous, current], 1))
        rain = CHANNELS.index("TP")
        for step in range(steps):
            self._load(step // self.steps)
            embeddings = time_embedding(inits + STEP * step)
            states = [self._step(*pair) for pair in zip(states, embeddings, strict=True)]
            fields = np.stack([pair[-1] for pair in states])
            if not np.isfinite(fields).all():
                raise FloatingPointError(f"forecasts are not finite at {STEP_HOURS * (step + 1)} h")
            np.maximum(fields[:, rain], 0, out=fields[:, rain])
            yield fields
