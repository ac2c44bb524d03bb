"""A conda channel on disk, made of the packages that this interpreter has, and a `conda` that
installs from it.

No other channel is needed, and no network: an installed distribution becomes a package of symbolic
links to its files, with its own requirements as dependencies. An environment then holds what its
file names, what that requires, and nothing else. What this cannot show is that the same names and
versions solve on conda-forge.
"""

import asyncio
import hashlib
import importlib.metadata
import io
import json
import os
import re
import sys
import sysconfig
import tarfile
from collections import defaultdict
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rattler.index import index_fs

from fuxiflow import ROOT

PLATFORM = "linux-64"
PYTHON = "{}.{}".format(*sys.version_info[:2])
LIBRARY = f"lib/python{PYTHON}/site-packages"
# packages that conda-forge has under other names
OTHER_NAMES = {
    "torch": "pytorch",
    "matplotlib": "matplotlib-base",
    "eccodes": "python-eccodes",
    "dask": "dask-core",
}
# environments of networks ask for a build for GPUs
BUILDS = {"torch": "cuda0_0"}
ENTRY = """#!/bin/sh
'''exec' "$(dirname "$0")/python" "$0" "$@"
' '''
import sys
from {module} import {name}
sys.exit({call}())
"""
CONDA = """#!/bin/sh
export PYTHONPATH="{path}" SMALL_CONDA_CHANNELS="{channels}" SMALL_CONDA_ROOT="{root}"
exec "{python}" -m tests.slurm.small_conda "$@"
"""
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


def _version(text: str) -> str:
    return re.sub(r"[^0-9a-zA-Z.]", "_", text)


def _write(
    folder: Path, name: str, version: str, depends: list[str], build: str, links=(), files=()
) -> None:
    """One package: ``links`` are pairs of a path and what it points to, ``files`` of path, text and
    mode.
    """
    paths = [
        {
            "_path": path,
            "path_type": "softlink",
            "sha256": hashlib.sha256(b"").hexdigest(),
            "size_in_bytes": 0,
        }
        for path, _ in links
    ]
    paths += [
        {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "size_in_bytes": len(text.encode()),
        }
        for path, text, _ in files
    ]
    index = {
        "name": name,
        "version": _version(version),
        "build": build,
        "build_number": 0,
        "depends": depends,
        "arch": "x86_64",
        "platform": "linux",
        "subdir": PLATFORM,
    }
    described = {
        "index.json": json.dumps(index),
        "paths.json": json.dumps({"paths": paths, "paths_version": 1}),
        "files": "".join(f"{item['_path']}\n" for item in paths),
        "about.json": "{}",
    }
    entries = [(f"info/{path}", text, 0o644) for path, text in described.items()] + list(files)
    with tarfile.open(
        folder / f"{name}-{_version(version)}-{build}.tar.bz2", "w:bz2", compresslevel=1
    ) as archive:
        for path, text, mode in entries:
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(text.encode()), mode
            archive.addfile(member, io.BytesIO(text.encode()))
        for path, target in links:
            member = tarfile.TarInfo(path)
            member.type, member.linkname = tarfile.SYMTYPE, str(target)
            archive.addfile(member)


def _python(folder: Path) -> None:
    base = Path(os.path.realpath(sys.executable))
    version = sys.version.split()[0]
    home = f"home = {base.parent}\ninclude-system-site-packages = false\nversion = {version}\n"
    links = [
        (f"bin/python{PYTHON}", base),
        ("bin/python3", f"python{PYTHON}"),
        ("bin/python", f"python{PYTHON}"),
    ]
    _write(
        folder,
        "python",
        sys.version.split()[0],
        [],
        f"0_cp{PYTHON.replace('.', '')}",
        links,
        [("pyvenv.cfg", home, 0o644), (f"{LIBRARY}/README.txt", "\n", 0o644)],
    )


def _scripts(distribution) -> list[tuple[str, str, int]]:
    found = []
    for entry in distribution.entry_points:
        if entry.group == "console_scripts" and entry.attr:
            text = ENTRY.format(module=entry.module, name=entry.attr.split(".")[0], call=entry.attr)
            found.append((f"bin/{entry.name}", text, 0o755))
    return found


def _requirements(distribution, known) -> list[str]:
    depends = [f"python {PYTHON}.*"]
    for text in distribution.requires or []:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name in known and (
            requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ):
            depends.append(f"{name} {requirement.specifier}".strip())
    return depends


def build(root: Path) -> Path:
    """Write the channel `conda-forge` and a `conda` below ``root``; the folder that goes to the
    search path.
    """
    folder = root / "channels" / "conda-forge" / PLATFORM
    folder.mkdir(parents=True)
    (folder.parent / "noarch").mkdir()
    site = Path(sysconfig.get_path("purelib")).resolve()
    known = {
        canonicalize_name(item.metadata["Name"]): item
        for item in importlib.metadata.distributions(path=[str(site)])
    }
    files = {
        name: [
            PurePosixPath(str(file))
            for file in item.files or []
            if ".." not in str(file)
            and "__pycache__" not in str(file)
            and (site / str(file)).exists()
        ]
        for name, item in known.items()
    }
    owners = defaultdict(set)
    for name, paths in files.items():
        for path in paths:
            for depth in range(1, len(path.parts)):
                owners[path.parts[:depth]].add(name)
    _python(folder)
    for name, item in known.items():
        # a folder that one distribution alone has is linked as a whole
        links = {
            "/".join(
                next(
                    (
                        path.parts[:depth]
                        for depth in range(1, len(path.parts))
                        if owners[path.parts[:depth]] == {name}
                    ),
                    path.parts,
                )
            )
            for path in files[name]
        }
        _write(
            folder,
            name,
            item.version,
            _requirements(item, known),
            f"py{PYTHON.replace('.', '')}_0",
            [(f"{LIBRARY}/{link}", site / link) for link in sorted(links)],
            _scripts(item),
        )
        if name in OTHER_NAMES:
            needs = [f"{name} =={_version(item.version)}"]
            _write(folder, OTHER_NAMES[name], item.version, needs, BUILDS.get(name, "0"))
    asyncio.run(index_fs(folder.parent))
    programs = root / "bin"
    programs.mkdir()
    conda = programs / "conda"
    conda.write_text(
        CONDA.format(
            path=os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            python=sys.executable,
            channels=(root / "channels").as_uri(),
            root=root,
        )
    )
    conda.chmod(0o755)
    (programs / "activate").write_text(ACTIVATE)
    return programs
