"""3D-Var with first guess at appropriate time: increments without anything trained.

The increment x minimises J(x) = x^T B^-1 x / 2 + (d - H x)^T R^-1 (d - H x) / 2. Departures d and
the linear operators H are those of the networks' observation equivalents
(:class:`fuxiflow.models.pillars.PillarEncoder`) about the first guess at each observation's own
time and place; x is that of the cell it lies in, for the whole window.
:mod:`fuxiflow.training.variational_fit` fits B and R.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fuxiflow.config.variational import Variational
from fuxiflow.models.error_covariances import (
    BackgroundErrors,
    SourceErrors,
    complex_product,
)
from fuxiflow.models.layers import full_precision
from fuxiflow.models.pillars import FootprintBatch, PillarEncoder, predictor_jacobian

SURFACES = ("sea", "land")
LAND_FRACTION = 0.5
"""A footprint whose cell has more land counts as over land."""


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


def equivalent_jacobian(
    encoder: PillarEncoder, footprints: FootprintBatch, guess: Tensor
) -> Tensor:
    """Differentiate a source's equivalents by the column at each footprint.

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
    Tensor
        ``(n, channel, column)``, by the channels that the encoder has ``seen``.
    """
    return predictor_jacobian(
        encoder.equivalent,
        encoder.columns(footprints, guess),
        footprints.zenith,
        encoder.surface[footprints.cell],
        encoder.modes,
    )


@dataclass
class Information:
    """The observations' part of J by cell, a quadratic function of vertical modes.

    For the modes z of a cell it is z^T ``matrix`` z / 2 - ``vector``^T z, with H^T R^-1 H as matrix
    ``(batch * cell, mode, mode)`` and H^T R^-1 d as vector ``(batch * cell, mode)``.
    """

    matrix: Tensor
    vector: Tensor

    @classmethod
    def none(cls, cells: int, modes: int, device: torch.device) -> "Information":
        """Begin without any observation.

        Parameters
        ----------
        cells : int
            Cells of all samples.
        modes : int
            Vertical modes.
        device : torch.device
            Where the sums shall be.

        Returns
        -------
        Information
            Of zeros.
        """
        return cls(
            torch.zeros(cells, modes, modes, device=device),
            torch.zeros(cells, modes, device=device),
        )

    def add(self, places: Tensor, departures: Tensor, operators: Tensor) -> None:
        """Add observations.

        Parameters
        ----------
        places : Tensor
            Their cells, ``(n,)``.
        departures : Tensor
            Whitened, ``(n, channel)``.
        operators : Tensor
            Likewise, ``(n, channel, mode)``.
        """
        self.vector.index_add_(0, places, (operators.mT @ departures[..., None])[..., 0])
        self.matrix.index_add_(0, places, operators.mT @ operators)


class VariationalAnalysis(nn.Module):
    """First guess and observations → increment, standardised, by conjugate gradients.

    The control variable v has x = B^1/2 v, so that J(v) = |v|^2 / 2 + the observations' part. B and
    R are buffers that a fit fills in, as is the inverse of what J's Hessian is with the
    observations of many windows in mean over each row of latitude, the preconditioner.
    """

    def __init__(
        self,
        channels: int,
        shape: tuple[int, int],
        sources: Mapping[str, int],
        sparse: set[str],
        settings: dict,
    ):
        """Make the buffers; before they are fitted B is zero, and so are all increments.

        Parameters
        ----------
        channels : int
            Analysed channels.
        shape : tuple of int
            The grid ``(lat, lon)``.
        sources : Mapping[str, int]
            Number of channels by source.
        sparse : set of str
            The sources of reports, soundings and occultations, not of radiances.
        settings : dict
            Of the configuration: :class:`fuxiflow.config.variational.Variational`.
        """
        super().__init__()
        self.settings, self.sparse = Variational(**settings), sparse
        self.background = BackgroundErrors(channels, shape, **self.settings.fit.shape)
        self.observation_errors = nn.ModuleDict(
            {name: SourceErrors(count) for name, count in sources.items()}
        )
        identity = torch.eye(self.background.rank).repeat(self.background.waves + 1, 1, 1)
        self.register_buffer("real_preconditioner", identity)
        self.register_buffer("imaginary_preconditioner", torch.zeros_like(identity))

    @torch.no_grad()
    def increment(
        self,
        guess: Tensor,
        observations: Mapping[str, FootprintBatch],
        encoders: Mapping[str, PillarEncoder],
    ) -> Tensor:
        """Minimise J for the samples of a batch, until each is within the tolerance.

        Parameters
        ----------
        guess : Tensor
            First guess ``(batch, 3, channel, lat, lon)``.
        observations : Mapping[str, FootprintBatch]
            Footprints by source; sources may be missing.
        encoders : Mapping[str, PillarEncoder]
            Have the equivalents, by source.

        Returns
        -------
        Tensor
            The increment of the background, ``(batch, channel, lat, lon)``.

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
        observed = {name: one for name, one in observations.items() if len(one)}
        if not observed:
            return torch.zeros_like(guess[:, 1], dtype=torch.float32)
        self.background.follow_autocast()
        with full_precision(guess.device):
            information = self.information(guess, observed, encoders)
            return self.minimise(information, len(guess))

    def information(
        self,
        guess: Tensor,
        observations: Mapping[str, FootprintBatch],
        encoders: Mapping[str, PillarEncoder],
    ) -> Information:
        """Linearise observations, leave out gross departures, and put the rest together by cell.

        Parameters
        ----------
        guess : Tensor
            First guess ``(batch, 3, channel, lat, lon)``.
        observations : Mapping[str, FootprintBatch]
            Footprints by source.
        encoders : Mapping[str, PillarEncoder]
            Have the equivalents, by source.

        Returns
        -------
        Information
            Of all cells of all samples.
        """
        layer = self.background
        cells = guess.shape[-2] * guess.shape[-1]
        total = Information.none(len(guess) * cells, layer.vertical_modes, guess.device)
        scale = layer.scale.flatten(1).T
        for name, footprints in observations.items():
            encoder, errors = encoders[name], self.observation_errors[name]
            departures, present = self.checked(name, footprints, guess, encoder)
            # by the scaled vertical modes at the footprint's cell
            by_channel = equivalent_jacobian(encoder, footprints, guess)
            by_channel = by_channel * scale[footprints.cell][:, None, encoder.seen]
            operators = by_channel @ layer.vertical[encoder.seen]
            spread = self.inflation(name) ** 0.5
            departures, operators = errors.whiten(
                present,
                surface_of(encoder, footprints),
                departures[..., None] / spread,
                operators / spread,
            )
            total.add(footprints.places(cells), departures[..., 0], operators)
        return total

    def inflation(self, source: str) -> float:
        """Return the factor of a source's error variance."""
        return self.settings.inflation_of(source, sparse=source in self.sparse)

    def checked(
        self, source: str, footprints: FootprintBatch, guess: Tensor, encoder: PillarEncoder
    ) -> tuple[Tensor, Tensor]:
        """Compute departures, and say which are used.

        Parameters
        ----------
        source : str
            Name of the source.
        footprints : FootprintBatch
            Its observations.
        guess : Tensor
            First guess ``(batch, 3, channel, lat, lon)``.
        encoder : PillarEncoder
            Has the source's equivalents.

        Returns
        -------
        tuple of Tensor
            Departures without the mean misfit, and whether they are there, used, and no larger than
            ``limit`` expected standard deviations; ``(n, channel)`` each.
        """
        errors, surface = self.observation_errors[source], surface_of(encoder, footprints)
        departures = misfits(encoder, footprints, guess) - errors.bias[surface]
        variance = self.inflation(source) * errors.covariance.diagonal(dim1=1, dim2=2)
        variance = variance + self.settings.error_factor**2 * errors.background
        limit = self.settings.limit * variance.sqrt()[surface]
        # a comparison with NaN is False
        return departures, (departures.abs() <= limit) & errors.used[surface]

    def minimise(self, information: Information, batch: int) -> Tensor:
        """Return the increments ``(batch, channel, lat, lon)`` that minimise J."""
        layer, factor = self.background, self.settings.error_factor
        nlat, nlon = layer.scale.shape[1:]

        def precondition(residual: Tensor) -> Tensor:
            return complex_product(
                self.real_preconditioner, self.imaginary_preconditioner, residual
            )

        def gradient(by_cell: Tensor) -> Tensor:
            modes = by_cell.view(batch, nlat, nlon, -1).permute(0, 3, 1, 2)
            return factor * layer.mode_controls(modes)

        def hessian(control: Tensor) -> Tensor:
            modes = factor * layer.mode_states(control)
            by_cell = modes.permute(0, 2, 3, 1).flatten(0, 2)[..., None]
            return control + gradient((information.matrix @ by_cell)[..., 0])

        control = conjugate_gradients(
            hessian,
            gradient(information.vector),
            precondition,
            self.settings.iterations,
            self.settings.tolerance,
        )
        return factor * layer.states(control)

    def set_preconditioner(self, matrix: Tensor) -> None:
        """Take the mean information of rows of latitude, ``(lat, mode, mode)``.

        With it everywhere in its row the Hessian has a block for each zonal wavenumber, whose
        inverse is kept.
        """
        layer = self.background
        for wave in range(layer.waves + 1):
            root = layer.root(wave).view(layer.rows, layer.vertical_modes, -1)
            by_latitude = torch.einsum("lr,rmk->lmk", layer.spread.to(root.dtype), root)
            seen = matrix.to(root.dtype) @ by_latitude
            block = by_latitude.flatten(0, 1).mH @ seen.flatten(0, 1)
            block *= self.settings.error_factor**2 * layer.nlon * layer.parts[wave]
            block.diagonal().add_(1.0)
            inverse = torch.linalg.inv(block)
            # symmetric to the last bit, as conjugate gradients need it
            inverse = (inverse + inverse.mH) / 2
            self.real_preconditioner[wave] = inverse.real
            self.imaginary_preconditioner[wave] = inverse.imag


def conjugate_gradients(
    hessian: Callable[[Tensor], Tensor],
    target: Tensor,
    precondition: Callable[[Tensor], Tensor],
    iterations: int,
    tolerance: float,
) -> Tensor:
    """Solve A x = b for several b at once, A symmetric and positive definite.

    Hestenes and Stiefel (1952), doi:10.6028/jres.049.044, with a preconditioner.

    Parameters
    ----------
    hessian : Callable
        Applies A.
    target : Tensor
        b, complex ``(wave, rank, batch)``; the inner product is real.
    precondition : Callable
        Applies a matrix near the inverse of A, symmetric and positive definite too.
    iterations : int
        Most iterations.
    tolerance : float
        They end when each residual is below this share of its b, in the preconditioner's norm.

    Returns
    -------
    Tensor
        x, likewise.
    """

    def product(a: Tensor, b: Tensor) -> Tensor:
        return (a.conj() * b).real.sum((0, 1))

    solution, residual = torch.zeros_like(target), target
    direction = corrected = precondition(residual)
    square = first = product(residual, corrected)
    smallest = torch.finfo(square.dtype).tiny
    for _ in range(iterations):
        if (square <= tolerance**2 * first).all():
            break
        image = hessian(direction)
        step = square / product(direction, image).clamp_min(smallest)
        solution = solution + step * direction
        residual = residual - step * image
        corrected = precondition(residual)
        following = product(residual, corrected)
        direction = corrected + following / square.clamp_min(smallest) * direction
        square = following
    return solution
