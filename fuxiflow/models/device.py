"""Where networks run, and in which precision."""

from contextlib import AbstractContextManager, nullcontext

import torch


def precision(wanted: str) -> str:
    """``auto`` is bfloat16 where the processor multiplies it natively, float32 elsewhere."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.cpu._is_avx512_bf16_supported() else "32-true"


def device(accelerator: str) -> torch.device:
    """The device of ``auto``, ``cpu`` or ``cuda``; RuntimeError when it is not there."""
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise RuntimeError(
            "training.accelerator is cuda, but no CUDA device is visible; set it to auto or cpu"
        )
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")


def full_precision(device: torch.device) -> AbstractContextManager:
    """Products in the type of their factors, inside autocast too; the meta device has no autocast to switch off."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
