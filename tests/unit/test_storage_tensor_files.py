"""A tensor file on a full disk gives the file system's error, not torch's own."""

import errno

import pytest
import torch

from fuxiflow.storage import checksums
from fuxiflow.storage.tensor_files import save_tensors, write_tensors

CONTENT = {"step": 3, "weights": {"a": torch.arange(200_000.0)}}


class FullDisk:
    """A file on a disk that takes so many bytes."""

    name = "/scratch/assimilator.ckpt"

    def __init__(self, free):
        self.free = free

    def write(self, data):
        self.free -= len(data)
        if self.free < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(data)

    def flush(self):
        pass


@pytest.mark.parametrize("free", [0, 64, 1000, 400_000])
def test_a_full_disk_is_told_with_the_file(free):
    with pytest.raises(OSError, match=r"No space left on device: '/scratch/assimilator\.ckpt'"):
        write_tensors(CONTENT, FullDisk(free))


def test_what_is_saved_carries_a_checksum_and_comes_back(tmp_path):
    path = tmp_path / "a.ckpt"
    save_tensors(CONTENT, path)
    checksums.check_sealed(path)
    loaded = torch.load(path, weights_only=True)
    assert loaded["step"] == 3
    assert torch.equal(loaded["weights"]["a"], CONTENT["weights"]["a"])
