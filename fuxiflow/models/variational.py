"""3D-Var with first guess at appropriate time: an assimilator without anything trained.

The increment x minimises J(x) = x^T B^-1 x / 2 + (d - H x)^T R^-1 (d - H x) / 2. Departures d and
the linear operators H are those of the checkpoint's observation equivalents
(:class:`fuxiflow.models.pillars.PillarEncoder`) about the first guess at each observation's own
time; x holds for the whole window. :mod:`fuxiflow.training.variational_fit` fits B and R.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from fuxiflow.config.variational import Variational
from fuxiflow.models.layers import full_precision
from fuxiflow.models.networks import Networks
from fuxiflow.models.pillars import (
    FootprintBatch,
    PillarEncoder,
    neighbours_at_footprints,
    predictor_jacobian,
    states_by_cell,
)
from fuxiflow.models.spectral_basis import SpectralBasis
from fuxiflow.storage import checksums, provenance
from fuxiflow.storage.tensor_files import save_tensors

SURFACES = ("sea", "land")
LAND_FRACTION = 0.5
"""A footprint whose cell has more land counts as over land."""


class BackgroundErrors(SpectralBasis):
    """B, the covariance of background errors, by a square root for each zonal wavenumber.

    ``root (wave, row * mode, rank, 2)`` has real and imaginary parts last. A control variable
    ``(wave, rank, batch)`` of independent parts of variance 1 becomes a state with covariance B.
    """

    def __init__(
        self,
        channels: int,
        shape: tuple[int, int],
        *,
        waves: int,
        vertical_modes: int,
        rows: int,
        rank: int,
    ):
        """Make the buffers; before they are fitted B is zero.

        Parameters
        ----------
        channels : int
            Analysed channels.
        shape : tuple of int
            The grid ``(lat, lon)``.
        waves : int
            The largest zonal wavenumber of errors, at most half of the longitudes.
        vertical_modes : int
            Vertical modes, at most ``channels``.
        rows : int
            Rows of latitude, at most those of the grid.
        rank : int
            Directions of each wavenumber, at most ``rows * vertical_modes``.
        """
        super().__init__(channels, shape, waves=waves, vertical_modes=vertical_modes, rows=rows)
        size = self.rows * self.vertical_modes
        self.rank = min(rank, size)
        self.size = {
            "waves": self.waves,
            "vertical_modes": self.vertical_modes,
            "rows": self.rows,
            "rank": self.rank,
        }
        self.register_buffer("root", torch.zeros(self.waves + 1, size, self.rank, 2))

    def set_root(self, wave: int, root: Tensor) -> None:
        """Take the root ``(row * mode, rank)`` of the covariance of a wavenumber's amplitudes."""
        # amplitudes that are complex have a real and an imaginary part, which share the variance
        share = 1.0 if self.is_real[wave] else 0.5
        self.root[wave] = torch.view_as_real(root.resolve_conj() * share**0.5)

    def states(self, control: Tensor) -> Tensor:
        """Return the states ``(batch, channel, lat, lon)`` of controls ``(wave, rank, batch)``."""
        return self.scale * self.fields(torch.view_as_complex(self.root) @ control)

    def controls(self, states: Tensor) -> Tensor:
        """Apply the adjoint of :meth:`states`."""
        return torch.view_as_complex(self.root).mH @ self.adjoint(self.scale * states)

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Draw states ``(batch, channel, lat, lon)`` with covariance B."""
        size = (self.waves + 1, self.rank, batch, 2)
        parts = torch.randn(size, generator=generator).to(self.root.device)
        parts[self.is_real, ..., 1] = 0.0
        return self.states(torch.view_as_complex(parts))


class SourceErrors(nn.Module):
    """R of a source over sea and over land, in standardised units, first sea then land.

    ``bias (surface, channel)`` is the mean misfit, ``covariance (surface, channel, channel)`` that
    of the rest, ``background (surface, channel)`` the variance of the equivalents of background
    errors, and ``used (surface, channel)`` says which channels are assimilated.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("bias", torch.zeros(2, channels))
        self.register_buffer("covariance", torch.eye(channels).repeat(2, 1, 1))
        self.register_buffer("background", torch.zeros(2, channels))
        self.register_buffer("used", torch.ones(2, channels, dtype=torch.bool))

    def whiten(self, present: Tensor, surface: Tensor, *values: Tensor) -> list[Tensor]:
        """Multiply by R^-1/2, the inverse of the Cholesky factor of what is present.

        Parameters
        ----------
        present : Tensor
            The channels that each observation has, ``(n, channel)``.
        surface : Tensor
            0 over sea, 1 over land, ``(n,)``.
        *values : Tensor
            ``(n, channel, any)`` each.

        Returns
        -------
        list of Tensor
            Likewise, 0 where a channel is missing.
        """
        whitened = [torch.zeros_like(value) for value in values]
        patterns, pattern_of = torch.unique(
            torch.cat([present, surface[:, None].bool()], 1), dim=0, return_inverse=True
        )
        for i, pattern in enumerate(patterns):
            channel = pattern[:-1].nonzero()[:, 0]
            if not len(channel):
                continue
            rows = (pattern_of == i).nonzero()[:, 0]
            where = (rows[:, None], channel[None])
            covariance = self.covariance[int(pattern[-1])][channel][:, channel]
            factor = torch.linalg.cholesky(covariance)
            for value, white in zip(values, whitened, strict=True):
                white[where] = torch.linalg.solve_triangular(factor, value[where], upper=False)
        return whitened


@dataclass
class LinearObservations:
    """Whitened departures and linear operators of the observations of one source.

    ``departures (n, channel)``; ``jacobian (n, channel, column)``; the cells around each, of all
    windows one after the other, and their weights, ``(n, neighbour)``; the channels ``seen
    (column,)``.
    """

    departures: Tensor
    jacobian: Tensor
    cells: Tensor
    weights: Tensor
    seen: Tensor

    def equivalents(self, states: Tensor) -> Tensor:
        """H x, ``(n, channel)``, of increments ``(batch, channel, lat, lon)``."""
        by_cell = states_by_cell(states).flatten(0, 1).index_select(1, self.seen)
        column = embedding_bag(self.cells, by_cell, mode="sum", per_sample_weights=self.weights)
        return (self.jacobian @ column[..., None])[..., 0]

    def add_adjoint(self, values: Tensor, total: Tensor) -> None:
        """Add H^T of ``values (n, channel)`` to ``total (batch * cell, channel)``."""
        column = (values[:, None] @ self.jacobian)[:, 0]
        spread = (self.weights[..., None] * column[:, None]).flatten(0, 1)
        by_cell = spread.new_zeros(len(total), len(self.seen))
        by_cell.index_add_(0, self.cells.flatten(), spread)
        total[:, self.seen] += by_cell


def surface_of(encoder: PillarEncoder, footprints: FootprintBatch) -> Tensor:
    """Return 1 for footprints over land and 0 over sea, ``(n,)``."""
    return (encoder.surface[footprints.cell, 0] > LAND_FRACTION).long()


def misfits(encoder: PillarEncoder, footprints: FootprintBatch, guess: Tensor) -> Tensor:
    """Subtract equivalents from measurements.

    Parameters
    ----------
    encoder : PillarEncoder
        Has the source's equivalents.
    footprints : FootprintBatch
        The measurements.
    guess : Tensor
        First guess ``(batch, 3, channel, lat, lon)``.

    Returns
    -------
    Tensor
        ``(n, channel)``, NaN where a channel is missing.
    """
    return footprints.values - encoder.predictors(footprints, guess) @ encoder.equivalent.T


def linearise(
    encoder: PillarEncoder, footprints: FootprintBatch, guess: Tensor
) -> LinearObservations:
    """Linearise a source's equivalents about a first guess at the observations' own time.

    Parameters
    ----------
    encoder : PillarEncoder
        Has the source's equivalents.
    footprints : FootprintBatch
        The observations.
    guess : Tensor
        First guess ``(batch, 3, channel, lat, lon)``.

    Returns
    -------
    LinearObservations
        In standardised units, departures NaN where a channel is missing.
    """
    jacobian = predictor_jacobian(
        encoder.equivalent,
        encoder.columns(footprints, guess),
        footprints.zenith,
        encoder.surface[footprints.cell],
        encoder.modes,
    )
    cells, weights = neighbours_at_footprints(footprints, 1, encoder.shape, encoder.first_hour)
    departures = misfits(encoder, footprints, guess)
    return LinearObservations(departures, jacobian, cells, weights, encoder.seen)


class VariationalAssimilator(nn.Module):
    """Background and observations → analysis, standardised, by conjugate gradients.

    The control variable v has x = B^1/2 v, so that J(v) = |v|^2 / 2 + |R^-1/2 (d - H x)|^2 / 2.
    """

    def __init__(
        self,
        networks: Networks,
        background: BackgroundErrors,
        observation_errors: Mapping[str, SourceErrors],
        settings: Variational,
    ):
        """Keep what is needed.

        Parameters
        ----------
        networks : Networks
            Give the observation equivalents.
        background : BackgroundErrors
            B of forecasts' errors; it is taken times ``error_factor`` squared.
        observation_errors : Mapping[str, SourceErrors]
            R by source.
        settings : Variational
            Factors of B and R, the check, and when the minimisation ends.
        """
        super().__init__()
        self.background = background
        self.observation_errors = nn.ModuleDict(observation_errors)
        self.settings = settings
        # not as a part: the networks' weights belong to their checkpoint
        self._sparse = {
            name for name, source in networks.design.sources.items() if source.whole_state
        }
        self._encoders = {
            name: branch.pillars for name, branch in networks.assimilator.branches.items()
        }
        self.to(networks.device)

    @torch.no_grad()
    def analyse(
        self,
        guess: Tensor,
        climatology: Tensor,
        observations: Mapping[str, FootprintBatch],
        times: np.ndarray,
    ) -> Tensor:
        """Analyse, as :meth:`fuxiflow.models.networks.Networks.analyse` does.

        Parameters
        ----------
        guess : Tensor
            First guess ``(batch, 3, channel, lat, lon)``.
        climatology : Tensor
            ``(batch, channel, lat, lon)``; it is not used.
        observations : Mapping[str, FootprintBatch]
            Footprints by source; sources may be missing.
        times : np.ndarray
            Times of the analyses; they are not used.

        Returns
        -------
        Tensor
            ``(batch, channel, lat, lon)``.

        Raises
        ------
        KeyError
            For a source whose errors were not fitted.
        """
        unknown = set(observations) - set(self.observation_errors)
        if unknown:
            raise KeyError(
                f"no errors of sources {sorted(unknown)}; known: {sorted(self.observation_errors)}"
            )
        with full_precision(guess.device):
            terms = [
                self.observed(name, footprints, guess)
                for name, footprints in observations.items()
                if len(footprints)
            ]
            background = guess[:, 1].float()
            return background + self.increment(terms, background.shape)

    def observed(
        self, source: str, footprints: FootprintBatch, guess: Tensor
    ) -> LinearObservations:
        """Linearise a source's observations, leave out gross departures, and whiten the rest.

        Parameters
        ----------
        source : str
            Name of the source.
        footprints : FootprintBatch
            Its observations.
        guess : Tensor
            First guess ``(batch, 3, channel, lat, lon)``.

        Returns
        -------
        LinearObservations
            In units of the errors; all zero where a channel is missing or left out.
        """
        encoder, errors = self._encoders[source], self.observation_errors[source]
        term = linearise(encoder, footprints, guess)
        surface = surface_of(encoder, footprints)
        inflation = self.settings.inflation_of(source, sparse=source in self._sparse)
        departures = term.departures - errors.bias[surface]
        variance = inflation * errors.covariance.diagonal(dim1=1, dim2=2)
        variance = variance + self.settings.error_factor**2 * errors.background
        limit = self.settings.limit * variance.sqrt()[surface]
        # a comparison with NaN is False
        present = (departures.abs() <= limit) & errors.used[surface]
        departures, jacobian = errors.whiten(
            present, surface, departures[..., None] / inflation**0.5, term.jacobian / inflation**0.5
        )
        return LinearObservations(departures[..., 0], jacobian, term.cells, term.weights, term.seen)

    def increment(self, terms: list[LinearObservations], shape: torch.Size) -> Tensor:
        """Minimise J by conjugate gradients, each sample of the batch by itself.

        Parameters
        ----------
        terms : list of LinearObservations
            Whitened observations by source.
        shape : torch.Size
            That of the increment, ``(batch, channel, lat, lon)``.

        Returns
        -------
        Tensor
            The increment, ``(batch, channel, lat, lon)``.
        """
        factor = self.settings.error_factor
        batch, channels, nlat, nlon = shape

        def states(control: Tensor) -> Tensor:
            return factor * self.background.states(control)

        def gradient(values: list[Tensor]) -> Tensor:
            total = self.background.scale.new_zeros(batch * nlat * nlon, channels)
            for term, value in zip(terms, values, strict=True):
                term.add_adjoint(value, total)
            fields = total.view(batch, nlat, nlon, channels).permute(0, 3, 1, 2)
            return factor * self.background.controls(fields)

        def hessian(control: Tensor) -> Tensor:
            increments = states(control)
            return control + gradient([term.equivalents(increments) for term in terms])

        residual = gradient([term.departures for term in terms])
        control = conjugate_gradients(
            hessian, residual, self.settings.iterations, self.settings.tolerance
        )
        return states(control)


def conjugate_gradients(
    hessian: Callable[[Tensor], Tensor], target: Tensor, iterations: int, tolerance: float
) -> Tensor:
    """Solve A x = b for several b at once, A symmetric and positive definite.

    Hestenes and Stiefel (1952), doi:10.6028/jres.049.044.

    Parameters
    ----------
    hessian : Callable
        Applies A.
    target : Tensor
        b, complex ``(wave, rank, batch)``; the inner product is real.
    iterations : int
        Most iterations.
    tolerance : float
        They end when each residual is below this share of its b.

    Returns
    -------
    Tensor
        x, likewise.
    """

    def product(a: Tensor, b: Tensor) -> Tensor:
        return (a.conj() * b).real.sum((0, 1))

    solution, residual, direction = torch.zeros_like(target), target, target
    square = first = product(residual, residual)
    smallest = torch.finfo(square.dtype).tiny
    for _ in range(iterations):
        if (square <= tolerance**2 * first).all():
            break
        image = hessian(direction)
        step = square / product(direction, image).clamp_min(smallest)
        solution = solution + step * direction
        residual = residual - step * image
        following = product(residual, residual)
        direction = residual + following / square.clamp_min(smallest) * direction
        square = following
    return solution


def save_variational(
    path: Path, background: BackgroundErrors, errors: Mapping[str, SourceErrors]
) -> None:
    """Write B and R into a tensor file with a checksum.

    Parameters
    ----------
    path : Path
        The file.
    background : BackgroundErrors
        B.
    errors : Mapping[str, SourceErrors]
        R by source.
    """
    channels, *shape = background.scale.shape
    save_tensors(
        {
            "channels": channels,
            "shape": shape,
            "size": background.size,
            "background": background.state_dict(),
            "observations": {name: source.state_dict() for name, source in errors.items()},
            "provenance": provenance.as_json(),
        },
        path,
    )


def load_variational(
    path: Path, networks: Networks, settings: Variational
) -> VariationalAssimilator:
    """Read the file that :func:`save_variational` wrote; DamagedError where it is another.

    Parameters
    ----------
    path : Path
        The file.
    networks : Networks
        Give the observation equivalents and the device.
    settings : Variational
        How B and R are used.

    Returns
    -------
    VariationalAssimilator
        On the networks' device.
    """
    checksums.check_sealed(path)
    content = torch.load(path, map_location="cpu", weights_only=True)
    background = BackgroundErrors(content["channels"], tuple(content["shape"]), **content["size"])
    background.load_state_dict(content["background"])
    errors = {}
    for name, weights in content["observations"].items():
        errors[name] = SourceErrors(weights["bias"].shape[1])
        errors[name].load_state_dict(weights)
    return VariationalAssimilator(networks, background, errors, settings)
