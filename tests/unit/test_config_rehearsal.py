"""The rehearsal is the paper's configuration on few days, with small networks, in another world."""

from fnmatch import fnmatchcase

import pytest

from fuxiflow import ROOT
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.sources import SIMULATED, load_source, source_names

PAPER, REHEARSAL = (
    load_configuration(ROOT / "config" / f"{name}.yaml") for name in ("paper", "rehearsal")
)
# by key what the rehearsal may have otherwise, and why; all else is as in paper.yaml, defaults too
DIFFERENCES = {
    "name": "folder of its own",
    "kind": "nothing is downloaded",
    "temporary": "40 GB of disk hold what is in use, not all of it",
    "world.*": "place of the archives",
    "archives.*": "place of the archives",
    "periods.*": "days",
    "simulation.*.period.*": "days",
    "simulation.*.template.*": "days",
    "experiment.sources": "sources that the world makes, see below",
    "experiment.model.*": "size of the networks",
    "experiment.training.accelerator": "no GPU",
    "experiment.training.precision": "no GPU: bfloat16 is slow there",
    "experiment.training.compile": "compiling takes minutes a stage",
    "experiment.training.workers": "two cores",
    "experiment.training.*.updates": "steps",
    "experiment.training.*.checkpoint_every": "steps: restart files are written all the same",
    "experiment.training.*.max_lead_hours": "days: a background starts within three days of states",
    "experiment.training.joint.observation_loss.sources": "sources that the world makes",
    "experiment.training.joint.cycles": "steps: four cycles take too much memory of a processor",
    "experiment.training.autoregressive.steps": "steps",
    "experiment.training.simulated.*": "days",
    "experiment.training.backgrounds.batch": "one at a time in the memory that there is",
    "experiments.*": "each kind of experiment once",
    "cycling.init_hours": "one forecast of 10 days",
    "cycling.batch": "one forecast at a time in the memory that there is",
    "cycling.precision": "no GPU",
    "cycling.keep_forecasts": "disk, as temporary",
    "cycling.compile": "compiling takes minutes",
    "verification.block_days": "days",
    "verification.climatology_window_days": "days: 61 have 50 fields of 0.3 GB",
    "verification.withheld.*": "sources that the world makes",
    "verification.comparisons.*": "names of experiments",
    "cyclones.natures": "storms of the world are of middle latitudes",
    "cyclones.least_wind": "storms of the world are weak",
    "figures.hybrid_training": "names of experiments",
    "figures.unrolling": "names of experiments",
}


def settings(config):
    """All settings by dotted key, defaults among them."""

    def below(value, key):
        if isinstance(value, dict):
            for name, part in value.items():
                yield from below(part, f"{key}.{name}" if key else name)
        else:
            yield key, value

    return dict(below(config.model_dump(mode="json"), ""))


def different_keys(one, other):
    missing = object()
    return {
        key for key in one.keys() | other.keys() if one.get(key, missing) != other.get(key, missing)
    }


KEYS = different_keys(settings(PAPER), settings(REHEARSAL))


def test_all_settings_but_the_named_ones_are_the_papers():
    others = {key for key in KEYS if not any(fnmatchcase(key, one) for one in DIFFERENCES)}
    assert not others, f"as in config/paper.yaml, or in the list above with a reason: {others}"


@pytest.mark.parametrize("pattern", DIFFERENCES)
def test_nothing_is_excused_that_is_alike(pattern):
    assert any(fnmatchcase(key, pattern) for key in KEYS)


def test_a_setting_that_paper_alone_has_is_seen():
    changed = settings(PAPER) | {"states.compression": "none", "verification.new": 1}
    assert different_keys(settings(PAPER), changed) == {"states.compression", "verification.new"}


def test_it_observes_with_all_of_the_papers_instruments_that_the_world_makes():
    sources = [load_source(name) for name in source_names()]
    made = {one.instrument for one in sources if one.reader in SIMULATED and one.simulated_as}
    observed, rehearsed = (
        sorted(load_source(name).instrument for name in config.sources)
        for config in (PAPER, REHEARSAL)
    )
    assert rehearsed == [instrument for instrument in observed if instrument in made]
    full_density = REHEARSAL.world.observing(load_source("noaa20_atms"))
    assert (full_density.scan_stride, full_density.field_of_view_stride) == (1, 1)
    assert full_density.platforms is None


def test_sizes_are_the_papers():
    assert (REHEARSAL.grid.nlat, REHEARSAL.grid.nlon) == (720, 1440)
    # files of the reanalysis as its archive has them
    assert (REHEARSAL.world.grid.nlat, REHEARSAL.world.grid.nlon) == (721, 1440)
    assert REHEARSAL.cycling.max_lead_hours == 240


def test_each_kind_of_experiment_is_there():
    assert REHEARSAL.external_experiments
    assert set(REHEARSAL.cycled_experiments) & set(REHEARSAL.forecasting_experiments)
    assert any(not REHEARSAL.resolve(name).sources for name in REHEARSAL.cycled_experiments)
