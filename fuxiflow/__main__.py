"""Commands beside the workflow, ``python -m fuxiflow COMMAND``: schema, check, inspect, explain, select-channels."""

import argparse
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 1 with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m fuxiflow", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("schema", help="print the JSON schema of the configuration")
    check = commands.add_parser("check", help="check a configuration, or the file of a source")
    check.add_argument("path", type=Path)
    inspect = commands.add_parser(
        "inspect", help="say what an artefact holds and where it came from"
    )
    inspect.add_argument("path", type=Path)
    explain = commands.add_parser(
        "explain", help="say what would run, and which setting, function or file is why"
    )
    explain.add_argument(
        "paths", type=Path, nargs="+", help="the configuration, and what is laid over it"
    )
    selection = commands.add_parser(
        "select-channels",
        help="select a sounder's channels by information content, then "
        "by the heights at which they peak, and write the list as CSV",
    )
    selection.add_argument(
        "table", type=Path, help="Jacobian table: .nc, .zarr or .parquet (docs/observations.md)"
    )
    selection.add_argument("output", type=Path, help="CSV to write")
    selection.add_argument(
        "--informative", type=int, default=124, help="channels by information content"
    )
    selection.add_argument(
        "--spaced", type=int, default=38, help="channels of these by their peaks"
    )
    selection.add_argument(
        "--criterion", default="entropy", help="entropy (reduction) or (degrees of) freedom"
    )
    selection.add_argument(
        "--among", type=Path, help="CSV whose column channel names the channels to choose from"
    )
    selection.add_argument(
        "--correlation-length", type=float, default=0.0, help="of background errors, in ln p"
    )
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "schema":
            from fuxiflow.config.configuration import configuration_schema

            print(configuration_schema(), end="")
        elif chosen.command == "check":
            print(f"{chosen.path}: valid, {_checked(chosen.path)}")
        elif chosen.command == "select-channels":
            from fuxiflow.observations import channel_selection

            selected = channel_selection.run(
                chosen.table,
                chosen.output,
                chosen.informative,
                chosen.spaced,
                chosen.criterion,
                chosen.among,
                chosen.correlation_length,
            )
            print(
                f"{chosen.output}: {chosen.spaced} of {len(selected)} channels, which together have "
                f"{selected['freedom'].sum():.2f} degrees of freedom and {selected['entropy'].sum():.2f} bits"
            )
        elif chosen.command == "explain":
            from fuxiflow.runtime.explain import explain as explained

            print(explained(*chosen.paths))
        else:
            from fuxiflow.inspection import describe

            print(describe(chosen.path))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _checked(path: Path) -> str:
    """What a file of a source, in a folder of that name, or a configuration says, once it is found valid."""
    if path.resolve().parent.name != "sources":
        from fuxiflow.config.configuration import load_configuration

        return f"name {load_configuration(path).name}"
    from fuxiflow.config import sources
    from fuxiflow.observations import readers

    source = sources.read_source(path)
    try:
        readers.module_file(source.reader)
    except KeyError as error:
        raise ValueError(f"{path}: reader: {error.args[0]}") from error
    return f"source {source.name} with {len(source.channels)} channels on {', '.join(source.platform_names)}"


if __name__ == "__main__":
    sys.exit(main())
