"""All that the workflow relies on of Snakemake's private parts.

They were read in Snakemake 9.27; :func:`check_version` refuses other versions. What is used:

- ``workflow.rules`` lists the rules parsed so far, and ``Rule.set_log``, ``Rule.set_params`` and
  the attributes ``benchmark``, ``conda_env``, ``log_modifier`` and ``benchmark_modifier`` are what
  its parser sets for the directives of these names (:func:`complete_rules`).
- ``workflow.exec_mode`` tells the main process from those of jobs, ``workflow.touch`` a run that
  only touches products; ``workflow.global_resources`` holds the limits of a run.
- ``workflow.resource_settings`` has ``_parsed_overwrite_resources``, those of ``set-resources`` by
  rule (:func:`has_partition`).
- ``PersistenceBase.incomplete`` returns the outputs of a job that began and did not end, by
  ``_get_key`` and ``_filter_incomplete_keys`` (:func:`keep_earlier_products`).
- ``workflow.dag`` has ``needrun_jobs``, ``toposorted``, ``dependencies``, ``jobid`` and ``reason``
  (:func:`planned_jobs`, :func:`plan_jobs`); a job has ``restart_times`` and ``attempt``.
- ``workflow.scheduler.job_rate_limiter`` is asked before jobs start (:func:`lift_default_rate`).
- ``Job.remove_existing_output`` and ``Job.cleanup`` of ``snakemake.jobs`` remove products and logs,
  before a job runs and after it has failed, in whichever process runs it
  (:func:`keep_earlier_products`).
- ``sys.executable`` goes into commands of the shell without quotes (:func:`quote_interpreter`).
- The handler of SIGTERM takes the lock of the scheduler (:func:`handle_sigterm_in_a_thread`).
- ``.snakemake/metadata`` holds one JSON file a product, under its name in base 64, with the fields
  of ``snakemake.persistence.MetadataRecord`` (:func:`restore_memory`). Parameters are compared by
  their ``repr``, those of other than built-in types not at all.
"""

import _thread
import contextlib
import io
import json
import os
import re
import shlex
import signal
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

from fuxiflow import ROOT
from fuxiflow.runtime import earlier, leases, records
from fuxiflow.runtime.run_state import DONE, Job
from fuxiflow.storage.files import temporary

VERSION = "9.27"
RECORD_FORMAT_VERSION = 6
"""That of Snakemake 9.27; a record of another version asks for no rerun."""
LONGEST_NAME = 254
"""Characters of a file name, after which Snakemake splits the name of a product into folders."""
MEMORY = Path(".snakemake")


def check_version() -> None:
    """Raise WorkflowError where another version of Snakemake runs than the one read."""
    from snakemake.exceptions import WorkflowError

    version = metadata.version("snakemake")
    if not f"{version}.".startswith(f"{VERSION}."):
        raise WorkflowError(
            f"this workflow relies on private parts of Snakemake {VERSION}, and this is {version}: "
            f"install 'snakemake=={VERSION}.*', or check fuxiflow/runtime/snakemake_internals.py"
        )


def is_main_process(workflow) -> bool:
    """Say whether this process plans and starts jobs, and is not that of a job."""
    from snakemake_interface_executor_plugins.settings import ExecMode

    return workflow.exec_mode == ExecMode.DEFAULT


def complete_rules(
    workflow,
    results: str,
    environment: Callable[[str], str],
    parameters: Callable[[str], dict],
) -> None:
    """Give every rule with a script its log, benchmark, environment and common parameters.

    Logs and benchmarks are ``{results}/logs/{rule}/{wildcards}.log`` and
    ``{results}/benchmarks/{rule}/{wildcards}.tsv``, with the wildcards in the order of the first
    output, or ``all`` without any.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        The workflow, after all rules are parsed.
    results : str
        The folder of the results of a configuration.
    environment : callable
        Returns the conda environment of a rule, relative to the file of the rule.
    parameters : callable
        Returns the parameters to add to those of a rule, by name. A rule with temporary outputs
        also gets ``temporary``, with their positions.
    """
    from snakemake.io import is_flagged

    for rule in workflow.rules:
        if rule.script is None:
            continue
        wildcards = dict.fromkeys(re.findall(r"\{([a-z_]\w*)", str(rule.output[0])))
        stem = f"{rule.name}/" + ("/".join(f"{{{name}}}" for name in wildcards) or "all")
        rule.log_modifier = rule.benchmark_modifier = workflow.modifier.path_modifier
        rule.set_log(f"{results}/logs/{stem}.log")
        rule.benchmark = f"{results}/benchmarks/{stem}.tsv"
        rule.conda_env = environment(rule.name)
        rule.set_params(**parameters(rule.name))
        places = [place for place, path in enumerate(rule.output) if is_flagged(path, "temp")]
        if places:
            # in a namespace, which Snakemake does not compare: it changes nothing that is computed
            rule.set_params(temporary=SimpleNamespace(outputs=places))


def has_partition(workflow, rule: str) -> bool:
    """Say whether a profile or the command line names a partition of Slurm for a rule."""
    named = workflow.resource_settings._parsed_overwrite_resources
    return rule in named and "slurm_partition" in named[rule]


def lift_default_rate(workflow) -> None:
    """Lift Snakemake's default limit of 100 started jobs a second; one that was asked for stays.

    The default never binds here, but makes Snakemake weigh all ready jobs once more every second
    for each job that has ended: thousands of times a second in a large run
    (snakemake/snakemake#3744).
    """
    rate = workflow.scheduling_settings.max_jobs_per_timespan
    if (rate.max_jobs, rate.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def quote_interpreter() -> None:
    """Quote the path of the interpreter, which Snakemake writes into commands of the shell bare."""
    if " " in sys.executable and not sys.executable.startswith("'"):
        sys.executable = shlex.quote(sys.executable)


def handle_sigterm_in_a_thread() -> None:
    """Let Snakemake's handler of SIGTERM run in a thread of its own.

    Called by the main thread, once the handler is set. The handler takes the lock of the scheduler
    (``JobScheduler.exit_gracefully``), which the main thread holds while it selects jobs, the
    solver's run included: a signal that comes then would make it wait for itself for ever.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if callable(handler):
        # not of threading, whose locks the interrupted code may hold
        signal.signal(
            signal.SIGTERM, lambda number, frame: _thread.start_new_thread(handler, (number, None))
        )


def keep_earlier_products() -> None:
    """Have Snakemake set the existing products of a job aside, where it would remove them.

    It does so before a job runs, in the process that runs it: the main one, or on a cluster that of
    the job. Jobs that another process works on are left alone, before and after: they are refused
    when their script begins (:mod:`fuxiflow.runtime.leases`).

    So a job that was killed may leave no product, which Snakemake would not miss where those made
    of it before are there. Its marks of jobs that began and did not end count without a product.
    """
    from snakemake.jobs import Job as SnakemakeJob
    from snakemake.persistence import PersistenceBase

    if SnakemakeJob.remove_existing_output.__module__ == __name__:
        return
    remove_existing, clean_up = SnakemakeJob.remove_existing_output, SnakemakeJob.cleanup

    async def remove_existing_output(job) -> None:
        if job.rule.script is None or not job.log:
            await remove_existing(job)
            return
        log = Path(job.log[0])
        if leases.is_leased(log):
            return
        earlier.set_aside(log, map(str, job.output), lambda name: read_memory(MEMORY, name))
        for path in job.log:
            await path.remove(remove_non_empty_dir=False)

    async def cleanup(job, skip_outputs) -> None:
        if not (job.log and leases.is_leased(Path(job.log[0]))):
            await clean_up(job, skip_outputs)

    async def incomplete(persistence, job) -> list:
        keys = {persistence._get_key(file): file for file in job.output}
        return [keys[key] for key in persistence._filter_incomplete_keys(list(keys))]

    PersistenceBase.incomplete = incomplete
    SnakemakeJob.remove_existing_output = remove_existing_output
    SnakemakeJob.cleanup = cleanup


def jobs_to_run(workflow) -> list:
    """Return Snakemake's jobs that a run would start."""
    return list(workflow.dag.needrun_jobs())


def plan_to_run(workflow) -> list["PlannedJob"]:
    """Return the jobs with products that a run would start."""
    dag = workflow.dag
    return [_planned(job, dag.reason(job), True) for job in dag.needrun_jobs() if job.output]


def longest_first(workflow, seconds: Mapping[str, float]) -> None:
    """Of jobs that can start and have the same priority, let those go first that most waits for.

    Parameters
    ----------
    workflow : snakemake.workflow.Workflow
        The workflow, before its first job.
    seconds : mapping
        From a job's start to the end of all that waits for it, by its first product.
    """
    dag, most = workflow.dag, 1 + max(seconds.values(), default=0)
    for job in dag.needrun_jobs():
        if job.output:
            # priorities of rules are whole numbers
            dag._priority[job] = dag.priority(job) + seconds[str(job.output[0])] / most


def touched_records(workflow) -> list[tuple[Path, str, dict, list[str], list[str]]]:
    """Return log, rule, parameters, inputs and outputs of the jobs that a run only touches."""
    return [
        (
            Path(str(job.log[0])),
            job.rule.name,
            dict(job.params.items()),
            [str(name) for name in job.input],
            [str(name) for name in job.output],
        )
        for job in workflow.dag.needrun_jobs()
        if job.log and job.output
    ]


def planned_jobs(workflow) -> dict[int, Job]:
    """Return all jobs of the plan by their number, each after those that it waits for."""
    dag = workflow.dag
    needed = set(dag.needrun_jobs(exclude_finished=False))
    jobs = {}
    for level in dag.toposorted():
        for job in sorted(level, key=lambda job: job.name):
            number, is_planned = dag.jobid(job), job in needed
            jobs[number] = Job(
                number,
                job.rule.name,
                dict(job.wildcards_dict),
                log=str(job.log[0]) if job.log else "",
                benchmark=str(job.benchmark or ""),
                after=tuple(dag.jobid(other) for other in dag.dependencies[job]),
                needs=_amounts(job.resources) if is_planned else {},
                target=not job.output,
                planned=is_planned,
                state=Job.state if is_planned else DONE,
            )
    return jobs


def _amounts(resources) -> dict[str, float]:
    """Return the resources that are numbers; some stand for others' values in another unit."""
    return {
        name: value
        for name, value in resources.items()
        if isinstance(value, int | float) and name not in ("runtime", "mem_mib", "disk_mib")
    }


def capacity(workflow) -> dict[str, float]:
    """Return what limits how many jobs run at once: cores, jobs on a cluster, others by name."""
    limits = {}
    for name, limit in workflow.global_resources.items():
        value = getattr(limit, "value", limit)
        if isinstance(value, int) and value < sys.maxsize:
            limits[name] = value
    return limits


def retries(workflow) -> Callable[[int], bool]:
    """Return a function that says of a job, by number, whether it is tried again once it failed."""
    jobs = {workflow.dag.jobid(job): job for job in workflow.dag.jobs}

    def is_tried_again(number: int) -> bool:
        # asked before Snakemake counts the failed attempt
        job = jobs.get(number)
        return job is not None and job.restart_times > job.attempt - 1

    return is_tried_again


def is_quiet(workflow) -> bool:
    """Say whether the command line asked for no lines about progress."""
    from snakemake.settings.enums import Quietness

    return bool({*(workflow.output_settings.quiet or ())} & {Quietness.ALL, Quietness.PROGRESS})


@dataclass(frozen=True)
class PlannedJob:
    """A job of a dry run.

    ``needed`` says whether it would run; ``named_inputs`` and ``named_outputs`` are its paths by
    the names in the rule. Of the reasons, ``missing`` are products and ``newer`` inputs; ``before``
    and ``now`` hold values of parameters, as text, that only the last run or only this plan has.
    ``resources`` are those that it asks for, threads among them. ``temporary`` are the outputs that
    are removed once no job needs them. Of jobs that can start, those of a higher ``priority`` do.
    """

    rule: str
    wildcards: dict[str, str]
    params: dict
    inputs: list[str]
    outputs: list[str]
    log: str
    needed: bool
    missing: list[str]
    newer: list[str]
    inputs_changed: bool
    environment_changed: bool
    before: set[str]
    now: set[str]
    resources: dict[str, float] = field(default_factory=dict)
    named_inputs: dict[str, str | list[str]] = field(default_factory=dict)
    named_outputs: dict[str, str | list[str]] = field(default_factory=dict)
    temporary: list[str] = field(default_factory=list)
    priority: float = 0.0


def plan_jobs(*paths: Path, everything: bool = False) -> list[PlannedJob]:
    """Plan a configuration without running or printing anything.

    Parameters
    ----------
    *paths : Path
        The configuration's files, each laid over those before.
    everything : bool
        Whether to plan as if nothing had been made.

    Returns
    -------
    list of PlannedJob
        All jobs with products.

    Raises
    ------
    ValueError
        With what Snakemake says where it cannot plan.
    """
    import yaml
    from snakemake.api import SnakemakeApi
    from snakemake.exceptions import WorkflowError
    from snakemake.settings.enums import Quietness, RerunTrigger
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        ResourceSettings,
    )

    profile = yaml.safe_load(
        (ROOT / "profiles" / "default" / "config.yaml").read_text(encoding="utf-8")
    )
    triggers = RerunTrigger.parse_choices_set(profile["rerun-triggers"])
    try:
        # Snakemake's own account of the plan has no place here
        with (
            contextlib.redirect_stderr(io.StringIO()),
            SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL})) as api,
        ):
            settings = ConfigSettings(configfiles=[Path(path).resolve() for path in paths])
            workflow = api.workflow(
                ResourceSettings(cores=1), settings, snakefile=ROOT / "Snakefile", workdir=ROOT
            )
            workflow.dag(
                DAGSettings(forceall=everything, rerun_triggers=triggers, force_incomplete=True)
            ).execute_workflow("dryrun")
            dag = workflow._workflow.dag
            needed = set(dag.needrun_jobs(exclude_finished=False))
            return [_planned(job, dag.reason(job), job in needed) for job in dag.jobs if job.output]
    except WorkflowError as error:
        raise ValueError(f"{', '.join(map(str, paths))}: {error}") from error


def _planned(job, reason, needed: bool) -> PlannedJob:
    """Take from a job of Snakemake, and its reason to run, what :class:`PlannedJob` holds.

    Parameters
    ----------
    job : snakemake.jobs.Job
        The job.
    reason : snakemake.jobs.Reason
        Why it would run.
    needed : bool
        Whether it would run.

    Returns
    -------
    PlannedJob
        The same, apart from Snakemake.
    """
    from snakemake.io import is_flagged

    change = reason.params_changed
    return PlannedJob(
        rule=job.rule.name,
        wildcards=dict(job.wildcards_dict),
        params=dict(job.params.items()),
        inputs=sorted(str(name) for name in job.input),
        outputs=[str(name) for name in job.output],
        named_inputs=_named_paths(job.input),
        named_outputs=_named_paths(job.output),
        temporary=[str(name) for name in job.output if is_flagged(name, "temp")],
        priority=job.rule.priority,
        log=str(job.log[0]) if job.log else "",
        needed=needed,
        missing=sorted(str(name) for name in reason.missing_output),
        newer=sorted(str(name) for name in reason.updated_input - reason.updated_input_run),
        inputs_changed=bool(reason.input_changed),
        environment_changed=bool(reason.software_stack_changed),
        before=set(change.only_old),
        now=set(change.only_new),
        resources={"threads": job.threads}
        | {name: value for name, value in job.resources.items() if isinstance(value, int | float)},
    )


def _named_paths(paths) -> dict[str, str | list[str]]:
    """Return the named entries of a list of Snakemake's: a path, or a list of paths, each."""
    return {
        name: str(value) if isinstance(value, str) else [str(path) for path in value]
        for name, value in paths.items()
    }


def memory_path(memory: Path, product: str, kind: str = "metadata") -> Path:
    """Return where Snakemake keeps what it remembers of a product.

    Parameters
    ----------
    memory : Path
        The folder ``.snakemake``.
    product : str
        The name of the product.
    kind : str
        ``metadata``, or ``incomplete`` for the mark of one that is being made.

    Returns
    -------
    Path
        A JSON file.
    """
    text = urlsafe_b64encode(product.encode()).decode()
    parts = [text[i : i + LONGEST_NAME] for i in range(0, len(text), LONGEST_NAME)]
    return memory.joinpath(kind, *(f"@{part}" for part in parts[:-1]), parts[-1])


def read_memory(memory: Path, product: str) -> dict | None:
    """Return what Snakemake remembers of a product, None for nothing."""
    try:
        return json.loads(memory_path(memory, product).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write_memory(path: Path, entry: Mapping) -> None:
    # a short name: that of a product in base 64 may be as long as names can be
    aside = temporary(path.with_name("memory"))
    aside.write_text(json.dumps(entry), encoding="utf-8")
    os.replace(aside, path)


def give_memory_back(memory: Path, products: Mapping[str, dict | None]) -> None:
    """Let Snakemake remember of products what it did before, and forget that they were begun."""
    for name, entry in products.items():
        memory_path(memory, name, "incomplete").unlink(missing_ok=True)
        path = memory_path(memory, name)
        if entry is None:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_memory(path, entry)


def remember(memory: Path, workdir: Path, products: Mapping[str, Mapping]) -> None:
    """Write what Snakemake would remember of products, had it made them here.

    Parameters
    ----------
    memory : Path
        The folder ``.snakemake``.
    workdir : Path
        What the names of products are relative to.
    products : mapping
        By name of a product, the record of its job (:mod:`fuxiflow.runtime.records`).
    """
    # where this is missing, Snakemake takes its folder for one of an older version
    (memory / "incomplete").mkdir(parents=True, exist_ok=True)
    for name, record in products.items():
        end = (workdir / name).stat().st_mtime
        entry = {
            "rule": record["rule"],
            "input": record["inputs"],
            "params": sorted(record["params"].values()),
            "record_format_version": RECORD_FORMAT_VERSION,
            "starttime": end,
            "endtime": end,
            "incomplete": False,
            "input_checksums": {},
        }
        unknown = ("log", "shellcmd", "code", "conda_env", "container_img_url")
        unknown += ("software_stack_hash", "job_hash", "external_jobid")
        path = memory_path(memory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_memory(path, {**entry, **dict.fromkeys(unknown)})


def restore_memory(results: Path, memory: Path = MEMORY, workdir: Path = Path()) -> int:
    """Give Snakemake back its memory of the products in ``results``, once after it was deleted.

    Snakemake takes a product that it does not remember as up to date. Where it remembers any of
    the recorded products nothing is done, so that ``--cleanup-metadata`` keeps its effect. That
    this was looked after is marked in ``memory``: from then on, one look at the mark is all.

    Parameters
    ----------
    results : Path
        The folder of the results of a configuration.
    memory : Path
        The folder ``.snakemake``.
    workdir : Path
        What the names of products are relative to.

    Returns
    -------
    int
        The number of products that are remembered again.
    """
    mark = memory / f"restored-{Path(results).name}"
    if mark.exists() or not (directory := records.records_folder(results)).is_dir():
        return 0
    recorded = records.records_by_product(directory)
    products = {name: record for name, record in recorded.items() if (workdir / name).exists()}
    if any(memory_path(memory, name).exists() for name in products):
        products = {}
    remember(memory, workdir, products)
    mark.touch()
    return len(products)
