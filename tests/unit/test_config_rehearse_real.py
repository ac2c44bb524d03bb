"""The rehearsal of the real run is the real run on few days, from a mirror of the same layout."""

from fnmatch import fnmatchcase

import pytest

from fuxiflow import ROOT
from fuxiflow.config.archives import load_archives
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.sources import load_source
from fuxiflow.world import public_archives, public_states
from tests.unit.test_config_rehearsal import different_keys, settings

FILES = {name: ROOT / "config" / f"{name}.yaml" for name in ("real", "rehearse_real")}
REAL = load_configuration(FILES["real"])
REHEARSAL = load_configuration(*FILES.values())
WORLD = load_configuration(ROOT / "config" / "rehearse_world.yaml")
MIRROR = "http://127.0.0.1:8700"
# by key what the rehearsal may have otherwise, and why; all else is as in real.yaml, defaults too
DIFFERENCES = {
    "name": "folder of its own",
    "synthetic_archives": "figures say that they are of a synthetic world",
    "segment_months": "days: training and test are in neighbouring months",
    "check_space": "the mirror's files are small",
    "periods.*": "days",
    "archives.*": "addresses",
    "verification.systems.*": "addresses",
    "verification.climatology": "address",
    "verification.block_days": "days",
    "experiment.training.*.updates": "steps",
    "experiment.training.*.chain": "days: a chain of the real run is longer than the rehearsal",
    "experiment.training.*.climatology_shift_days": "days: the climatology is of two months",
}
KEYS = different_keys(settings(REAL), settings(REHEARSAL))


def test_all_settings_but_the_named_ones_are_those_of_the_real_run():
    others = {key for key in KEYS if not any(fnmatchcase(key, one) for one in DIFFERENCES)}
    assert not others, f"as in config/real.yaml, or in the list above with a reason: {others}"


@pytest.mark.parametrize("pattern", DIFFERENCES)
def test_nothing_is_excused_that_is_alike(pattern):
    assert any(fnmatchcase(key, pattern) for key in KEYS)


def addresses(config):
    archives = load_archives(changes=config.archives)
    found = {name: archives.sources[name].url for name in config.sources}
    found["era5"] = archives.era5.store_url
    found["climatology"] = config.verification.climatology
    for name, system in config.verification.systems.items():
        found |= {f"{name} forecasts": system.forecasts, f"{name} analyses": system.analyses}
    return {name: address for name, address in found.items() if address}


def test_base_addresses_alone_are_replaced():
    real, rehearsed = addresses(REAL), addresses(REHEARSAL)
    for name, address in real.items():
        assert rehearsed[name] == f"{MIRROR}/{public_archives.place_of(address)}"
    assert rehearsed.keys() == real.keys()
    archives = [settings(load_archives(changes=config.archives)) for config in (REAL, REHEARSAL)]
    assert all(key.endswith(".url") for key in different_keys(*archives))


def test_what_is_synthetic_says_so():
    assert REHEARSAL.synthetic
    assert WORLD.synthetic
    assert not REAL.synthetic


def test_the_world_has_the_days_the_grid_and_the_sources():
    for name in ("periods", "grid", "segment_months"):
        assert getattr(WORLD, name) == getattr(REHEARSAL, name)
    assert WORLD.sources == REHEARSAL.sources
    assert WORLD.verification_period == REHEARSAL.verification_period
    assert WORLD.cycling.init_hours == REHEARSAL.cycling.init_hours
    # HRES makes a forecast at each initial time
    assert WORLD.world.gfs.forecast_interval_hours == 12
    for name in WORLD.sources:
        assert WORLD.world.observing(load_source(name)).outages == []


def test_the_stores_of_the_real_run_are_published():
    root = public_archives.DATA_SETS
    published = {f"{root}/{store.format(grid='64x32')}" for store in public_states.LAYOUTS}
    stores = {address for name, address in addresses(REAL).items() if name not in REAL.sources}
    assert stores == published


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("https://storage.googleapis.com/bucket/a/b.zarr", "bucket/a/b.zarr"),
        ("https://gnss-ro-data.s3.amazonaws.com", "gnss-ro-data"),
        ("https://a-b.s3.eu-central-1.amazonaws.com/c/d", "a-b/c/d"),
    ],
)
def test_a_bucket_is_a_folder(address, place):
    assert public_archives.place_of(address) == place
