"""The command ``fuxiflow``: everything that is done beside the workflow, by hand.

Each command is a small function here. It imports what it needs when it runs, so that ``fuxiflow
check`` does not wait for torch.
"""

import argparse
import math
import os
import sys
from pathlib import Path


def _check(options: argparse.Namespace) -> None:
    """Check a configuration, or files of sources, which lie in a folder called sources."""
    of_sources = {path.resolve().parent.name == "sources" for path in options.paths}
    if len(of_sources) > 1:
        raise ValueError("files of sources and configurations are checked one kind at a time")
    if of_sources == {False}:
        from fuxiflow.config.configuration import load_configuration

        name = load_configuration(*options.paths).name
        print(f"{', '.join(map(str, options.paths))}: valid, name {name}")
        return
    from fuxiflow.config.base import unknown
    from fuxiflow.config.sources import read_source
    from fuxiflow.observations import readers

    mistakes = []
    for path in options.paths:
        try:
            source = read_source(path)
        except ValueError as error:
            mistakes.append(str(error))
            continue
        if source.reader not in readers.reader_names():
            mistakes.append(f"{path}: {unknown('reader', source.reader, readers.reader_names())}")
            continue
        print(
            f"{path}: valid, source {source.name} with {len(source.channels)} channels "
            f"on {', '.join(source.platform_names)}"
        )
    if mistakes:
        raise ValueError("\n".join(mistakes))


def _schema(options: argparse.Namespace) -> None:
    """Print the JSON schema of the configuration."""
    from fuxiflow.config.configuration import configuration_schema

    print(configuration_schema(), end="")


def _reference(options: argparse.Namespace) -> None:
    """Print the reference page of the configuration, as Markdown."""
    from fuxiflow.config.reference import reference_page

    print(reference_page(), end="")


def _inspect(options: argparse.Namespace) -> None:
    """Describe an artefact: what it holds and where it came from."""
    from fuxiflow.inspection import describe

    print(describe(options.path))


def _explain(options: argparse.Namespace) -> None:
    """Say what would run, and which setting, function or file is why."""
    from fuxiflow import ROOT

    if not (ROOT / "Snakefile").is_file():
        raise ValueError("explain needs a checkout with its Snakefile: run it in that folder")
    from fuxiflow.runtime import explain

    print(explain.explain(*options.paths))


def _plan(options: argparse.Namespace) -> int:
    """Say what a run needs: jobs, hours, space, memory of GPUs; and whether these have it."""
    from fuxiflow import ROOT
    from fuxiflow.config.configuration import load_configuration

    if not (ROOT / "Snakefile").is_file():
        raise ValueError("plan needs a checkout with its Snakefile: run it in that folder")
    from fuxiflow.runtime.budget import capacity_of
    from fuxiflow.runtime.plan_report import describe_plan
    from fuxiflow.runtime.snakemake_internals import plan_jobs

    config = load_configuration(*options.paths)
    results = ROOT / "results" / config.name
    jobs = plan_jobs(*options.paths)
    os.chdir(ROOT)
    text, fits = describe_plan(
        config,
        jobs,
        results.relative_to(ROOT),
        options.device_gb,
        capacity=capacity_of(options.cores, options.memory_gb, options.gpus),
    )
    print(text)
    return int(not fits)


def _test_months(options: argparse.Namespace) -> None:
    """Print the overlay of a configuration that runs some months of its test alone."""
    from fuxiflow.config.months import overlay_of_months

    print(overlay_of_months(options.paths, options.first, options.last), end="")


def _rehearsal(options: argparse.Namespace) -> int:
    """Say what jobs of a finished run took, had asked for, and what a larger run needs by that."""
    from fuxiflow import ROOT
    from fuxiflow.config.configuration import load_configuration

    if not (ROOT / "Snakefile").is_file():
        raise ValueError("rehearsal needs a checkout with its Snakefile: run it in that folder")
    if options.keep and len(options.paths) > 1:
        raise ValueError("--keep: measurements of one file alone can be compared with it later")
    from fuxiflow.runtime import rehearsal
    from fuxiflow.runtime.costs import job_costs
    from fuxiflow.runtime.snakemake_internals import plan_jobs

    config, larger = load_configuration(*options.paths), load_configuration(options.larger)
    results = ROOT / "results" / config.name
    costs = job_costs(results, list(config.experiments))
    jobs = rehearsal.measured_jobs(config, plan_jobs(*options.paths, everything=True), costs)
    if not jobs:
        raise FileNotFoundError(
            f"{results}/benchmarks: no job of {config.name} was measured: run it first"
        )
    needs = rehearsal.rule_needs(jobs, larger, plan_jobs(options.larger, everything=True))
    print(rehearsal.needs_table(needs, config.name, larger.name))
    if options.keep:
        rows = rehearsal.measurement_rows(config, needs)
        replaced = rehearsal.add_measurements(options.keep, rows)
        print(f"{options.keep}: {len(rows)} rows added, {replaced} earlier ones replaced")
    exceeding = [job for job in jobs if job.exceeds]
    for job in exceeding:
        print(f"took more than it had asked for: {job.rule} {'/'.join(job.wildcards.values())}")
    return int(bool(exceeding))


def _restore(options: argparse.Namespace) -> int:
    """Put earlier products back that a job which failed has set aside; all of a run by default."""
    import os

    from fuxiflow.runtime import earlier
    from fuxiflow.runtime.snakemake_internals import MEMORY, give_memory_back

    # names of products are relative to the folder in which Snakemake runs
    results = options.results.absolute()
    if not results.is_dir():
        raise FileNotFoundError(f"{options.results}: no folder of results")
    base = results.parents[1]
    asked = [Path(os.path.relpath(path.absolute(), base)) for path in options.paths]
    os.chdir(base)
    restored, reasons = earlier.restore_products(
        results.relative_to(base), asked, lambda memory: give_memory_back(MEMORY, memory)
    )
    for name in restored:
        print(f"put back {name}")
    for reason in reasons:
        print(f"not put back: {reason}", file=sys.stderr)
    if not restored and not reasons:
        print(f"{options.results}: no earlier product is kept")
    return int(bool(reasons))


def _acceptance(options: argparse.Namespace) -> int:
    """Print a run's headline numbers and the bars they are held to."""
    from fuxiflow.verification.acceptance import headlines

    lines = headlines(options.results)
    print("\n".join(map(str, lines)))
    met = sum(line.met is True for line in lines)
    print(f"{met} of {len(lines)} bars met (global)")
    return int(options.check and met < len(lines))


def _fetch(options: argparse.Namespace) -> int:
    """Fetch into the raw store what a configuration needs and no manifest covers."""
    from fuxiflow.archive.commands import fetch_all

    return fetch_all(options.paths, options.source or [], options.months or [])


def _fetch_tracks(options: argparse.Namespace) -> None:
    """Fetch IBTrACS, the best tracks of cyclones, into the raw store."""
    import logging

    from fuxiflow.archive.ibtracs import fetch_best_tracks
    from fuxiflow.config.archives import load_archives

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    changes = {"ibtracs": {"part": options.part}} if options.part else {}
    archive = load_archives(changes=changes).ibtracs
    if archive is None:
        raise ValueError("config/archive.yaml has no section ibtracs: give its url there")
    print(fetch_best_tracks(archive, logging.getLogger("fuxiflow")))


def _fetch_open_data(options: argparse.Namespace) -> None:
    """Fetch forecasts of ECMWF's open data, and write the store of a system that is scored."""
    import logging

    from fuxiflow.runtime.open_data_systems import fetch_system

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    print(fetch_system(options.paths, options.system, logging.getLogger("fuxiflow")))


def _archive_check(options: argparse.Namespace) -> int:
    """Compare the archives that a configuration uses, or all, with what is expected of them."""
    from fuxiflow.archive.archive_check import check_archives

    return check_archives(options.paths)


def _adopt(options: argparse.Namespace) -> None:
    """Take files that came by other ways into the raw store: check them, write the manifest."""
    from fuxiflow.archive.adopting import adopt
    from fuxiflow.archive.raw_store import STORE

    lines = adopt(options.folder, STORE, options.product, options.month, options.origin)
    for line in lines:
        print(line)


def _publish(options: argparse.Namespace) -> None:
    """Publish the raw files of an embedded world in the layouts of public archives."""
    import logging

    from fuxiflow.config.configuration import load_configuration
    from fuxiflow.world.public_archives import publish_world

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = load_configuration(*options.paths)
    publish_world(config, Path("results") / config.name / "raw", options.folder)
    print(f"{options.folder}: synthetic, in the layouts of public archives; serve it")


def _serve(options: argparse.Namespace) -> int:
    """Serve a published folder at an address of this machine while a command runs."""
    import subprocess
    from contextlib import ExitStack

    from fuxiflow.world.public_server import DEFAULT_PORT, FolderServer, moved, running

    port = options.port
    if port is None:
        # what has its addresses rewritten may be served at any free port
        port = 0 if options.config else DEFAULT_PORT
    with ExitStack() as stack:
        server = stack.enter_context(running(FolderServer(options.folder, port)))
        program = options.program
        if options.config:
            copy = stack.enter_context(moved(options.config, server.url))
            program = [str(copy) if one == str(options.config) else one for one in program]
        print(f"{options.folder} is at {server.url}", flush=True)
        return subprocess.run(program, check=False).returncode


def _verify_archive(options: argparse.Namespace) -> int:
    """Read the files of the raw store again and compare them with their manifests."""
    from fuxiflow.archive.commands import verify_store

    return verify_store(options.folders)


def _verify(options: argparse.Namespace) -> int:
    """Check all products of a run: every chunk, page and digest, and whether they are there."""
    from fuxiflow.runtime.records import finished_products
    from fuxiflow.storage.verification import summarize_checks, verify_results

    checked, seen = [], 0
    for one in verify_results(options.results, finished_products(options.results), options.jobs):
        checked.append(one)
        print("\n".join(one.faults), end="\n" if one.faults else "")
        seen += one.size
        if sys.stderr.isatty():
            print(f"\r{len(checked)} products, {seen / 1e9:.1f} GB", end="\r", file=sys.stderr)
    print(summarize_checks(checked))
    return int(any(one.faults for one in checked))


def _redraw(options: argparse.Namespace) -> None:
    """Draw a figure again from its table alone."""
    from fuxiflow.figures.files import redraw_figure

    redraw_figure(options.figure, options.table, options.target)


def _paper(options: argparse.Namespace) -> None:
    """Make the folder of a paper from a run's stored tables: figures as PDF, numbers as LaTeX."""
    from fuxiflow.figures.paper import make_configured_paper

    print("\n".join(map(str, make_configured_paper(options.paths))))


def _select_channels(options: argparse.Namespace) -> None:
    """Select a sounder's channels by information content, then by the heights of their peaks."""
    from fuxiflow.observations import channel_selection

    selected = channel_selection.make_channel_list(
        options.table,
        options.output,
        options.informative,
        options.spaced,
        options.criterion,
        options.among,
        options.correlation_length,
    )
    print(
        f"{options.output}: {options.spaced} of {len(selected)} channels, which together have "
        f"{selected['freedom'].sum():.2f} degrees of freedom and "
        f"{selected['entropy'].sum():.2f} bits"
    )


def _build_operators(options: argparse.Namespace) -> None:
    """Build the coefficients of observation operators: of one instrument, or of all."""
    from fuxiflow.config.simulation import ABSORPTION
    from fuxiflow.operators.microwave import DIRECTORY
    from fuxiflow.operators.table_builder import SOURCES, build_table, refitted_table

    instruments = [options.instrument] if options.instrument else list(SOURCES)
    if unknown := [name for name in instruments if name not in SOURCES]:
        raise ValueError(f"no table for {unknown[0]!r}, allowed: {', '.join(sorted(SOURCES))}")
    other = options.absorption != ABSORPTION
    directory = options.directory or DIRECTORY / (options.absorption if other else "")
    directory.mkdir(parents=True, exist_ok=True)
    for instrument in instruments:
        path = directory / f"{instrument}.npz"
        committed = DIRECTORY / path.name
        table = refitted_table(committed, options.absorption) if other else build_table(instrument)
        table.write(path)
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def _build_climate(options: argparse.Namespace) -> None:
    """Build the climate that the embedded world begins in: half an hour of the nature model."""
    import logging

    from fuxiflow.world import climate

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    path = climate.build_climate(options.truncation)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def _build_coastline(options: argparse.Namespace) -> None:
    """Build the coastline of the maps: TopoJSON land to GeoJSON."""
    import json

    from fuxiflow.figures import coastline

    try:
        land = coastline.decode_land(json.loads(options.source.read_text(encoding="utf-8")))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{options.source}: no TopoJSON of land: {_in_words(error)}") from error
    coastline.write_coastline(land, options.target)


def _command(commands, function) -> argparse.ArgumentParser:
    """Add the command of a function, with its docstring as help.

    Parameters
    ----------
    commands
        The subparsers of the command line.
    function : callable
        Runs the command that has its name; it returns the exit status, None for 0.

    Returns
    -------
    argparse.ArgumentParser
        The command's parser, for its arguments.
    """
    text = function.__doc__
    name = function.__name__.strip("_").replace("_", "-")
    parser = commands.add_parser(name, help=text.rstrip("."), description=text)
    parser.set_defaults(run=function)
    return parser


def _parser() -> argparse.ArgumentParser:
    """The parser of the command line with all commands."""
    parser = argparse.ArgumentParser(
        prog="fuxiflow",
        description="Commands beside the workflow. The workflow itself is run by snakemake.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _command(commands, _check).add_argument(
        "paths", type=Path, nargs="+", help="the configuration and what is laid over it, or sources"
    )
    _command(commands, _schema)
    _command(commands, _reference)
    _command(commands, _inspect).add_argument("path", type=Path)
    _command(commands, _explain).add_argument(
        "paths", type=Path, nargs="+", help="the configuration, and what is laid over it"
    )
    planning = _command(commands, _plan)
    planning.add_argument(
        "paths", type=Path, nargs="+", help="the configuration, and what is laid over it"
    )
    for name, text in (
        ("--device-gb", "memory of a GPU that training is to fit"),
        ("--cores", "processors that the run has, for its time"),
        ("--memory-gb", "memory that its jobs share, for its time"),
        ("--gpus", "GPUs that the run has, for its time; by default 1 with one of the above"),
    ):
        planning.add_argument(name, type=_above_zero, help=text)
    cutting = _command(commands, _test_months)
    cutting.add_argument("first", help="first month, YYYY-MM")
    cutting.add_argument("last", help="last month, YYYY-MM")
    cutting.add_argument(
        "paths", type=Path, nargs="+", help="the configuration, and what is laid over it"
    )
    _add_rehearsal(commands)
    restoring = _command(commands, _restore)
    restoring.add_argument("results", type=Path, help="folder of a run, for example results/demo")
    restoring.add_argument("paths", type=Path, nargs="*", help="products, by default all")
    judging = _command(commands, _acceptance)
    judging.add_argument("results", type=Path, help="folder of a run, for example results/demo")
    judging.add_argument("--check", action="store_true", help="fail unless every bar is met")
    _add_raw_store(commands)
    _add_publishing(commands)
    checking = _command(commands, _verify)
    checking.add_argument("results", type=Path, help="folder of a run, for example results/demo")
    checking.add_argument("--jobs", type=int, default=1, help="processes that check, by default 1")
    drawing = _command(commands, _redraw)
    drawing.add_argument("figure", help="name of the figure, for example cycling")
    drawing.add_argument("table", type=Path, help="the CSV that lies beside the figure")
    drawing.add_argument("target", type=Path, help="file to draw into: .png, .pdf or .svg")
    _command(commands, _paper).add_argument(
        "paths", type=Path, nargs="+", help="the configuration, and what is laid over it"
    )
    _add_selection(_command(commands, _select_channels))
    operators = _command(commands, _build_operators)
    operators.add_argument("instrument", nargs="?", help="by default all")
    operators.add_argument("directory", nargs="?", type=Path, help="by default resources/operators")
    absorption = "another model of absorption, R20, at the nodes of the tables there are"
    operators.add_argument("--absorption", choices=["R19", "R20"], default="R19", help=absorption)
    _command(commands, _build_climate).add_argument(
        "truncation", nargs="?", type=int, default=31, help="spectral truncation, by default 31"
    )
    coast = _command(commands, _build_coastline)
    coast.add_argument(
        "source", type=Path, help="TopoJSON with an object 'land', as world-atlas' land-110m.json"
    )
    coast.add_argument("target", type=Path, help="GeoJSON to write")
    return parser


def _above_zero(text: str) -> float:
    """Return the number of an option that is an amount of something."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}, allowed: a number above 0")
    return number


def _add_rehearsal(commands) -> None:
    """Add the command that compares a finished run with its requests."""
    from fuxiflow import ROOT

    rehearsing = _command(commands, _rehearsal)
    rehearsing.add_argument(
        "paths", type=Path, nargs="+", help="the configuration, and what was laid over it"
    )
    rehearsing.add_argument(
        "--larger",
        type=Path,
        default=ROOT / "config" / "paper.yaml",
        help="configuration of the run that was rehearsed, by default config/paper.yaml",
    )
    rehearsing.add_argument(
        "--keep", type=Path, help="benchmarks/durations.csv, to put the measurements into"
    )


def _add_raw_store(commands) -> None:
    """Add the commands of the raw store."""
    fetching = _command(commands, _fetch)
    fetching.add_argument(
        "paths", type=Path, nargs="+", help="the configuration, and what is laid over it"
    )
    fetching.add_argument(
        "--source", nargs="+", help="era5, gfs or names of sources; by default all"
    )
    fetching.add_argument("--months", nargs="+", help="months YYYY-MM; by default all")
    _command(commands, _archive_check).add_argument(
        "paths", type=Path, nargs="*", help="the configuration, and what is laid over it"
    )
    _command(commands, _fetch_tracks).add_argument(
        "part", nargs="?", help="basin or years, such as NA or ALL; by default that of archive.yaml"
    )
    opening = _command(commands, _fetch_open_data)
    opening.add_argument(
        "paths", type=Path, nargs="+", help="the configuration, and what is laid over it"
    )
    opening.add_argument("--system", required=True, help="a system of verification.systems")
    adopting = _command(commands, _adopt)
    adopting.add_argument(
        "folder", type=Path, help="below resources/archive, or elsewhere with the options"
    )
    adopting.add_argument("--product", default="", help="era5, gfs or the name of a source")
    adopting.add_argument("--month", default="", help="YYYY-MM")
    adopting.add_argument("--origin", default="", help="who the files came from")
    _command(commands, _verify_archive).add_argument(
        "folders", type=Path, nargs="*", help="below resources/archive; by default all of it"
    )


def _add_publishing(commands) -> None:
    """Add the commands that make a mirror of public archives out of an embedded world."""
    publishing = _command(commands, _publish)
    publishing.add_argument(
        "paths", type=Path, nargs="+", help="the configuration, and what is laid over it"
    )
    publishing.add_argument("--folder", type=Path, required=True, help="folder to write")
    serving = _command(commands, _serve)
    serving.add_argument("--port", type=int, help="by default 8700, and a free one with --config")
    serving.add_argument(
        "--config",
        type=Path,
        help="a configuration with addresses at port 8700: COMMAND gets a copy with the server's",
    )
    serving.add_argument("folder", type=Path, help="what fuxiflow publish has written")
    serving.add_argument("program", nargs="+", metavar="COMMAND", help="after --")


def _add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``select-channels``."""
    parser.add_argument(
        "table",
        type=Path,
        help="Jacobian table: .nc, .zarr or .parquet (docs/explanation/observations.md)",
    )
    parser.add_argument("output", type=Path, help="CSV to write")
    parser.add_argument(
        "--informative", type=int, default=124, help="channels by information content"
    )
    parser.add_argument("--spaced", type=int, default=38, help="channels of these by their peaks")
    parser.add_argument(
        "--criterion", default="entropy", help="entropy (reduction) or (degrees of) freedom"
    )
    parser.add_argument(
        "--among", type=Path, help="CSV whose column channel names the channels to choose from"
    )
    parser.add_argument(
        "--correlation-length", type=float, default=0.0, help="of background errors, in ln p"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 1 with the error on standard error."""
    options = _parser().parse_args(arguments)
    try:
        status = options.run(options) or 0
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # whoever read the output, as head does, has seen enough; Python flushes again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (KeyError, ValueError, OSError, RuntimeError, ImportError) as error:
        print(_in_words(error), file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return 1


def _in_words(error: Exception) -> str:
    """Return the text of an error, without quotes of a KeyError and numbers of an OSError."""
    if isinstance(error, KeyError):
        return " ".join(map(str, error.args))
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
