"""Checkpoints and other files of torch as text."""

from pathlib import Path

import numpy as np
import torch

from fuxiflow.inspection.text import Summary, first_words, lines_of_check, provenance_text
from fuxiflow.models.networks import Design, Networks, parameter_count

UNUSED = ".pillars.scale"
"""Weights of a source's branch that are infinite for channels which are not assimilated."""


def describe_checkpoint(path: Path) -> str:
    """Describe a checkpoint, or what another file of torch's holds.

    It tells architecture, parameters, channels, statistics, sources, history and provenance.
    ValueError when the file cannot be read or is not whole.
    """
    unchecked = lines_of_check(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # the reasons that torch gives end in advice that is no remedy
        raise ValueError(
            f"{path}: not readable as a checkpoint, damaged or no file of torch"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds {type(content).__name__}, not a checkpoint")
    if "design" not in content:
        return "\n".join(
            [f"{path}:", *unchecked, *_plain(content), provenance_text(content.get("provenance"))]
        )
    try:
        lines = _described(content)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path}: not a whole checkpoint of format {content.get('format')} ({error!r})"
        ) from error
    return "\n".join(
        [f"{path}: {lines[0]}", *unchecked, *lines[1:], provenance_text(content["provenance"])]
    )


def _described(content: dict) -> list[str]:
    """Return architecture, weights, sources, statistics and stages of a checkpoint."""
    design = Design.from_dict(content["design"])
    weights = content["weights"]
    nlat, nlon = design.grid
    lines = [
        f"checkpoint of format {content['format']}, {len(design.channels)} channels "
        f"on {nlat} x {nlon}",
        f"  statics: {first_words(design.statics)}",
    ]
    built = _built(design)
    tokens = " x ".join(str(side // (2 * design.forecaster["patch"])) for side in design.grid)
    shapes = {
        "forecaster": f"a U-Transformer of Swin-V2 blocks on {tokens} tokens",
        "assimilator": f"a U-Net with {len(design.sources)} branches of sources",
    }
    for name, shape in shapes.items():
        settings = ", ".join(f"{key} {value}" for key, value in getattr(design, name).items())
        lines.append(
            f"  {name}: {shape}, {parameter_count(getattr(built, name)):,} parameters; {settings}"
        )
    lines += _wrong(built, weights)
    for name, source in design.sources.items():
        branch = parameter_count(built.assimilator.branches[name])
        platforms = first_words(source.platforms) or "not told apart"
        lines.append(
            f"  source {name}: {len(source.channels)} channels, {source.window} h about the "
            f"analysis, platforms {platforms}, {branch:,} parameters"
        )
        scales = weights[f"assimilator.branches.{name}{UNUSED}"].tolist()
        unused = [
            channel
            for channel, scale in zip(source.channels, scales, strict=True)
            if scale == float("inf")
        ]
        lines += (
            [
                f"    not assimilated, too few observations to fit an equivalent: "
                f"{first_words(unused)}"
            ]
            if unused
            else []
        )
        lines += _table("channel", source.channels, {"mean": source.mean, "std": source.std})
    mean, std, tendency = (
        weights[f"normaliser.{key}"].flatten().tolist() for key in ("mean", "std", "tendency")
    )
    change = [scaled * deviation for scaled, deviation in zip(tendency, std, strict=True)]
    lines.append(
        "  states: statistics of the training period, in the units of the channel table "
        "(TP as log(1 + tp))"
    )
    lines += _table("channel", design.channels, {"mean": mean, "std": std, "6-h change": change})
    for stage in content["history"]:
        lines.append(f"  stage {stage.get('stage')}: {_stage(stage)}")
        settings = ", ".join(f"{key} {value}" for key, value in stage.get("settings", {}).items())
        lines += [f"    settings: {settings}"] if settings else []
    return lines


def _built(design: Design) -> Networks:
    """Return the networks of a design without weights: names and shapes, no memory."""
    one = np.ones(len(design.channels), np.float32)
    with torch.device("meta"):
        return Networks(
            design, one, one, one, np.zeros((len(design.statics), *design.grid), np.float32)
        )


def _wrong(built: Networks, weights: dict) -> list[str]:
    """Say which weights the design lacks or does not have, and which are not finite.

    An infinite ``scale`` of departures is no fault: such a channel has no equivalent and is not
    assimilated.
    """
    shapes = {key: tuple(value.shape) for key, value in built.state_dict().items()}
    stored = {key: tuple(value.shape) for key, value in weights.items()}
    lines = [
        f"  weights that do not fit the design: {first_words([*unfit], 4)}"
        for unfit in [
            sorted(key for key in {*shapes, *stored} if shapes.get(key) != stored.get(key))
        ]
        if unfit
    ]
    broken = {
        key: int((value.isnan() if key.endswith(UNUSED) else ~value.isfinite()).sum())
        for key, value in weights.items()
        if value.is_floating_point()
    }
    bad = {key: number for key, number in broken.items() if number}
    if bad:
        lines.append(f"  {sum(bad.values())} weights are not finite, in {first_words([*bad], 4)}")
    return lines


def _table(heading: str, names: list[str], columns: dict[str, list[float]]) -> list[str]:
    """Return a line for each name, with its number in each column.

    Parameters
    ----------
    heading : str
        Heading of the names.
    names : list[str]
        Names of the rows.
    columns : dict[str, list[float]]
        By heading, a number for each name.

    Returns
    -------
    list[str]
        Lines of text, the headings first.
    """
    width = max(len(heading), *map(len, names))
    lines = [f"    {heading:{width}s} " + " ".join(f"{column:>12s}" for column in columns)]
    for i, name in enumerate(names):
        lines.append(
            f"    {name:{width}s} " + " ".join(f"{values[i]:12.6g}" for values in columns.values())
        )
    return lines


def _stage(stage: dict) -> str:
    """Return one stage of the training in a line."""
    shown = {
        key: value for key, value in stage.items() if key not in ("stage", "settings", "period")
    }
    words = [
        f"{key.replace('_', ' ')} {value:.6g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in shown.items()
    ]
    return ", ".join([f"samples of {' .. '.join(map(str, stage.get('period', [])))}", *words])


def _plain(content: dict) -> list[str]:
    """Return the entries of a dictionary: tensors with shapes and values, the rest as text."""
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
