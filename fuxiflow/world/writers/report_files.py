"""A day's reports in the format of their source: each reader has a writer."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from fuxiflow.config.sources import Source
from fuxiflow.world.networks import Reports
from fuxiflow.world.writers import nnja_parquet, report_bufr


def write_reports(directory: Path, source: Source, day: date, reports: Sequence[Reports]) -> None:
    """Write the reports of one day into a file; none where there are no reports.

    Parameters
    ----------
    directory : Path
        Where the file is written.
    source : Source
        The network, whose reader tells the format.
    day : date
        The day, in UTC.
    reports : Sequence[Reports]
        Its reports, of one time after the other.
    """
    if not reports:
        return
    if source.reader.startswith("nnja_ai."):
        nnja_parquet.write_nnja_reports(directory, source, day, reports)
        return
    content = b"".join(map(report_bufr.encode_reports, reports))
    (Path(directory) / f"{source.name}_{day:%Y%m%d}_fuxi_sim.bufr").write_bytes(content)
