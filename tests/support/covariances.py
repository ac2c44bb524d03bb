"""Small background errors of random numbers, and their covariance as a matrix."""

import torch

from fuxiflow.models.error_covariances import BackgroundErrors

CHANNELS, ROWS, COLUMNS = 69, 8, 16


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random numbers of a shape."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def background_errors(waves=3, modes=3, rank=6) -> BackgroundErrors:
    """A B of random roots."""
    size = {"waves": waves, "vertical_modes": modes, "rows": ROWS, "rank": rank}
    layer = BackgroundErrors(CHANNELS, (ROWS, COLUMNS), **size)
    layer.scale.copy_(drawn(CHANNELS, ROWS, COLUMNS, seed=1).abs() + 0.5)
    layer.vertical.copy_(torch.linalg.qr(drawn(CHANNELS, CHANNELS, seed=2)).Q[:, :modes])
    root = drawn(waves + 1, ROWS * modes, rank, 2, seed=3) / 4
    for wave in range(waves + 1):
        if layer.is_real[wave]:
            root[wave, ..., 1] = 0
        layer.set_root(wave, torch.view_as_complex(root[wave]))
    return layer


def covariance_matrix(layer: BackgroundErrors) -> torch.Tensor:
    """B as a matrix, ``(state, state)``, from the states of each part of the control by itself."""
    shape = (layer.waves + 1, layer.rank)
    columns = []
    for part in (1, 1j):
        units = torch.zeros(*shape, layer.waves + 1, layer.rank, dtype=torch.complex64)
        for wave in range(layer.waves + 1):
            if part == 1 or not layer.is_real[wave]:
                units[wave, :, wave, :] = part * torch.eye(layer.rank)
        columns.append(layer.states(units.flatten(2)).flatten(1))
    root = torch.cat(columns).double()
    return root.T @ root
