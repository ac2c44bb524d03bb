"""An error of a disk names the file system, what is free on it, and what to do."""

import errno
import os
from types import SimpleNamespace

import pytest

from fuxiflow.runtime import disk_errors
from fuxiflow.runtime.disk_errors import describe_disk_error, mount_of
from fuxiflow.runtime.failure_hints import diagnose


def full(path=None):
    return OSError(errno.ENOSPC, "No space left on device", path)


def caused(error):
    try:
        try:
            raise error
        except OSError as inner:
            raise RuntimeError("PytorchStreamWriter failed") from inner
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize(
    "error",
    [
        full(),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        caused(full()),
        OSError("Unable to write (file write failed: errno = 28, error message = …)"),
    ],
)
def test_a_full_disk(tmp_path, error):
    text = describe_disk_error(error, tmp_path / "not" / "there")
    for word in (str(mount_of(tmp_path)), "MB of", "are free", "Free some space there"):
        assert word in text


def test_a_disk_on_which_nothing_is_free_is_full_whatever_a_library_says(tmp_path, monkeypatch):
    numbers = SimpleNamespace(f_bavail=3, f_frsize=4096, f_blocks=9, f_files=0)
    monkeypatch.setattr(disk_errors.os, "statvfs", lambda path: numbers)
    assert "is full" in describe_disk_error(RuntimeError("unexpected position"), tmp_path)
    assert describe_disk_error(KeyError("T2M"), tmp_path) == ""


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_store_that_does_not_answer(tmp_path, number):
    text = describe_disk_error(OSError(number, os.strerror(number), str(tmp_path / "a")), tmp_path)
    assert "did not answer" in text
    assert str(tmp_path / "a") in text
    assert "mounted" in text


def test_a_folder_that_cannot_be_looked_at(tmp_path, monkeypatch):
    def stale(path):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(disk_errors.os, "statvfs", stale)
    assert "does not answer" in describe_disk_error(full(), tmp_path)


def test_other_errors_have_no_such_sentence(tmp_path):
    assert describe_disk_error(ValueError("no weather today"), tmp_path) == ""
    assert describe_disk_error(FileNotFoundError(2, "No such file", "a"), tmp_path) == ""


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("OSError: [Errno 28] No space left on device", "is full"),
        ("the file system /data is full, or your quota on it (results): 0 MB", "is full"),
        ("OSError: [Errno 5] Input/output error: 'a'", "does not answer"),
        ("OSError: [Errno 116] Stale file handle: 'a'", "does not answer"),
    ],
)
def test_the_remedy_is_that_of_a_disk(tmp_path, line, word):
    (tmp_path / "x.log").write_text(f"2026-01-01 ERROR fuxiflow: x failed: gone\n{line}\n")
    assert word in diagnose("x", {}, ["x.log"], folder=tmp_path).remedy
