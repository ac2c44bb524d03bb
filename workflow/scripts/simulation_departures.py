"""Errors of a source's real observations: their departures from equivalents of the reanalysis.

in:  tables      Parquet, real footprints after quality control, of the segments of the template
     states      Zarr, reanalysis of the same segments
     statistics  Zarr, with the surface's height and land
out: errors      Zarr, bias and noise (fuxiflow.simulation.errors)
"""

from datetime import date

import numpy as np

from fuxiflow.config import sources
from fuxiflow.operators import equivalents
from fuxiflow.progress import progress
from fuxiflow.simulation import errors
from fuxiflow.simulation.geometry import Template
from fuxiflow.simulation.observations import template_departures
from fuxiflow.simulation.reanalysis import ReanalysisSampler
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries


def main(input, output, params, log):
    source = sources.load_source(params.source)
    reanalysis = ReanalysisSampler(
        StateSeries(input.states),
        Statistics.read(input.statistics),
        equivalents.required_channels(source),
    )
    template = Template(input.tables, *map(date.fromisoformat, params.template))
    days = template_departures(
        source, equivalents.equivalent_operator(source), reanalysis, template, params.seed
    )
    parts = list(progress(days, f"departures of {source.name}", log, total=template.days))
    if not parts:
        raise ValueError(
            f"{source.name}: no footprint from {template.start} to {template.end} with a "
            f"reanalysis about it; choose another simulation.{source.name}.template"
        )
    estimated = errors.estimate_errors(
        source.channel_names, *(np.concatenate(column) for column in zip(*parts, strict=True))
    )
    estimated.write(output.errors)
    if missing := estimated.channels_without_departures:
        log.warning(
            "%s: no departures of channels %s, which are not simulated",
            source.name,
            ", ".join(missing),
        )
    noise = np.sqrt((estimated.factor**2).sum(-1))
    # forty lines are enough of a log: IASI has hundreds of channels
    for i, name in enumerate(estimated.channels[:40]):
        by_surface = (
            f"{surface} {estimated.bias[k, i]:+.3g} ± {noise[k, i]:.3g}"
            for k, surface in enumerate(errors.SURFACES)
        )
        log.info("channel %s: %s", name, ", ".join(by_surface))
    log.info(
        "%s: %d footprints on %d of %d days",
        source.name,
        estimated.count,
        len(parts),
        template.days,
    )


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
