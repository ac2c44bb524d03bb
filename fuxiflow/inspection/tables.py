"""Parquet and CSV tables as text: footprints, ledgers, scores, and any other."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fuxiflow.inspection.text import Summary, first_words, lines_of_check, provenance_text
from fuxiflow.observations import footprint_table, ledger
from fuxiflow.observations.rejection_codes import Reason

FEW = 8
"""Most values or files that are named one by one."""


def describe_parquet(path: Path) -> str:
    """Describe a Parquet table; ValueError when it cannot be read.

    It tells rows and columns, for footprints, ledgers and scores what one asks of them, and
    provenance.
    """
    unchecked = lines_of_check(path)
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise ValueError(f"{path}: not a readable Parquet file ({error})") from error
    with file:
        schema = file.schema_arrow
        lines = [f"{path}: {file.metadata.num_rows} rows", *unchecked]
        if not set(footprint_table.footprint_schema([]).names) - set(schema.names):
            lines += _footprints(path)
        else:
            frame = file.read().to_pandas()
            if list(schema.names) == ledger.SCHEMA.names:
                lines += _ledger(frame)
            elif {"metric", "value", "lead_time", "system"} <= set(schema.names):
                lines += _scores(frame)
            lines += _columns(frame, {field.name: str(field.type) for field in schema})
        return "\n".join(
            [*lines, provenance_text((schema.metadata or {}).get(b"provenance", b"").decode())]
        )


def describe_csv(path: Path) -> str:
    """Describe a CSV table, which has no provenance."""
    unchecked = lines_of_check(path)
    try:
        frame = pd.read_csv(path)
    except ValueError as error:
        raise ValueError(f"{path}: not a readable CSV table ({error})") from error
    return "\n".join(
        [
            f"{path}: {len(frame)} rows",
            *unchecked,
            *_columns(frame, frame.dtypes.astype(str).to_dict()),
        ]
    )


def _columns(frame: pd.DataFrame, types: dict[str, str]) -> list[str]:
    """Return each column with its type and its values: few, or their span."""
    lines, numbers = [], []
    for name, kind in types.items():
        values = frame[name].dropna()
        if kind.startswith(("float", "double", "half")):
            numbers.append(name)
            lines.append(f"  {name} {kind}")
        elif not len(values):
            lines.append(f"  {name} {kind}, no value")
        elif kind.startswith(("int", "uint", "date", "timestamp")):
            lines.append(f"  {name} {kind}, {values.min()} .. {values.max()}")
        else:
            lines.append(
                f"  {name} {kind}, "
                f"{first_words([text if text else '(empty)' for text in values.unique()], FEW)}"
            )
    if numbers:
        summary = Summary(numbers)
        summary.add(frame[numbers].to_numpy(float))
        lines += summary.lines("column")
    return lines


def _footprints(path: Path) -> list[str]:
    """Return dates, platforms, reasons, values of what is used, and the ledger beside it.

    The table is read row group by row group.
    """
    channels = footprint_table.read_channel_names(path)
    values = Summary(channels)
    places = Summary(["lat", "lon", "zenith"])
    codes, first, last = np.zeros(256, int), [], []
    texts = {name: pd.Series(dtype=int) for name in ("platform", "file", "station")}
    for piece in footprint_table.read_row_groups(path):
        rejected = footprint_table.column_values(piece, "rejected")
        codes += np.bincount(rejected, minlength=256)
        used = rejected == Reason.USED
        values.add(footprint_table.values_of(piece)[used])
        places.add(
            np.stack([footprint_table.column_values(piece, name)[used] for name in places.names], 1)
        )
        time = footprint_table.column_values(piece, "time")
        time = time[~np.isnat(time)]
        if len(time):
            first.append(time.min())
            last.append(time.max())
        for name in texts:
            texts[name] = (
                texts[name]
                .add(piece[name].to_pandas().astype(str).value_counts(), fill_value=0)
                .astype(int)
            )
    reasons = {reason.value: reason.label for reason in Reason}
    counts = ", ".join(f"{reasons.get(code, code)} {codes[code]}" for code in np.flatnonzero(codes))
    lines = [
        f"  time: {min(first)} .. {max(last)}" if first else "  time: none",
        f"  footprints: {counts or 'none'}",
    ]
    lines.append(
        "  platforms: "
        f"{first_words([f'{name} {n}' for name, n in texts['platform'].items()]) or 'none'}"
    )
    named = [name for name in texts["station"].index if name]
    lines.append(f"  files: {len(texts['file'])}" + (f"; stations: {len(named)}" if named else ""))
    beside = path.parent / "ledger" / path.name
    if beside.exists():
        lines.append(f"  ledger: {ledger.summarize_ledger(ledger.read_ledgers([beside]))}")
    return [
        *lines,
        "  places of what is used:",
        *places.lines(""),
        "  values of what is used:",
        *values.lines(),
    ]


def _ledger(frame: pd.DataFrame) -> list[str]:
    """Return totals by reason and whether they add up.

    Single values set missing follow, and files that were refused or read with a remark.
    """
    lines = [f"  in all: {ledger.summarize_ledger(frame) or 'nothing'}"]
    of_files = {reason.label for reason in Reason if reason >= 100}
    remarks = {reason.label for reason in Reason if reason >= 200}
    whole = frame[frame["channel"] == ""]
    if set(whole["reason"]) - {ledger.READ} - of_files:
        try:
            ledger.check_ledger(frame)
            lines.append("  read = used + rejected for every file")
        except ledger.LedgerError as error:
            lines.append(f"  does not add up: {error}")
    single = frame[frame["channel"] != ""].groupby(["reason", "channel"], sort=False)["count"].sum()
    lines += [
        f"  {channel}: {n} values remarked on: {why}"
        if why in remarks
        else f"  channel {channel}: {n} single values set missing: {why}"
        for (why, channel), n in single.items()
    ]
    days = whole[whole["reason"] == ledger.USED].groupby("day")["count"].sum()
    if len(days):
        lines.append(
            f"  used by day: {days.min()} .. {days.max()} on {len(days)} days, "
            f"{days.index.min()} .. {days.index.max()}"
        )
    remarked = whole[whole["reason"].isin(of_files) | whole["message"].ne("")]
    lines += [
        f"  {row.file or '(no file)'}: {row.reason}, {row.message}"
        for row in remarked.head(FEW).itertuples()
    ]
    return lines + ([f"  … {len(remarked)} files in all"] if len(remarked) > FEW else [])


def _scores(frame: pd.DataFrame) -> list[str]:
    """Return least, mean and largest value of each metric by system, over everything else."""
    lines = []
    for metric, part in frame.groupby("metric", observed=True, sort=False):
        lines.append(
            f"  {metric}, leads {part['lead_time'].min()} .. {part['lead_time'].max()} h, "
            f"{part['channel'].nunique()} channels, {part['region'].nunique()} regions:"
        )
        systems = part.groupby(["experiment", "system", "reference"], observed=True, sort=False)[
            "value"
        ]
        figures = systems.agg(["size", "min", "mean", "max"]).reset_index()
        lines += [
            f"    {line}"
            for line in figures.to_string(index=False, float_format="%.6g").splitlines()
        ]
    return lines
