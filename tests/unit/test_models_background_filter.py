"""The filter of backgrounds: projections, products and files."""

import numpy as np
import pytest
import torch

from fuxiflow.models.background_filter import BackgroundFilter
from fuxiflow.models.spectral_basis import load_fitted, save_fitted
from fuxiflow.storage.checksums import DamagedError


def whole(channels=3, shape=(4, 8), keep=False) -> BackgroundFilter:
    """A filter that holds all scales, and whose matrices are the identity."""
    size = shape[0] * channels
    layer = BackgroundFilter(
        channels,
        shape,
        waves=shape[1] // 2,
        vertical_modes=channels,
        rows=shape[0],
        rank=size,
        keep_small_scales=keep,
    )
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(channels, channels, generator=generator)).Q
    layer.vertical.copy_(basis)
    layer.left[..., 0] = torch.eye(size)
    layer.right[..., 0] = torch.eye(size)
    layer.scale.copy_(torch.rand(channels, *shape, generator=generator) + 0.5)
    return layer


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random numbers of a shape."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("keep", [False, True])
def test_identity_leaves_a_background(keep):
    layer, background, climatology = whole(keep=keep), drawn(2, 3, 4, 8), drawn(2, 3, 4, 8, seed=5)
    torch.testing.assert_close(layer(background, climatology), background)


def test_zero_matrices_give_climatology():
    layer, climatology = whole(), drawn(2, 3, 4, 8)
    layer.left.zero_()
    torch.testing.assert_close(layer(drawn(2, 3, 4, 8, seed=1), climatology), climatology)


def test_a_matrix_acts_on_its_wavenumber_alone():
    layer = whole()
    layer.scale.fill_(1.0)
    layer.left[2] *= 0.25
    angle = 2 * np.pi * torch.arange(8) / 8
    parts = [torch.cos(m * angle) * (m + 1.0) for m in range(4)]
    background = sum(parts).expand(1, 3, 4, 8)
    expected = (parts[0] + parts[1] + 0.25 * parts[2] + parts[3]).expand(1, 3, 4, 8)
    torch.testing.assert_close(layer(background, torch.zeros(1, 3, 4, 8)), expected)


def test_small_scales_stay_or_become_climatology():
    for keep, share in ((True, 1.0), (False, 0.0)):
        layer = BackgroundFilter(
            1, (2, 8), waves=1, vertical_modes=1, rows=2, rank=2, keep_small_scales=keep
        )
        layer.vertical.fill_(1.0)
        layer.left[..., 0] = 0.5 * torch.eye(2)
        layer.right[..., 0] = torch.eye(2)
        angle = 2 * np.pi * torch.arange(8) / 8
        large, small = torch.cos(angle), torch.cos(3 * angle)
        result = layer((large + small).expand(1, 1, 2, 8), torch.zeros(1, 1, 2, 8))
        torch.testing.assert_close(result, (0.5 * large + share * small).expand(1, 1, 2, 8))


def test_gradients_pass_the_filter():
    layer, background = whole(), drawn(1, 3, 4, 8).requires_grad_()
    layer.left *= 0.5
    layer(background, torch.zeros(1, 3, 4, 8)).sum().backward()
    torch.testing.assert_close(background.grad, torch.full_like(background, 0.5))
    assert not list(layer.parameters())


def test_numbers_are_single_precision_under_autocast():
    layer, background = whole(), drawn(1, 3, 4, 8)
    with torch.autocast("cpu", torch.bfloat16):
        filtered = layer(background, torch.zeros(1, 3, 4, 8))
    torch.testing.assert_close(filtered, background)


def test_file_keeps_the_filter(tmp_path):
    layer, path = whole(), tmp_path / "filter.pt"
    save_fitted(path, layer)
    again = load_fitted(path, BackgroundFilter)
    assert again.size == layer.size
    background = drawn(1, 3, 4, 8)
    assert torch.equal(again(background, 0 * background), layer(background, 0 * background))


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "filter.pt"
    save_fitted(path, whole())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"filter\.pt"):
        load_fitted(path, BackgroundFilter)
