"""Batched, differentiable, clear-sky microwave radiative transfer in torch.

Equations and accuracy: docs/explanation/operator.md.
"""

import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fuxiflow import ROOT
from fuxiflow.operators.emissivity import pure_permittivity
from fuxiflow.operators.sweep import LEAST_ABSORPTION, sweep
from fuxiflow.physics import GAS_CONSTANT_DRY, GRAVITY, vapour_pressure, virtual_temperature

DIRECTORY = ROOT / "resources" / "operators"
"""The committed tables, one for each instrument."""
BATCH = 4096
"""Columns that callers give the operator at once: bounds memory, and is fast on processors."""
COSMIC_BACKGROUND = 2.736
"""Brightness of deep space in K, as in pyrtlib."""
PLANCK_OVER_BOLTZMANN = 6.62607015e-34 * 1e9 / 1.380649e-23
"""h / k in K per GHz (SI, exact)."""
HUMIDITY_SCALE = 20.0
"""Vapour pressure in hPa by which the polynomials' argument is scaled."""
DIFFUSE = ((0.19545, 4.27348), (0.80455, 1.30378))
"""Weights and secants of the two exponentials nearest to the diffuse transmittance 2 E3(tau):
within 0.0018."""
COLDEST_DROPLET = 233.15
"""K: supercooled droplets freeze there (homogeneous nucleation); permittivity is held below."""
_FACTOR = 6.0 * math.pi / 299.792458
"""Np/km for 1 g/m3 and 1 GHz: 6 pi f / c over the density of water, 1000 kg/m3."""
FEATURES = 12
"""Terms of the absorption polynomials."""


@dataclass(frozen=True)
class OperatorTable:
    """The committed coefficients of an operator; ``python -m fuxiflow build-operators`` makes them.

    Attributes
    ----------
    pressure : np.ndarray
        In hPa, top down, ``(level,)``.
    reference_temperature, half_range : np.ndarray
        In K, ``(level,)``; they scale the argument of the polynomials.
    coefficients : np.ndarray
        Polynomials of absorption in Np/km, ``(level, 12, node)``.
    frequency : np.ndarray
        In GHz, ``(node,)``.
    weights : np.ndarray
        Weights of the nodes in the channels, ``(node, channel)``.
    groups : np.ndarray
        First node, end node, first level and last level of each sweep, ``(group, 4)``; the sweep of
        nodes that never see the ground ends above it.
    channels : np.ndarray
        Names of the channels, ``(channel,)``.
    vertical : np.ndarray
        Whether the polarisation is quasi-vertical, ``(channel,)``.
    climatology_temperature, climatology_humidity : np.ndarray
        The AFGL profiles in K and kg/kg, ``(6, level)``.
    conical : np.ndarray
        Whether the instrument scans cones; tables without it are of instruments that scan across
        the track.
    """

    pressure: np.ndarray
    reference_temperature: np.ndarray
    half_range: np.ndarray
    coefficients: np.ndarray
    frequency: np.ndarray
    weights: np.ndarray
    groups: np.ndarray
    channels: np.ndarray
    vertical: np.ndarray
    climatology_temperature: np.ndarray
    climatology_humidity: np.ndarray
    conical: np.ndarray = field(default_factory=lambda: np.array(False))

    @classmethod
    def read(cls, path: Path) -> "OperatorTable":
        """Read a table.

        FileNotFoundError and KeyError name the file and the command that makes it.
        """
        path = Path(path)
        remedy = "make it with `python -m fuxiflow build-operators`"
        if not path.exists():
            tables = ", ".join(sorted(p.stem for p in path.parent.glob("*.npz"))) or "none"
            raise FileNotFoundError(f"{path}: no operator table (there are: {tables}); {remedy}")
        with np.load(path) as file:
            missing = [
                f.name for f in fields(cls) if f.name not in file and f.default_factory is MISSING
            ]
            if missing:
                raise KeyError(f"{path}: has no {', '.join(missing)}; {remedy}")
            return cls(**{f.name: file[f.name] for f in fields(cls) if f.name in file})

    def write(self, path: Path) -> None:
        """Write the table, reals as float32."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        # frequencies close to lines, and weights that add up to one, stay in double precision
        keep = ("weights", "frequency")
        arrays = {
            k: v.astype(np.float32) if v.dtype == np.float64 and k not in keep else v
            for k, v in arrays.items()
        }
        np.savez_compressed(path, **arrays)


def features(temperature: Tensor, vapour: Tensor, reference: Tensor, half_range: Tensor) -> Tensor:
    """Compute the arguments of the absorption polynomials: e^0 T^0..4, e^1 T^0..3, e^2 T^0..2.

    Parameters
    ----------
    temperature : Tensor
        In K.
    vapour : Tensor
        Vapour pressure in hPa, scaled by :data:`HUMIDITY_SCALE`.
    reference, half_range : Tensor
        In K; they scale the temperature. All arguments broadcast.

    Returns
    -------
    Tensor
        The 12 terms, ``(..., 12)``.
    """
    t = (temperature - reference) / half_range
    e = vapour / HUMIDITY_SCALE
    t2, e2 = t * t, e * e
    et, e2t = e * t, e2 * t
    terms = [torch.ones_like(t), t, t2, t2 * t, t2 * t2, e, et, et * t, et * t2, e2, e2t, e2t * t]
    return torch.stack(terms, dim=-1)


def droplet_absorption(temperature: Tensor, frequency: Tensor) -> Tensor:
    """Compute the absorption in Np/km of 1 g/m3 of suspended cloud droplets.

    Droplets are small against the wavelength (Rayleigh): no rain, no ice, no scattering. 6 pi f / c
    Im[(eps - 1)/(eps + 2)] with the permittivity of MPM-93 (Liebe, Hufford & Cotton, 1993, AGARD
    CP-542); ``temperature`` in K and ``frequency`` in GHz broadcast.
    """
    real, loss = pure_permittivity(temperature.clamp_min(COLDEST_DROPLET), frequency)
    return _FACTOR * frequency * 3.0 * loss / ((real + 2.0) ** 2 + loss**2)


def cloud_water_content(
    cloud_liquid: Tensor, temperature: Tensor, specific_humidity: Tensor, pressure: Tensor
) -> Tensor:
    """Convert cloud liquid water from a mixing ratio to a density.

    Parameters
    ----------
    cloud_liquid : Tensor
        In kg/kg.
    temperature : Tensor
        In K.
    specific_humidity : Tensor
        In kg/kg.
    pressure : Tensor
        In hPa; all arguments broadcast.

    Returns
    -------
    Tensor
        Cloud water in g/m3.
    """
    density = (
        100.0 * pressure / (GAS_CONSTANT_DRY * virtual_temperature(temperature, specific_humidity))
    )
    return 1e3 * density * cloud_liquid


class MicrowaveOperator(torch.nn.Module):
    """Clear-sky brightness temperatures of an instrument's channels from columns of the atmosphere.

    Absorption is a polynomial in temperature and vapour pressure at each level and node. One sweep
    from the top gives upwelling and downwelling radiation and transmittance, layers linear in
    optical depth; the surface reflects specularly. Channels are weighted means of 1-3 monochromatic
    nodes (optimal spectral sampling).
    """

    def __init__(self, table: OperatorTable, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.channels = [str(name) for name in table.channels]
        self.conical = bool(table.conical)
        self.groups = [tuple(int(i) for i in group) for group in table.groups]
        levels = len(table.pressure)
        self.surface_nodes = max(
            (end for _, end, _, last in self.groups if last == levels - 1), default=0
        )
        frequency = PLANCK_OVER_BOLTZMANN * table.frequency
        buffers = {
            "pressure": table.pressure,
            "reference_temperature": table.reference_temperature,
            "half_range": table.half_range,
            "frequency": table.frequency,
            "weights": table.weights,
            "planck": frequency,
            "planck_square": frequency**2 / 12.0,
            "cosmic": frequency / np.expm1(frequency / COSMIC_BACKGROUND) + 0.5 * frequency,
            "climatology_temperature": table.climatology_temperature,
            "climatology_log_humidity": np.log(table.climatology_humidity),
        }
        for name, value in buffers.items():
            self.register_buffer(name, torch.as_tensor(np.asarray(value, float), dtype=dtype))
        for index, (first, end, top, bottom) in enumerate(self.groups):
            part = np.ascontiguousarray(
                table.coefficients[top : bottom + 1, :, first:end], dtype=float
            )
            self.register_buffer(f"coefficients_{index}", torch.as_tensor(part, dtype=dtype))
        # a node belongs to one channel: tables select nodes channel by channel
        main = table.weights.argmax(axis=1)
        self.register_buffer("node_channel", torch.as_tensor(main, dtype=torch.int64))
        self.register_buffer("vertical", torch.as_tensor(table.vertical.astype(bool)))
        centre = (table.weights * table.frequency[:, None]).sum(axis=0)
        self.register_buffer("channel_frequency", torch.as_tensor(centre, dtype=dtype))

    @classmethod
    def for_instrument(
        cls, instrument: str, dtype: torch.dtype = torch.float32, directory: Path = DIRECTORY
    ) -> "MicrowaveOperator":
        """Load the operator of an instrument from a committed table.

        Parameters
        ----------
        instrument : str
            Name of the instrument.
        dtype : torch.dtype
            Precision of the operator.
        directory : Path
            Folder of the tables, those of the assimilation's absorption model by default.

        Returns
        -------
        MicrowaveOperator
            The operator.

        Raises
        ------
        FileNotFoundError
            Lists the instruments that have a table.
        """
        return cls(OperatorTable.read(directory / f"{instrument}.npz"), dtype)

    @classmethod
    def for_channels(
        cls, instrument: str, channels: Sequence[str], source: str
    ) -> "MicrowaveOperator":
        """Load the operator of an instrument and check that it has the channels of a source.

        Parameters
        ----------
        instrument : str
            Name of the instrument.
        channels : Sequence[str]
            Names of the source's channels.
        source : str
            Name of the source, for the error.

        Returns
        -------
        MicrowaveOperator
            The operator in single precision.

        Raises
        ------
        ValueError
            If the operator has other channels.
        FileNotFoundError
            Lists the instruments that have an operator.
        """
        operator = cls.for_instrument(instrument)
        if operator.channels != list(channels):
            raise ValueError(
                f"{source} has channels {', '.join(channels)}, the operator of {instrument} "
                f"{', '.join(operator.channels)}"
            )
        return operator

    @property
    def nodes(self) -> int:
        """Number of monochromatic nodes: the width of ``emissivity``."""
        return len(self.frequency)

    def forward(
        self,
        temperature: Tensor,
        specific_humidity: Tensor,
        surface_pressure: Tensor,
        skin_temperature: Tensor,
        emissivity: Tensor,
        secant: Tensor,
        cloud_liquid: Tensor | None = None,
        diffuse: Tensor | None = None,
    ) -> Tensor:
        """Compute brightness temperatures.

        Parameters
        ----------
        temperature : Tensor
            In K, ``(batch, level)`` on ``pressure``, top down; levels below the ground are ignored.
        specific_humidity : Tensor
            In kg/kg, ``(batch, level)``.
        surface_pressure : Tensor
            In hPa, ``(batch,)``.
        skin_temperature : Tensor
            In K, ``(batch,)``.
        emissivity : Tensor
            From 0 to 1, ``(batch, node)`` or ``(batch, 1)``.
        secant : Tensor
            Secant of the zenith angle, ``(batch,)``.
        cloud_liquid : Tensor or None
            Cloud droplets in kg/kg, ``(batch, level)``, which absorb (:func:`droplet_absorption`).
        diffuse : Tensor or None
            Share of the reflection that is Lambertian, from 0 to 1, ``(batch,)``; the rest is
            specular.

        Returns
        -------
        Tensor
            In K, ``(batch, channel)``.
        """
        columns = (
            temperature,
            specific_humidity,
            surface_pressure,
            skin_temperature,
            emissivity,
            secant,
        )
        radiance = self.radiances(*columns, cloud_liquid, diffuse)
        return (self.planck / torch.log1p(self.planck / radiance)) @ self.weights

    def radiances(
        self,
        temperature,
        specific_humidity,
        surface_pressure,
        skin_temperature,
        emissivity,
        secant,
        cloud_liquid=None,
        diffuse=None,
    ) -> Tensor:
        """Compute monochromatic radiances in K: the Planck function times c^2 / 2kf^2.

        Parameters
        ----------
        temperature, specific_humidity, surface_pressure, skin_temperature : Tensor
            As in :meth:`forward`.
        emissivity, secant : Tensor
            As in :meth:`forward`.
        cloud_liquid, diffuse : Tensor or None
            As in :meth:`forward`.

        Returns
        -------
        Tensor
            Radiances ``(batch, node)``.

        Raises
        ------
        ValueError
            If the columns are not on the operator's pressure levels.
        """
        pressure = self.pressure
        if temperature.shape != specific_humidity.shape or temperature.shape[-1] != len(pressure):
            raise ValueError(
                f"temperature {tuple(temperature.shape)} and specific_humidity "
                f"{tuple(specific_humidity.shape)} must both be (batch, {len(pressure)}), on the "
                "operator's pressure levels"
            )
        # from here on (level, batch): a level's columns lie together
        temperature, humidity = (
            temperature.transpose(0, 1).contiguous(),
            specific_humidity.transpose(0, 1),
        )
        vapour = vapour_pressure(humidity, pressure[:, None])
        box = self.reference_temperature[:, None], self.half_range[:, None]
        arguments = features(temperature, vapour, *box)
        virtual = virtual_temperature(temperature, humidity)
        low, high = pressure[:-1, None], pressure[1:, None]
        thickness = (
            (0.5e-3 * GAS_CONSTANT_DRY / GRAVITY)
            * (virtual[1:] + virtual[:-1])
            * torch.log(high / low)
        )
        above = ((surface_pressure - low) / (high - low)).clamp(0.0, 1.0)
        # the sweep multiplies by six times the mean absorption and needs minus the optical depth
        vertical = thickness * above
        path = vertical * (secant / -6.0)
        # a layer that the ground cuts ends with the temperature and absorption there
        lower = temperature[:-1] + above * (temperature[1:] - temperature[:-1])
        water = None
        if cloud_liquid is not None:
            water = cloud_water_content(
                cloud_liquid.transpose(0, 1), temperature, humidity, pressure[:, None]
            )
        parts = []
        for index, (first, end, top, bottom) in enumerate(self.groups):
            nodes, layers = slice(first, end), slice(top, bottom)
            sees_ground = bottom == len(pressure) - 1
            cloudy, droplets = self._droplets(index, temperature, water)
            swept = partial(
                sweep,
                arguments[top : bottom + 1],
                getattr(self, f"coefficients_{index}"),
                droplets,
                cloudy,
                torch.cat([temperature[top : top + 1], lower[layers]]),
                above[layers],
                self.planck_square[nodes],
                self.cosmic[nodes],
                sees_ground,
            )
            up, down, through = swept(path[layers])
            if sees_ground:
                if diffuse is not None:
                    flux = sum(
                        weight * swept(vertical[layers] * (slant / -6.0))[1]
                        for weight, slant in DIFFUSE
                    )
                    down = down + diffuse[:, None] * (flux - down)
                ground = (
                    skin_temperature[:, None]
                    + self.planck_square[nodes] / skin_temperature[:, None]
                )
                surface = emissivity if emissivity.shape[-1] == 1 else emissivity[:, nodes]
                up = up + through * (down + surface * (ground - down))
            parts.append(up)
        # all emitters were B + h/2, and their weights add up to one
        return torch.cat(parts, dim=1) - 0.5 * self.planck

    def optical_depth(
        self, temperature: Tensor, specific_humidity: Tensor, secant: Tensor
    ) -> Tensor:
        """Compute the slant optical depth from space to each level, as if there were no ground.

        Only for an operator of one group over all levels, as the tables' builder makes.

        Parameters
        ----------
        temperature : Tensor
            In K, ``(batch, level)``.
        specific_humidity : Tensor
            In kg/kg, ``(batch, level)``.
        secant : Tensor
            Secant of the zenith angle, ``(batch,)``.

        Returns
        -------
        Tensor
            Optical depth ``(level, batch, node)``.
        """
        pressure, coefficients = self.pressure, self.coefficients_0
        vapour = vapour_pressure(specific_humidity, pressure)
        arguments = features(
            temperature, vapour, self.reference_temperature, self.half_range
        ).transpose(0, 1)
        absorption = torch.bmm(arguments, coefficients).clamp_min(LEAST_ABSORPTION)
        virtual = virtual_temperature(temperature, specific_humidity)
        thickness = (0.5e-3 * GAS_CONSTANT_DRY / GRAVITY) * (virtual[:, 1:] + virtual[:, :-1])
        path = (thickness * torch.log(pressure[1:] / pressure[:-1]) * secant[:, None]).transpose(
            0, 1
        )
        layers = torch.sqrt(absorption[1:] * absorption[:-1]) * path[..., None]
        return torch.cat([torch.zeros_like(layers[:1]), layers.cumsum(dim=0)])

    def _droplets(
        self, group: int, temperature: Tensor, water: Tensor | None
    ) -> tuple[list[int], Tensor | None]:
        """Compute the absorption by cloud droplets at the levels of a group that have any.

        Parameters
        ----------
        group : int
            Index of the group.
        temperature : Tensor
            In K at all levels, ``(level, batch)``.
        water : Tensor or None
            Cloud water in g/m3 at all levels, ``(level, batch)``.

        Returns
        -------
        list of int
            The levels, counted from the group's first.
        Tensor or None
            Absorption in Np/km, ``(level, batch, node)``; None where no level has droplets.
        """
        if water is None:
            return [], None
        first, end, top, bottom = self.groups[group]
        # their permittivity costs more than the absorption by all gases
        cloudy = [level for level in range(top, bottom + 1) if water[level].any()]
        if not cloudy:
            return [], None
        absorption = droplet_absorption(temperature[cloudy, :, None], self.frequency[first:end])
        return [level - top for level in cloudy], water[cloudy, :, None] * absorption
