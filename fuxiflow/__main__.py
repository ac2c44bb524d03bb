"""Commands beside the workflow: ``python -m fuxiflow schema``, ``python -m fuxiflow inspect PATH``."""

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
    inspect = commands.add_parser("inspect", help="say what an artefact holds and where it came from")
    inspect.add_argument("path", type=Path)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "schema":
            from fuxiflow.config import schema

            print(schema(), end="")
        elif chosen.command == "check":
            print(f"{chosen.path}: valid, {_checked(chosen.path)}")
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
        from fuxiflow.config import load

        return f"name {load(path).name}"
    from fuxiflow import sources
    from fuxiflow.observations import readers

    source = sources.read(path)
    try:
        readers.module_file(source.reader)
    except KeyError as error:
        raise ValueError(f"{path}: reader: {error.args[0]}") from error
    return f"source {source.name} with {len(source.channels)} channels on {', '.join(source.platform_names)}"


if __name__ == "__main__":
    sys.exit(main())
