"""A `conda` of the calls that Snakemake and `make lock` make, by py-rattler, for channels
on disk.
"""

import argparse
import asyncio
import json
import os
import re
import sys
from pathlib import Path

import yaml
from rattler import (
    Channel,
    ChannelConfig,
    MatchSpec,
    Platform,
    PrefixRecord,
    VirtualPackage,
    install,
    solve,
)

ROOT = Path(os.environ["SMALL_CONDA_ROOT"])
# Snakemake asks for 24.7.1 or newer
VERSION = "24.7.1"


def wanted(path: Path) -> tuple[list[str], list[str]]:
    """Channels and packages of an environment's file, or of an explicit list."""
    text = path.read_text(encoding="utf-8")
    if "@EXPLICIT" in text:
        names = re.findall(r"/([^/]+)-([^/-]+)-([^/-]+)\.(?:tar\.bz2|conda)", text)
        return ["conda-forge"], [f"{name}=={version}={build}" for name, version, build in names]
    content = yaml.safe_load(text)
    if any(not isinstance(entry, str) for entry in content["dependencies"]):
        sys.exit(f"{path}: packages of pip are not for this small conda")
    return [name for name in content["channels"] if name != "nodefaults"], content["dependencies"]


async def create(path: Path, prefix: Path) -> None:
    """Make an environment."""
    channels, packages = wanted(path)
    where = ChannelConfig(channel_alias=os.environ["SMALL_CONDA_CHANNELS"] + "/")
    records = await solve(
        [Channel(name, where) for name in channels],
        [MatchSpec(package) for package in packages],
        platforms=[Platform.current(), Platform("noarch")],
        virtual_packages=VirtualPackage.detect(),
    )
    await install(records, target_prefix=prefix, cache_dir=ROOT / "packages", show_progress=False)
    (prefix / "conda-meta" / "history").touch()


def listed(prefix: Path) -> str:
    """The explicit list of an environment's packages."""
    records = [
        PrefixRecord.from_path(path) for path in sorted((prefix / "conda-meta").glob("*.json"))
    ]
    return "\n".join(["@EXPLICIT", *(f"{record.url}#{record.md5.hex()}" for record in records)])


def main() -> None:
    """What the words of the command line ask for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--file", type=Path)
    parser.add_argument("--prefix", type=Path)
    parser.add_argument("--get")
    parser.add_argument("-y", "--yes", action="store_true")
    for flag in ("version", "json", "quiet", "no-default-packages", "explicit", "md5", "tarballs"):
        parser.add_argument(f"--{flag}", action="store_true")
    given = parser.parse_args()
    if given.version:
        print(f"conda {VERSION}")
    elif given.words == ["info"]:
        print(
            json.dumps(
                {
                    "conda_prefix": str(ROOT),
                    "root_prefix": str(ROOT),
                    "platform": str(Platform.current()),
                }
            )
        )
    elif given.words[:1] == ["config"]:
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif given.words[-1:] == ["create"]:
        asyncio.run(create(given.file, given.prefix))
    elif given.words == ["list"]:
        print(listed(given.prefix))
    elif given.words == ["clean"]:
        pass  # packages of a local channel leave nothing behind
    else:
        sys.exit(f"small conda: not supported: {' '.join(sys.argv[1:])}")


if __name__ == "__main__":
    main()
    # threads of rattler may outlive its calls, and crash an interpreter that takes its objects down
    sys.stdout.flush()
    os._exit(0)
