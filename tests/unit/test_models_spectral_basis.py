"""Amplitudes of fields: rows, and what undoes or adjoins what."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow.models.spectral_basis import SpectralBasis, row_interpolation, row_means


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random numbers of a shape."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def basis(waves: int, rows: int, modes: int = 2) -> SpectralBasis:
    """A basis of three channels on 6 x 8 cells."""
    layer = SpectralBasis(3, (6, 8), waves=waves, vertical_modes=modes, rows=rows)
    layer.vertical.copy_(torch.linalg.qr(drawn(3, 3)).Q[:, :modes])
    return layer


def test_rows_are_means_and_are_interpolated():
    np.testing.assert_allclose(row_means(6, 2), [[1 / 3] * 3 + [0] * 3, [0] * 3 + [1 / 3] * 3])
    np.testing.assert_allclose(row_means(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]], atol=1e-6)
    linear = row_interpolation(8, 4) @ torch.tensor([0.0, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(linear, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])


@given(st.integers(1, 30), st.integers(1, 30))
def test_rows_keep_constants(nlat, rows):
    rows = min(rows, nlat)
    constant = torch.ones(nlat)
    means = row_means(nlat, rows) @ constant
    torch.testing.assert_close(means, torch.ones(rows))
    torch.testing.assert_close(row_interpolation(nlat, rows) @ means, constant)


def test_a_whole_basis_undoes_itself():
    layer, fields = basis(waves=4, rows=6, modes=3), drawn(2, 3, 6, 8)
    torch.testing.assert_close(layer.fields(layer.amplitudes(fields)), fields)


@pytest.mark.parametrize(("waves", "rows"), [(4, 6), (2, 6), (3, 4)])
def test_the_adjoint_has_the_same_inner_products(waves, rows):
    layer = basis(waves, rows)
    amplitudes = torch.view_as_complex(drawn(waves + 1, 2 * rows, 1, 2, seed=1))
    amplitudes[layer.is_real] = amplitudes[layer.is_real].real + 0j
    modes = drawn(1, 2, 6, 8, seed=2)
    outer = (layer.mode_fields(amplitudes) * modes).sum()
    inner = (amplitudes.conj() * layer.mode_adjoint(modes)).sum().real
    torch.testing.assert_close(outer, inner, rtol=1e-4, atol=1e-5)
