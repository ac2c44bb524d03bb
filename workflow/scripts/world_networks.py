"""Report one segment's weather of the nature run from the stations, or ships and buoys, of one source.

in:  truth    Zarr stores of the truth that cover the dates and the first time after them (fuxiflow.world.truth)
out: reports  directory of WMO BUFR bulletins, a file a day, and provenance.json
"""

from fuxiflow.config import sources
from fuxiflow.progress import progress
from fuxiflow.storage import provenance
from fuxiflow.world import stations
from fuxiflow.world.truth import Truth
from fuxiflow.world.windows import days


def main(input, output, params, log):
    source, truth = sources.load_source(params.source), Truth(input.truth)
    members = stations.network(source, truth, params.network, params.seed)
    if len(members) < params.network["stations"]:
        log.warning(
            "%d stations wanted, there is room for %d", params.network["stations"], len(members)
        )
    windows = stations.windows(truth, source)
    output.reports.mkdir(parents=True, exist_ok=True)
    written = 0
    for day in progress(
        days(params.dates, truth.times, "reports", log), f"reports of {source.name}", log
    ):
        bulletins = list(
            stations.report_day(source, members, windows, day, params.network, params.seed)
        )
        if bulletins:
            name = f"{source.name}_{day:%Y%m%d}_fuxi_sim.bufr"
            (output.reports / name).write_bytes(b"".join(content for _, _, content in bulletins))
        written += sum(count for _, count, _ in bulletins)
    provenance.write_sidecar(output.reports)
    log.info("%d reports of %d stations of %s", written, len(members), source.long_name)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
