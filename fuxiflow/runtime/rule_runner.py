"""How a workflow script runs: log, seed, threads, provenance, and outputs that appear whole or not at all."""

import importlib
import logging
import os
import random
import sys
from pathlib import Path
from types import SimpleNamespace

from fuxiflow import ROOT
from fuxiflow.runtime import distributed, slurm
from fuxiflow.storage import provenance
from fuxiflow.storage.files import publish, remove, temporary

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def export_path() -> None:
    """Let processes that this one starts import the package from this checkout, installed or not."""
    others = [
        path
        for path in os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if path and path != str(ROOT)
    ]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *others])


def _namespace(items, convert) -> SimpleNamespace:
    """Named entries of a Snakemake list as a namespace of paths, or of lists of paths."""
    named = {}
    for name, value in items.items():
        named[name] = (
            [convert(v) for v in value] if isinstance(value, (list, tuple)) else convert(value)
        )
    return SimpleNamespace(**named)


def _paths(named: SimpleNamespace) -> list[Path]:
    """All paths of a namespace, flat."""
    flat = []
    for value in vars(named).values():
        flat.extend(value if isinstance(value, list) else [value])
    return flat


def _log_to(path: Path | None, rank: int | None = None) -> logging.Logger:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        if rank is None:
            path.unlink(missing_ok=True)
        handlers.append(logging.FileHandler(path, mode="a"))
    # of several processes the first alone tells how it gets on
    level = logging.WARNING if rank else logging.INFO
    words = FORMAT.replace("%(name)s", f"process {rank}, %(name)s") if rank else FORMAT
    logging.basicConfig(level=level, format=words, handlers=handlers, force=True)
    return logging.getLogger("fuxiflow")


def _seed(seed: int) -> None:
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _threads(count: int) -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
    if "numba" in sys.modules:
        numba = sys.modules["numba"]
        numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))


def _record(
    snakemake, params: dict, inputs: list[Path], outputs: list[Path], finished: bool
) -> None:
    """Record the job beside its log, see :mod:`fuxiflow.runtime.records`."""
    # by name, so that the code of the records is no part of any script's fingerprint: it computes nothing
    if snakemake.log:
        resources = getattr(snakemake, "resources", None)
        requested = {"threads": snakemake.threads, **(dict(resources.items()) if resources else {})}
        importlib.import_module("fuxiflow.runtime.records").write(
            Path(snakemake.log[0]), snakemake.rule, params, inputs, outputs, finished, requested
        )


def run(main, snakemake) -> None:
    """Call ``main(input, output, params, log)`` for a rule.

    ``input``, ``output`` and ``params`` are namespaces of the rule's named entries; outputs are paths under temporary
    names, renamed when ``main`` returns. Any error is logged with its trace and raised again, and what was half
    written is removed. ``params.seed`` (default 0) seeds every generator; ``params.code`` enters the provenance. Where
    ``params.options`` asks for several devices, the script runs once on each (:mod:`fuxiflow.runtime.distributed`).
    """
    rank = distributed.rank()
    log_path = Path(snakemake.log[0]) if snakemake.log else None
    log = _log_to(log_path, rank)
    params = dict(snakemake.params.items())
    inputs = _namespace(snakemake.input, Path)
    final = _namespace(snakemake.output, Path)
    written = _namespace(snakemake.output, temporary)
    if rank is not None:
        _seed(int(params.get("seed", 0)))
        _threads(int(snakemake.threads))
        slurm.outlast_requests(log)
        provenance.use(provenance.collect(snakemake.rule, params, _paths(inputs)))
        with distributed.as_rank(log):
            main(inputs, written, SimpleNamespace(**params), log)
        return
    for path in _paths(written):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove(path)
    _seed(int(params.get("seed", 0)))
    _threads(int(snakemake.threads))
    slurm.outlast_requests(log)
    provenance.use(provenance.collect(snakemake.rule, params, _paths(inputs)))
    options = params.get("options", {})
    devices, nodes = options.get("devices", 1), options.get("nodes", 1)
    try:
        if devices * nodes > 1:
            distributed.launch(devices, nodes, int(snakemake.threads))
        else:
            main(inputs, written, SimpleNamespace(**params), log)
        pairs = list(zip(_paths(written), _paths(final), strict=True))
        missing = [str(path) for temp, path in pairs if not temp.exists()]
        if missing:
            raise FileNotFoundError(f"the script ended without writing {', '.join(missing)}")
        # a job cut short between its products must not look like the one before it
        _record(snakemake, params, _paths(inputs), _paths(final), finished=False)
        for temp, path in pairs:
            publish(temp, path)
        _record(snakemake, params, _paths(inputs), _paths(final), finished=True)
    except BaseException as error:
        for path in _paths(written):
            remove(path)
        interrupted = isinstance(error, (KeyboardInterrupt, SystemExit))
        log.error("%s failed: %s", snakemake.rule, error, exc_info=not interrupted)
        slurm.await_kill(error, log)
        raise
