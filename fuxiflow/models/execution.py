"""Running networks: device, precision, compiled code, memory format.

None of it changes what a checkpoint holds.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from fuxiflow.models.assimilator import Encoder
from fuxiflow.models.layers import Down, Up
from fuxiflow.models.networks import Networks
from fuxiflow.models.swin import SwinBlock

log = logging.getLogger("fuxiflow")
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
    """Select the device of ``auto``, ``cpu`` or ``cuda``; the log says which, and why.

    Raises
    ------
    RuntimeError
        When ``cuda`` is not there.
    """
    visible = torch.cuda.is_available()
    if accelerator == "cuda" and not visible:
        raise RuntimeError(
            f"training.accelerator is cuda, but no CUDA device is visible to {_build()}; "
            f"set it to auto or cpu"
        )
    device = torch.device("cuda" if accelerator != "cpu" and visible else "cpu")
    if device.type == "cuda":
        name, count = torch.cuda.get_device_name(), torch.cuda.device_count()
        log.info("device: %s, one of %d, as accelerator is %s", name, count, accelerator)
    elif accelerator == "cpu":
        log.info("device: the processor, as accelerator is cpu")
    else:
        log.info("device: the processor, as no CUDA device is visible to %s", _build())
        if gpus := machine_gpus():
            log.warning(
                "there are GPUs here (%s), but %s sees none of them: install a build of torch for "
                "GPUs (docs/guides/slurm.md, Environments), or set training.accelerator: cpu",
                gpus,
                _build(),
            )
    return device


def _build() -> str:
    """Name the installed torch and what it is built for."""
    built_for = f"CUDA {torch.version.cuda}" if torch.version.cuda else "processors alone"
    return f"torch {torch.__version__}, built for {built_for}"


def machine_gpus(
    environment: Mapping[str, str] = os.environ, driver: Path = Path("/proc/driver/nvidia/gpus")
) -> str:
    """Say by what GPUs are known to be here, apart from torch; empty where none is."""
    for name in ("SLURM_GPUS_ON_NODE", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS"):
        if environment.get(name, "0") not in ("", "0"):
            return f"{name}={environment[name]}"
    return str(driver) if driver.is_dir() and any(driver.iterdir()) else ""


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
