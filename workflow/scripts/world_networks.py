"""Report one segment of the nature run from the stations, or ships and buoys, of one source.

in:  truth    Zarr stores of the truth that cover the dates and the first time after them
              (fuxiflow.world.truth)
out: reports  directory of WMO BUFR bulletins, a file a day, provenance.json and manifest.json
"""

from datetime import date

from fuxiflow.config import sources
from fuxiflow.config import world as settings
from fuxiflow.progress import progress
from fuxiflow.storage.manifests import seal_folder
from fuxiflow.world.bulletins import place_network, report_day, report_windows
from fuxiflow.world.truth import Truth
from fuxiflow.world.windows import observed_days


def main(input, output, params, log):
    source = sources.load_source(params.source)
    options = settings.ObservedNetwork(**params.network)
    truth = Truth(input.truth)
    members = place_network(source, truth, options, params.seed)
    if len(members) < options.stations:
        log.warning(
            "%d stations are configured, there is space for %d", options.stations, len(members)
        )
    windows = report_windows(truth, source)
    days = observed_days(*map(date.fromisoformat, params.dates), truth.times, "reports", log)
    output.reports.mkdir(parents=True, exist_ok=True)
    written = 0
    for day in progress(days, f"reports of {source.name}", log):
        bulletins = list(report_day(source, members, windows, day, options, params.seed))
        if bulletins:
            name = f"{source.name}_{day:%Y%m%d}_fuxi_sim.bufr"
            content = b"".join(bulletin.content for bulletin in bulletins)
            (output.reports / name).write_bytes(content)
        written += sum(bulletin.count for bulletin in bulletins)
    seal_folder(output.reports)
    log.info("%d reports of %d stations of %s", written, len(members), source.long_name)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
