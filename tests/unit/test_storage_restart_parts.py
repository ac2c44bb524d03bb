"""Restart folders in parts: whole or absent, checked, and read by any number of processes."""

import errno
import logging
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from fuxiflow.storage import restart_parts
from fuxiflow.storage.restart_files import Damaged, HashingFile, RestartFiles

LOG = logging.getLogger("test")


@contextmanager
def one_process(folder):
    """A group of processes that has this one alone, and its mesh."""
    folder.mkdir(exist_ok=True)
    store = distributed.FileStore(str(folder / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        yield init_device_mesh("cpu", (1,))
    finally:
        distributed.destroy_process_group()


def content(mesh, step):
    shared = distribute_tensor(torch.arange(6.0).reshape(3, 2) + step, mesh, [Shard(0)])
    return {
        "step": step,
        "losses": [{"loss": 0.5}],
        "module": {"weight": shared, "count": torch.tensor(step)},
        "average": {"means": [2 * shared]},
    }


def flip(path):
    """Change a bit in the middle of a file."""
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)


def test_folders_rotate_and_the_newest_sound_one_counts(tmp_path, caplog):
    files = RestartFiles(tmp_path / "state", 2, LOG)
    files.folder.mkdir()
    with one_process(tmp_path / "group") as mesh:
        for step in (2, 4, 6):
            files.save_parts(step, content(mesh, step))
        example = content(mesh, 0)["module"]["weight"]
        shared = files.load(lambda name, shape: torch.empty_like(example))
    newest, older = files.files()
    assert newest.is_dir()
    assert sorted(files.folder.iterdir()) == sorted([newest, older])
    # the shares of a process group, and whole outside of one
    assert isinstance(shared["module"]["weight"], DTensor)
    whole = files.load()
    expected = torch.arange(6.0).reshape(3, 2) + 6
    assert torch.equal(whole["module"]["weight"], expected)
    assert torch.equal(shared["module"]["weight"].to_local(), expected)
    assert torch.equal(whole["average"]["means"][0], 2 * expected)
    assert (whole["step"], whole["losses"], int(whole["module"]["count"])) == (
        6,
        [{"loss": 0.5}],
        6,
    )
    for path in sorted(newest.iterdir()):
        sound = path.read_bytes()
        flip(path)
        assert files.load()["step"] == 4, path.name
        path.write_bytes(sound)
    assert "is damaged" in caplog.text
    assert files.load()["step"] == 6
    (newest / restart_parts.REST).unlink()
    next(older.glob("*.distcp")).unlink()
    with pytest.raises(Damaged, match=r"2 damaged.*delete the folder"):
        files.load()


def test_files_and_folders_stand_in_one_row(tmp_path):
    files = RestartFiles(tmp_path / "state", 2, LOG)
    files.folder.mkdir()
    files.save(1, {"step": 1})
    files.save(2, {"step": 2})
    with one_process(tmp_path / "group") as mesh:
        files.save_parts(3, content(mesh, 3))
    assert [path.is_dir() for path in files.files()] == [True, False]
    files.save(4, {"step": 4})
    files.save(5, {"step": 5})
    assert [path.is_dir() for path in files.files()] == [False, False]
    assert files.load() == {"step": 5}


@pytest.mark.parametrize("refused", ["*.distcp", restart_parts.REST])
def test_the_last_good_folder_stays_where_the_next_cannot_be_written(
    tmp_path, monkeypatch, refused
):
    files = RestartFiles(tmp_path / "state", 1, LOG)
    files.folder.mkdir()
    write, read = HashingFile.write, restart_parts.file_sha256

    def full(self, data):
        if Path(self.name).match(refused):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    with one_process(tmp_path / "group") as mesh:
        files.save_parts(2, content(mesh, 2))
        good = files.files()
        monkeypatch.setattr(HashingFile, "write", full)
        with pytest.raises(OSError, match=r"No space left on device: '.*/state/\.tmp-"):
            files.save_parts(4, content(mesh, 4))
        monkeypatch.setattr(HashingFile, "write", write)
        monkeypatch.setattr(
            restart_parts,
            "file_sha256",
            lambda path, from_disk=False: "0" if path.match(refused) else read(path, from_disk),
        )
        with pytest.raises(OSError, match="not what is read back"):
            files.save_parts(4, content(mesh, 4))
        monkeypatch.undo()
    assert list(files.folder.iterdir()) == good
    assert files.load()["step"] == 2
