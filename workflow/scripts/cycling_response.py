"""Make one analysis again and again, each time with one value of one observation changed.

in:  checkpoint   the networks of the cycle
     analyses     analysis stores of the case and, where it is not the first, of 6 h before
     climatology  Zarr, what the unobserved relaxes to
     statistics   Zarr, with the surface's height and land
     grids        Zarr, sparse observations about the case
out: response     Zarr, the changes of the analysis beside the observation operator's Jacobian
                  (fuxiflow.cycling.response)
"""

import numpy as np

from fuxiflow.config import sources
from fuxiflow.cycling.analyses import Observer, VariationalAssimilator, resumed
from fuxiflow.cycling.single_observation import Case, perturb_observations
from fuxiflow.models import checkpoint, execution
from fuxiflow.models.execution import select_device
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.statistics import Statistics
from fuxiflow.states.store import StateSeries


def main(input, output, params, log):
    networks = checkpoint.load_checkpoint(
        input.checkpoint, select_device(params.accelerator), drawn=False
    ).networks.eval()
    execution.prepare(networks, **params.execution)
    variational = params.assimilator == "variational"
    assimilator = VariationalAssimilator(networks) if variational else None
    climatology = Climatology.read(input.climatology)
    stores = [StateSeries(input.analyses, name) for name in ("analysis", "background")]
    time = np.datetime64(params.case, "ns")
    carry = resumed(networks, *stores, climatology, time, params.from_climatology)
    grids = {
        name: SparseGrids(paths)
        for name, paths in sources.paths_by_source(params.sources, input.grids).items()
    }
    observations = Observer(networks, grids, params.windows).window(carry.time)
    case = Case.of(networks, carry, climatology, observations, assimilator)
    response = perturb_observations(
        case,
        sources.load_source(params.source),
        params.channel,
        params.kelvin,
        params.places,
        Statistics.read(input.statistics),
        params.seed,
        log,
    )
    if len(response):
        log.info(
            "channel %s of %s at %d places: the analysis' brightness temperature follows by "
            "%+.2f of %+g K",
            response.channel,
            response.source,
            len(response),
            response.followed.mean(),
            response.kelvin,
        )
    else:
        log.warning(
            "%s: no observation of channel %s about %s, nothing is perturbed; "
            "choose another figures.case",
            response.source,
            response.channel,
            response.analysis_time,
        )
    response.write(output.response)


if __name__ == "__main__":
    from fuxiflow.runtime.rule_runner import run

    run(main, snakemake)  # noqa: F821
