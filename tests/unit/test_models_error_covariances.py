"""Covariances of errors: their roots against explicit matrices, and their file."""

import pytest
import torch

from fuxiflow.models.error_covariances import (
    BackgroundErrors,
    complex_product,
)
from fuxiflow.models.spectral_basis import load_fitted, save_fitted
from fuxiflow.storage.checksums import DamagedError
from tests.support.covariances import background_errors, covariance_matrix, drawn

COLUMNS, ROWS = 16, 8


def test_states_drawn_have_the_covariance():
    layer = background_errors(waves=2, modes=1, rank=2)
    states = layer.draw(20000, torch.Generator().manual_seed(0)).flatten(1)
    sampled = (states.T[:60] @ states[:, :60]).double() / len(states)
    expected = covariance_matrix(layer)[:60, :60]
    torch.testing.assert_close(sampled, expected, atol=0.05 * expected.abs().max(), rtol=0)


def test_states_of_controls_and_their_adjoint_have_the_same_inner_products():
    layer = background_errors()
    control = torch.view_as_complex(drawn(4, 6, 2, 2, seed=14))
    control.imag[layer.is_real] = 0
    modes = drawn(2, 3, ROWS, COLUMNS, seed=15)
    inner = (control.conj() * layer.mode_controls(modes)).real.sum()
    torch.testing.assert_close(
        (layer.mode_states(control) * modes).sum(), inner, rtol=1e-4, atol=1e-4
    )


def test_products_of_parts_are_those_of_complex_numbers():
    real, imaginary = drawn(3, 5, 4, seed=16), drawn(3, 5, 4, seed=17)
    values = torch.view_as_complex(drawn(3, 4, 2, 2, seed=18))
    product = complex_product(real, imaginary, values)
    torch.testing.assert_close(product, torch.complex(real, imaginary) @ values)


def test_a_file_of_background_errors_gives_the_same_and_damage_is_seen(tmp_path):
    path, layer = tmp_path / "background_errors.pt", background_errors()
    save_fitted(path, layer)
    again = load_fitted(path, BackgroundErrors)
    assert again.size == layer.size
    for name, value in layer.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"background_errors\.pt"):
        load_fitted(path, BackgroundErrors)


def test_the_root_is_rounded_under_autocast_alone():
    layer = background_errors()
    control = torch.view_as_complex(drawn(4, 6, 2, 2, seed=14))
    exact = layer.states(control)
    with torch.autocast("cpu", torch.bfloat16):
        layer.follow_autocast()
    rounded = layer.states(control)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, atol=0.02 * exact.abs().max().item(), rtol=0)
    layer.follow_autocast()
    assert torch.equal(layer.states(control), exact)
