"""Run a workflow script: log, seed, threads, provenance, and outputs written whole or not."""

import contextlib
import logging
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from fuxiflow import ROOT
from fuxiflow.runtime import data_warnings, distributed, earlier, records, slurm
from fuxiflow.runtime.disk_errors import describe_disk_error
from fuxiflow.runtime.leases import Lease, LeaseHeldError, lease_path
from fuxiflow.storage import checksums, provenance
from fuxiflow.storage.files import leftovers, publish, remove, temporary

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


EARLIER_LOGS = 3
"""Logs of earlier attempts of a job that are kept."""


def export_caches() -> None:
    """Give libraries a folder for their caches where the home folder cannot be written."""
    if os.access(Path("~").expanduser(), os.W_OK):
        return
    folder = Path(".snakemake", "cache").resolve()
    for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR"):
        os.environ.setdefault(name, str(folder / name.lower()))
        Path(os.environ[name]).mkdir(parents=True, exist_ok=True)


def export_path() -> None:
    """Let processes that this one starts import the package from here, installed or not."""
    others = [
        path
        for path in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if path and path != str(ROOT)
    ]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *others])


def _namespace(items, convert: Callable[[str], Path]) -> SimpleNamespace:
    """Return named entries of a Snakemake list as a namespace of paths, or of lists of paths."""
    return SimpleNamespace(
        **{
            name: [convert(path) for path in value]
            if isinstance(value, (list, tuple))
            else convert(value)
            for name, value in items.items()
        }
    )


def _paths(named: SimpleNamespace) -> list[Path]:
    """Return all paths of a namespace, flat."""
    flat = []
    for value in vars(named).values():
        flat.extend(value if isinstance(value, list) else [value])
    return flat


def _keep_earlier(path: Path) -> None:
    """Put the log of an earlier attempt aside, as ``….log.1``; older ones move up and go."""
    for number in range(EARLIER_LOGS, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        newer = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
        if newer.exists():
            os.replace(newer, older)


def _log_to(path: Path | None, rank: int | None = None, anew: bool = True) -> logging.Logger:
    """Log to standard error and a file; of several processes only the first reports progress.

    Parameters
    ----------
    path : Path, optional
        The file.
    rank : int, optional
        The number of this process among several of one job.
    anew : bool
        Whether a log that is there is put aside; otherwise lines are added to it.

    Returns
    -------
    logging.Logger
        The log of the project.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if rank is None and anew:
            _keep_earlier(path)
        handlers.append(logging.FileHandler(path, mode="a", encoding="utf-8"))
    level = logging.WARNING if rank else logging.INFO
    words = FORMAT.replace("%(name)s", f"process {rank}, %(name)s") if rank else FORMAT
    logging.basicConfig(level=level, format=words, handlers=handlers, force=True)
    return logging.getLogger("fuxiflow")


# libraries that a script does not import are not imported for it
def _seed(seed: int) -> None:
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


# sums of torch differ in their last digits by the number of its threads
def _use_threads(count: int) -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


class _Job:
    """One run of a script: what Snakemake hands it, as namespaces of paths and values."""

    def __init__(self, snakemake):
        self.rule: str = snakemake.rule
        self.log_path = Path(snakemake.log[0]) if snakemake.log else None
        self.threads = int(snakemake.threads)
        """Processors of a process; those that load data are among them."""
        self.params: dict = dict(snakemake.params.items())
        self.inputs = _namespace(snakemake.input, Path)
        self.outputs = _namespace(snakemake.output, Path)
        self.written = _namespace(snakemake.output, temporary)
        resources = getattr(snakemake, "resources", None)
        self.requested = dict(resources.items()) if resources else {}

    def prepare(self, log: logging.Logger) -> None:
        """Set up seed, threads, signals and provenance of this process."""
        _seed(int(self.params.get("seed", 0)))
        _use_threads(self.computing_threads)
        slurm.outlast_requests(log)
        settings = records.compared_params(self.params)
        provenance.use(provenance.collect(self.rule, settings, _paths(self.inputs)))

    @property
    def computing_threads(self) -> int:
        """Threads of arithmetic: what the configuration says, however few processors there are."""
        return self.params.get("threads") or self.params.get("stage", {}).get("threads", 1)

    @property
    def results(self) -> Path | None:
        """The folder of results that the job's log lies in; None for a log elsewhere."""
        paths = self.log_path and records.job_file(self.log_path, "")
        return paths[0] if paths else None

    def check_inputs(self) -> None:
        """Compare inputs with the checksums that the jobs noted which made them.

        Zarr stores, and files that carry a checksum, are compared by their readers.
        """
        for path in _paths(self.inputs) if self.results else ():
            if not path.is_dir():
                checksums.check_noted(path, self.results)

    def note_checksums(self) -> None:
        """Note checksums of the outputs that carry none."""
        for path in _paths(self.outputs) if self.results else ():
            if path.is_file() and not checksums.is_sealed(path):
                checksums.note_checksum(self.results, path, self.rule)

    def compute(self, main: Callable, log: logging.Logger) -> None:
        """Call the script's function, which writes under temporary names."""
        main(self.inputs, self.written, SimpleNamespace(**self.params), log)

    def make_folders(self) -> None:
        """Make the folders of the outputs."""
        for path in _paths(self.written):
            path.parent.mkdir(parents=True, exist_ok=True)

    def lease(self) -> Lease | None:
        """Return the lease that one process at a time has on this job; None outside results."""
        path = lease_path(self.log_path) if self.log_path else None
        return Lease(path, self.log_path) if path else None

    def clear_leftovers(self) -> None:
        """Remove what processes that had this job's lease before have left half written."""
        for path in _paths(self.outputs):
            for left in leftovers(path):
                remove(left)

    def clear(self) -> None:
        """Remove what this process has half written."""
        for path in _paths(self.written):
            remove(path)

    def report(self, error: BaseException, log: logging.Logger, trace: bool) -> None:
        """Log why this job failed, and what helps.

        Parameters
        ----------
        error : BaseException
            The reason.
        log : logging.Logger
            The job's log.
        trace : bool
            Whether to log where it was raised.
        """
        log.error("%s failed: %s", self.rule, error, exc_info=error if trace else None)
        if remedy := describe_disk_error(error, _paths(self.outputs)[0].parent):
            log.error("%s", remedy)
        if command := earlier.restore_command(self.log_path) if self.log_path else "":
            log.info("the earlier product is kept; this puts it back: %s", command)

    def publish(self) -> None:
        """Rename what was written; FileNotFoundError names what was not."""
        pairs = list(zip(_paths(self.written), _paths(self.outputs), strict=True))
        missing = [str(path) for written, path in pairs if not written.exists()]
        if missing:
            raise FileNotFoundError(f"the script ended without writing {', '.join(missing)}")
        # a job cut short between its products must not look like the one before it
        self._record(finished=False)
        for written, path in pairs:
            publish(written, path)
        self.note_checksums()
        self._record(finished=True)
        if self.log_path:
            earlier.drop_earlier(self.log_path)

    def keep_warnings(self) -> None:
        """Keep what the script has said of its data, for the status page and the report."""
        if self.log_path:
            data_warnings.keep_warnings(self.log_path, self.rule, _paths(self.outputs))

    def _record(self, finished: bool) -> None:
        if self.log_path:
            records.write_record(
                self.log_path,
                self.rule,
                self.params,
                _paths(self.inputs),
                _paths(self.outputs),
                finished,
                {"threads": self.threads, **self.requested},
            )


def _end_on_request(number: int, frame) -> None:
    """Handle SIGTERM: end by an exception, so that what is half written goes, and the lease."""
    raise SystemExit(128 + number)


def _take_lease(job: _Job) -> Lease | None:
    """Take the lease of a job; where another has it an error is raised, and a line logged."""
    lease = job.lease()
    try:
        if lease:
            lease.take()
    except (LeaseHeldError, OSError) as error:
        # the log belongs to the process that works on this job
        job.report(error, _log_to(job.log_path, anew=False), trace=False)
        raise
    return lease


def run(main: Callable, snakemake) -> None:
    """Call ``main(input, output, params, log)`` for a rule.

    ``input``, ``output`` and ``params`` are namespaces of the rule's named entries; outputs are
    paths under temporary names, renamed when ``main`` returns. Any error is logged with its trace
    and raised again, and what was half written is removed. ``params.seed`` (default 0) seeds every
    generator; ``params.code`` enters the provenance. Where ``params.options`` asks for several
    devices, the script runs once on each (:mod:`fuxiflow.runtime.distributed`). A job that another
    process works on is refused (:mod:`fuxiflow.runtime.leases`).
    """
    rank = distributed.process_rank()
    job = _Job(snakemake)
    if rank is not None:
        log = _log_to(job.log_path, rank)
        job.prepare(log)
        with distributed.as_rank(log):
            job.compute(main, log)
        return
    previous = signal.getsignal(signal.SIGTERM)
    if previous == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end_on_request)
    lease = _take_lease(job)
    try:
        _run_alone(main, job, lease)
    finally:
        if lease:
            lease.release()
        signal.signal(signal.SIGTERM, previous)


def _run_alone(main: Callable, job: _Job, lease: Lease | None) -> None:
    """Run a job whose lease this process has, itself or on several devices, and publish.

    Parameters
    ----------
    main : callable
        The script's function.
    job : _Job
        The job.
    lease : Lease, optional
        Its lease.
    """
    log = _log_to(job.log_path)
    for note in lease.notes if lease else ():
        log.warning("%s", note)
    options = job.params.get("options", {})
    devices, nodes = options.get("devices", 1), options.get("nodes", 1)
    try:
        job.make_folders()
        if lease:
            job.clear_leftovers()
        job.prepare(log)
        job.check_inputs()
        if devices * nodes > 1:
            distributed.launch(devices, nodes, job.threads, lease.on_loss if lease else [])
        else:
            job.compute(main, log)
        if lease:
            lease.check()
        job.publish()
        job.keep_warnings()
    except BaseException as error:
        interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
        job.report(error, log, trace=not interrupted)
        # on a file system that has gone nothing can be removed
        with contextlib.suppress(OSError):
            job.clear()
        if lease:
            lease.release()
        slurm.await_kill(error, log)
        raise
