"""Checkpoints, and what a cycle goes on from, as text."""

from pathlib import Path

import torch

from fuxiflow.inspection.text import Summary, listed, provenance


def saved(path: Path) -> str:
    """Design, sizes, sources, history and provenance of a checkpoint, or what another file of torch's holds.

    ValueError when it cannot be read.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path}: not readable as a checkpoint ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds {type(content).__name__}, not a checkpoint")
    if "design" not in content:
        return "\n".join([f"{path}:", *_plain(content), provenance(content.get("provenance"))])
    design, weights = content["design"], content["weights"]
    nlat, nlon = design["grid"]
    lines = [f"{path}: checkpoint of format {content['format']}, {len(design['channels'])} channels on {nlat} x {nlon}",
             f"  channels: {listed(design['channels'], 6)}; statics: {listed(design['statics'])}"]  # fmt: skip
    for name in ("forecaster", "assimilator"):
        parts = [tensor for key, tensor in weights.items() if key.startswith(f"{name}.")]
        settings = ", ".join(f"{key} {value}" for key, value in design[name].items())
        lines.append(f"  {name}: {sum(tensor.numel() for tensor in parts)} weights and buffers; {settings}")
        broken = sum(int((~torch.isfinite(tensor)).sum()) for tensor in parts if tensor.is_floating_point())
        if broken:
            lines.append(f"    {broken} of them are not finite")
    for name, source in design["sources"].items():
        lines.append(f"  source {name}: {len(source['channels'])} channels, {source['window']} h about the analysis")
        summary = Summary(["mean", "std"])
        summary.add(torch.tensor([source["mean"], source["std"]]).T.numpy())
        lines += summary.lines("statistic")
    lines += [f"  stage {stage.get('stage')}: {_stage(stage)}" for stage in content["history"]]
    return "\n".join([*lines, provenance(content["provenance"])])


def _stage(stage: dict) -> str:
    """One stage of the training in a line."""
    shown = {key: value for key, value in stage.items() if key not in ("stage", "settings", "period")}
    words = [f"{key.replace('_', ' ')} {value:.6g}" if isinstance(value, float) else f"{key} {value}"
             for key, value in shown.items()]  # fmt: skip
    return ", ".join([f"samples of {' .. '.join(map(str, stage.get('period', [])))}", *words])


def _plain(content: dict) -> list[str]:
    """Entries of a dictionary: tensors with shapes and values, the rest as text."""
    lines = []
    for name, value in content.items():
        if isinstance(value, torch.Tensor):
            lines.append(f"  {name} {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}")
            summary = Summary(["all"])
            summary.add(value.double().reshape(-1, 1).numpy())
            lines += summary.lines("")
        elif name != "provenance":
            lines.append(f"  {name}: {value}")
    return lines
