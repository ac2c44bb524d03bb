"""SIGTERM to Snakemake, which ends it once the running jobs are done."""

import _thread
import signal


def off_the_main_thread() -> None:
    """Let Snakemake's handler of SIGTERM run in a thread of its own; called by the main thread, with the handler set.

    It takes the scheduler's lock (``JobScheduler.exit_gracefully``, Snakemake 9.27), which the main thread holds while
    it selects jobs, the solver's run included: where the signal comes then, the main thread would wait for itself for
    ever. ``threading`` has locks of its own that the interrupted code may hold.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if callable(handler):
        signal.signal(
            signal.SIGTERM, lambda number, frame: _thread.start_new_thread(handler, (number, None))
        )
