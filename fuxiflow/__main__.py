"""Commands beside the workflow: ``python -m fuxiflow schema``, ``python -m fuxiflow inspect PATH``."""

import argparse
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 1 with one line on standard error."""
    parser = argparse.ArgumentParser(prog="python -m fuxiflow", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("schema", help="print the JSON schema of the configuration")
    check = commands.add_parser("check", help="check a configuration file")
    check.add_argument("path", type=Path)
    inspect = commands.add_parser("inspect", help="say what an artefact holds and where it came from")
    inspect.add_argument("path", type=Path)
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "schema":
            from fuxiflow.config import schema

            print(schema(), end="")
        elif chosen.command == "check":
            from fuxiflow.config import load

            print(f"{chosen.path}: valid, name {load(chosen.path).name}")
        else:
            from fuxiflow.inspection import describe

            print(describe(chosen.path))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
