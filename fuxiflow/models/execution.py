"""Running networks: device, precision, compiled code, memory format.

None of it changes what a checkpoint holds.
"""

import torch
from torch import nn

from fuxiflow.models.assimilator import Encoder
from fuxiflow.models.layers import Down, Up
from fuxiflow.models.networks import Networks
from fuxiflow.models.swin import SwinBlock

# compiled one by one: equal blocks share their code, whole networks would take many minutes
COMPILED = (SwinBlock, Down, Up, Encoder)
# versions of a class' code: widths of a U-Net's scales, with and without gradients or shift;
# torch's own limit of 8 is less
RECOMPILE_LIMIT = 64


def resolve_precision(precision: str) -> str:
    """Resolve ``auto``: bfloat16 where the processor multiplies it natively, else float32."""
    if precision != "auto":
        return precision
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"


def select_device(accelerator: str) -> torch.device:
    """Select the device of ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    RuntimeError
        When ``cuda`` is not there.
    """
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(
            "training.accelerator is cuda, but no CUDA device is visible; set it to auto or cpu"
        )
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")


def prepare(
    networks: Networks,
    *,
    precision: str = "32-true",
    recompute: bool = False,
    compiled: bool = False,
    backend: str = "inductor",
) -> Networks:
    """Prepare networks, which are on their device already, to run.

    On CUDA convolutions take channels last, the order in which tokens lie and tensor cores
    multiply.

    Parameters
    ----------
    networks : Networks
        The networks.
    precision : str
        ``32-true``, ``bf16-mixed`` or ``auto``: that of :meth:`Networks.forecast` and
        :meth:`Networks.analyse`, an autocast of their own beside one they may run in.
    recompute : bool
        Make activations again for gradients instead of keeping them.
    compiled : bool
        Compile blocks by torch.compile.
    backend : str
        The compiler.

    Returns
    -------
    Networks
        The same.
    """
    networks.autocast = torch.bfloat16 if resolve_precision(precision) == "bf16-mixed" else None
    networks.forecaster.recompute = networks.assimilator.recompute = recompute
    if networks.device.type == "cuda":
        for layer in networks.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                layer.to(memory_format=torch.channels_last)
    if compiled:
        torch._dynamo.config.recompile_limit = max(
            torch._dynamo.config.recompile_limit, RECOMPILE_LIMIT
        )
        inner = {
            id(part)
            for layer in networks.modules()
            if isinstance(layer, COMPILED)
            for part in layer.modules()
            if part is not layer
        }
        for layer in networks.modules():
            if isinstance(layer, COMPILED) and id(layer) not in inner:
                layer.compile(backend=backend, dynamic=False)
    return networks
