"""The scores that there are so far, in few words: what a person asks first."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from fuxiflow.storage import checksums

CHANNEL = "Z500"
LEADS = (24, 72, 120)


@dataclass(frozen=True)
class Skill:
    """One number of an experiment."""

    experiment: str
    what: str
    value: str


def _rows(path: Path, reference: str) -> list[dict]:
    from pyarrow import parquet

    checksums.check_sealed(path)
    table = parquet.read_table(
        path,
        columns=["system", "metric", "lead_time", "value"],
        filters=[
            ("reference", "=", reference),
            ("channel", "=", CHANNEL),
            ("region", "=", "global"),
        ],
        page_checksum_verification=True,
    )
    return table.to_pylist()


def _of_forecasts(experiment: str, reference: str, rows: list[dict]) -> list[Skill]:
    """Say the RMSE at some leads, beside GFS where that is scored, and how long ACC exceeds 0.6.

    Parameters
    ----------
    experiment : str
        Whose forecasts they are.
    reference : str
        What they were scored against.
    rows : list of dict
        Rows of the score table.

    Returns
    -------
    list of Skill
        None without scores of forecasts.
    """
    values = {(row["system"], row["metric"], row["lead_time"]): row["value"] for row in rows}
    skill = []
    for lead in LEADS:
        own = values.get(("fuxiflow", "rmse", lead))
        if own is None:
            continue
        ratio = values.get(("fuxiflow", "rmse_vs_gfs", lead))
        beside = ""
        if ratio is not None:
            beside = f" ({abs(ratio):.0%} {'above' if ratio > 0 else 'below'} GFS)"
        what = f"{CHANNEL} RMSE at {lead} h against {reference}"
        skill.append(Skill(experiment, what, f"{own:.4g}{beside}"))
    skilful = 0
    leads = (lead for system, metric, lead in values if (system, metric) == ("fuxiflow", "acc"))
    for lead in sorted(leads):
        if values["fuxiflow", "acc", lead] < 0.6:
            break
        skilful = lead
    if skilful:
        what = f"{CHANNEL} ACC at least 0.6 against {reference}"
        skill.append(Skill(experiment, what, f"to {skilful} h"))
    return skill


def _of_analyses(experiment: str, reference: str, rows: list[dict]) -> list[Skill]:
    """Say the RMSE of analyses and of their backgrounds.

    Parameters
    ----------
    experiment : str
        Whose analyses they are.
    reference : str
        What they were scored against.
    rows : list of dict
        Rows of the score table.

    Returns
    -------
    list of Skill
        None without scores of analyses.
    """
    values = {
        row["metric"]: row["value"]
        for row in rows
        if row["system"] == "fuxiflow" and row["lead_time"] == 0
    }
    if "rmse" not in values:
        return []
    background = values.get("background_rmse")
    beside = "" if background is None else f" (background {background:.4g})"
    what = f"{CHANNEL} RMSE of analyses against {reference}"
    return [Skill(experiment, what, f"{values['rmse']:.4g}{beside}")]


def read_skill(results: Path) -> list[Skill]:
    """Read what the score tables say of each experiment, against the truth or else ERA5.

    Nothing where there is no table yet, where one cannot be read, or without pyarrow.
    """
    if importlib.util.find_spec("pyarrow") is None:
        return []
    skill = []
    for kind, words in (("analyses", _of_analyses), ("forecasts", _of_forecasts)):
        for path in sorted(results.glob(f"scores/*/{kind}.parquet")):
            for reference in ("truth", "era5"):
                try:
                    rows = _rows(path, reference)
                except (OSError, ValueError, KeyError):
                    break
                if rows:
                    skill.extend(words(path.parent.name, reference, rows))
                    break
    return sorted(skill, key=lambda one: one.experiment)
