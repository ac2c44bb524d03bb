"""Decode data in a process of its own, for libraries that crash or hang on damaged files.

ecCodes (BUFR) and netCDF4 (classic NetCDF) may end the interpreter, or never return.
"""

import math
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import Any

_MEMORY = 4 << 30  # octets of address space of a decoding process
_PART = 1 << 20  # octets of data that a call's time is for
# seconds by the clock for one of the processor: then a call waits and does nothing
_WAITING = 30


@dataclass(frozen=True)
class DecodingFailure:
    """The reason why data could not be decoded."""

    why: str


class DecodingProcess:
    """A process that applies a function to data; a context manager, called as the function is.

    Data on which the function raises, crashes the process or takes longer than ``timeout`` seconds
    of the processor for each begun MiB give a :class:`DecodingFailure`: what is decoded does not
    depend on how busy a machine is. After a crash or a timeout the next data have a new process.
    The process's own output, such as ecCodes' complaints, is discarded.

    Parameters
    ----------
    function : Callable[[bytes], Any]
        A function at the top level of a module, or a :class:`functools.partial` of one: it is
        pickled. So are its results.
    timeout : float
        Seconds of the processor that one call may take for a MiB of data.
    """

    def __init__(self, function: Callable[[bytes], Any], timeout: float = 30.0):
        self._function = pickle.dumps(function)
        self._timeout = timeout
        self._process: subprocess.Popen | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> "DecodingProcess":
        return self

    def __exit__(self, *_) -> None:
        self._stop()

    def _start(self) -> None:
        """Start the process and wait until it has imported the function.

        RuntimeError when the process ends at once.
        """
        self._connection, theirs = Pipe()
        # named by reference, so that the fingerprint of whoever decodes reaches the function
        code = f"from {__name__} import {_serve.__name__} as serve; serve({theirs.fileno()})"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "OMP_NUM_THREADS": "1",
        }
        with theirs:
            # A fresh interpreter: a fork would share ecCodes' state, and multiprocessing's spawn
            # would run the main script again.
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._connection.send_bytes(self._function)
        try:
            # wait for it here: the time of its imports does not count as decoding
            self._connection.recv()
        except EOFError as error:
            status = self._stop()
            raise RuntimeError(
                f"the decoding process ended at its start, status {status}"
            ) from error

    def _stop(self) -> int | None:
        """Stop the process, if there is one; return its exit status if it ended by itself."""
        if self._process is None:
            return None
        self._connection.close()
        try:
            status = self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            status = None
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None
        return status

    def __call__(self, data: bytes) -> Any:
        """Return the function's result for ``data``, or a :class:`DecodingFailure`."""
        if self._process is None:
            self._start()
        limit = self._timeout * max(1, math.ceil(len(data) / _PART))
        late = DecodingFailure(f"decoding took more than {limit:g} s")
        try:
            self._connection.send(limit)
            self._connection.send_bytes(data)
            if self._connection.poll(_WAITING * limit):
                return self._connection.recv()
        except (EOFError, OSError):
            status = self._stop()
            if status == -signal.SIGXCPU:
                return late
            number = f" (signal {-status})" if status and status < 0 else ""
            return DecodingFailure(f"decoding crashed{number}")
        self._process.kill()
        self._stop()
        return late


def _serve(descriptor: int) -> None:
    """Serve one connection: receive a pickled function, then limits of time, and data, in turn.

    The process ends when the other side closes, and by SIGXCPU at the limit of a call.
    """
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    connection = Connection(descriptor)
    function = pickle.loads(connection.recv_bytes())
    connection.send(True)
    while True:
        try:
            limit = connection.recv()
            data = connection.recv_bytes()
        except EOFError:
            return
        spent = math.ceil(time.process_time() + limit)
        resource.setrlimit(resource.RLIMIT_CPU, (spent, resource.RLIM_INFINITY))
        try:
            result = function(data)
        except Exception as error:  # whatever damaged data provoke, in the library or after it
            result = DecodingFailure(f"{type(error).__name__}: {error}")
        connection.send(result)
