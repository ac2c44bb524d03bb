"""Report one segment of the nature run from the stations, or ships and buoys, of one source.

in:  truth    Zarr stores of the truth that cover the dates and the first time after them
              (fuxiflow.world.truth)
out: reports  directory of files in the source's format, one a day, provenance.json and
              manifest.json
"""

from datetime import date

from fuxiflow.config import sources
from fuxiflow.config import world as settings
from fuxiflow.progress import progress
from fuxiflow.storage.manifests import seal_folder
from fuxiflow.world.networks import place_network, report_day, report_windows
from fuxiflow.world.truth import Truth
from fuxiflow.world.windows import observed_days
from fuxiflow.world.writers.report_files import write_reports


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
        reports = list(report_day(source, members, windows, day, options, params.seed))
        write_reports(output.reports, source, day, reports)
        written += sum(len(one.members) for one in reports)
    seal_folder(output.reports)
    log.info("%d reports of %d stations of %s", written, len(members), source.long_name)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
