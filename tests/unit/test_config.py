"""The configuration: defaults, cross-field checks, one-line errors, experiments, schema."""

import copy
import json
import re

import pytest
import yaml

from fuxiflow import ROOT
from fuxiflow.config import archives, configuration, reference, sources, work
from fuxiflow.config.base import Period
from fuxiflow.config.configuration import (
    ConfigurationError,
    load_configuration,
    validate_configuration,
)

# the demonstration with one source and two experiments, so that a test shows all that it is about
DEMO = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text()) | {
    "segment_months": 3,
    "periods": {
        "training": {"start": "2022-01-01", "end": "2022-12-31"},
        "observations": {"start": "2022-07-01", "end": "2022-12-31"},
        "cold_start": "2023-01-01",
        "test": {"start": "2023-01-11", "end": "2023-02-09"},
    },
    "experiments": {
        "full": {},
        "no_observations": {"sources": [], "weights": "full", "forecasts": False},
    },
    "figures": {"experiments": ["full", "no_observations"]},
}
DEMO["experiment"]["sources"] = ["noaa20_atms"]
DEMO["world"]["swaths"] = {"noaa20_atms": {"scan_stride": 28, "field_of_view_stride": 8}}
del DEMO["verification"]
SIMULATION = {
    "period": {"start": "2022-07-01", "end": "2022-08-31"},
    "template": {"start": "2022-09-01", "end": "2022-09-30"},
}
SHARE = {"start": "2022-07-01", "end": "2022-07-31"}
TEST = Period(start="2023-01-11", end="2023-02-09")


def demo(**changes) -> dict:
    """The demonstration's values with dotted keys replaced, None removing one."""
    values = copy.deepcopy(DEMO)
    for key, value in changes.items():
        *sections, last = key.split("__")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        if value is None:
            place.pop(last)
        else:
            place[last] = value
    return values


def complaint(**changes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        validate_configuration(demo(**changes))
    message = str(caught.value)
    for line in message.split("\n"):
        assert re.match(r"[a-z_.]+[\w.]*: ", line), line
    return message


@pytest.mark.parametrize(
    "name", ["demo", "joint", "test", "rehearsal", "real", "lab", "paper", "fuxiweather"]
)
def test_committed_configurations_are_valid(name):
    assert load_configuration(ROOT / "config" / f"{name}.yaml").name == name


def test_schema_is_in_step():
    assert configuration.SCHEMA.read_text() == configuration.configuration_schema(), (
        "run `make schema`"
    )


@pytest.mark.parametrize("model", [configuration.Config, sources.Source, archives.Archives])
def test_every_key_is_described(model):
    for section in reference.sections(model):
        for key, field in section.model_fields.items():
            name = f"{section.__name__}.{key}"
            assert field.description, f"{name} has no description"
            assert field.description.split("\n\n")[0].endswith("."), name
            if field.default is None and not field.is_required():
                assert re.search("default|null", field.description), f"{name}: what is its default?"


def test_every_property_of_the_schema_is_described():
    schema = json.loads(configuration.configuration_schema())
    properties = {
        f"{name}.{key}": value
        for name, model in {"Config": schema, **schema["$defs"]}.items()
        for key, value in model.get("properties", {}).items()
    }
    assert len(properties) >= 248
    assert [name for name, value in properties.items() if not value.get("description")] == []


def test_the_reference_page_is_in_step():
    assert reference.PAGE.read_text() == reference.reference_page(), "run `make schema`"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nonsense": 1}, ["nonsense: unknown key", "allowed: name, seed, kind"]),
        ({"world__era5__eror": 0.1}, ["world.era5.eror"]),
        ({"grid__nlat": 0}, ["grid.nlat", "greater than 0"]),
        ({"kind": "real"}, ["kind", "'embedded' or 'archive'"]),
        ({"name": "No Spaces"}, ["name"]),
        (
            {"experiment__training__autoregressive__first_steps": 13},
            ["training.autoregressive", "first_steps: 13", "12"],
        ),
        (
            {
                "experiment__training__autoregressive": {
                    "updates": 4,
                    "batch": 1,
                    "learning_rate": 1e-5,
                    "steps": 5,
                }
            },
            ["training.autoregressive", "updates", "at least one for each of 1 to 5 steps"],
        ),
        (
            {"experiment__training__forecaster__updates": None},
            ["experiment.training.forecaster.updates", "required"],
        ),
        (
            {"periods__test": {"start": "2022-12-01", "end": "2023-02-01"}},
            ["periods.test", "overlaps periods.training", "after 2022-12-31"],
        ),
        (
            {"periods__test": {"start": "2023-02-09", "end": "2023-01-11"}},
            ["periods.test", "after end"],
        ),
        (
            {"periods__validation": {"start": "2022-12-30", "end": "2023-01-03"}},
            ["periods.validation", "overlaps periods.training", "after 2022-12-31"],
        ),
        (
            {"periods__validation": {"start": "2023-01-05", "end": "2023-01-11"}},
            ["periods.validation", "before periods.test", "2023-01-11"],
        ),
        (
            {
                "periods__validation": {"start": "2023-01-11", "end": "2023-03-22"},
                "periods__test": {"start": "2023-04-05", "end": "2023-05-04"},
            },
            ["periods.validation", "valid until 2023-04-01", "segment 2023-04 of the test"],
        ),
        (
            {
                "periods__cold_start": "2023-01-12",
                "periods__validation": {"start": "2023-01-11", "end": "2023-03-21"},
                "periods__test": {"start": "2023-04-05", "end": "2023-05-04"},
            },
            ["periods.cold_start", "after 2022-12-31 up to 2023-01-11"],
        ),
        (
            {"periods__observations": {"start": "2021-07-01", "end": "2022-12-31"}},
            ["periods.observations", "2022-01-01..2022-12-31"],
        ),
        (
            {"periods__cold_start": "2022-12-31"},
            ["periods.cold_start", "after 2022-12-31 up to 2023-01-11"],
        ),
        (
            {
                "periods__training__end": "2022-12-20",
                "periods__observations__end": "2022-12-20",
                "periods__cold_start": "2022-12-25",
            },
            ["periods.cold_start", "shares segment 2022-10", "segment_months"],
        ),
        (
            {
                "periods__cold_start": "2023-01-11",
                "periods__test": {"start": "2023-01-11", "end": "2023-01-11"},
                "cycling__init_hours": [0],
            },
            ["cycling.init_hours", "2023-01-11", "two analyses", "6 UTC"],
        ),
        ({"experiments": {}}, ["experiments", "at least one"]),
        (
            {"experiments__full": {"sources": ["noaa99_atms"]}},
            ["experiments.full.sources", "unknown 'noaa99_atms'", "noaa20_atms"],
        ),
        ({"experiments__full": {"back": True}}, ["experiments.full.back"]),
        (
            {"experiments__full": {"weights": "best"}},
            ["experiments.full.weights", "unknown 'best'", "no_observations"],
        ),
        (
            {"experiments__third": {"weights": "no_observations"}},
            ["experiments.third.weights", "no networks of its own"],
        ),
        (
            {
                "experiment__training__variational": None,
                "experiments__third": {"weights": "full", "assimilator": "variational"},
            },
            ["experiments.third.assimilator: variational needs", "training.variational"],
        ),
        ({"experiments__gfs": {}}, ["experiments.gfs", "taken"]),
        (
            {"experiment__training__joint__observation_loss": {"sources": ["goes"]}},
            [
                "experiments.full.training.joint.observation_loss.sources",
                "unknown 'goes'",
                "land_stations",
            ],
        ),
        (
            {"experiment__training__joint__observation_loss": {"sources": ["noaa20_atms"]}},
            [
                "training.joint.observation_loss.sources",
                "noaa20_atms measures no channel of the state",
            ],
        ),
        ({"simulation": {"goes": SIMULATION}}, ["simulation", "unknown 'goes'", "noaa20_atms"]),
        (
            {"simulation": {"land_stations": SIMULATION}},
            ["simulation.land_stations", "no observation operator for synop"],
        ),
        (
            {"simulation": {"gnssro": {**SIMULATION, "geometry": "orbits"}}},
            ["simulation.gnssro.geometry", "no platform with"],
        ),
        (
            {
                "simulation": {
                    "noaa20_atms": {
                        **SIMULATION,
                        "period": {"start": "2022-12-01", "end": "2023-01-11"},
                    }
                }
            },
            [
                "simulation.noaa20_atms.period",
                "inside periods.observations, 2022-07-01..2022-12-31",
            ],
        ),
        (
            {
                "simulation": {
                    "noaa20_atms": {
                        **SIMULATION,
                        "template": {"start": "2023-01-11", "end": "2023-01-12"},
                    }
                }
            },
            ["simulation.noaa20_atms.template", "inside periods.observations"],
        ),
        (
            {"experiments__hybrid": {"training": {"simulated": {"noaa20_atms": []}}}},
            ["experiments.hybrid.training.simulated", "unknown 'noaa20_atms'"],
        ),
        (
            {
                "simulation": {"noaa20_atms": SIMULATION},
                "experiments__hybrid": {
                    "training": {
                        "simulated": {"noaa20_atms": [SHARE, {**SHARE, "end": "2022-09-02"}]}
                    }
                },
            },
            [
                "experiments.hybrid.training.simulated.noaa20_atms",
                "inside simulation.noaa20_atms.period",
            ],
        ),
        (
            {
                "simulation": {"noaa20_atms": SIMULATION},
                "experiments__hybrid": {"training": {"simulated": {"noaa20_atms": [SHARE, SHARE]}}},
            },
            ["experiments.hybrid.training.simulated.noaa20_atms", "one share a day"],
        ),
        (
            {"figures__hybrid_training": ["full", "hybrid"]},
            ["figures.hybrid_training", "unknown 'hybrid'"],
        ),
        (
            {"experiments__third": {"initial": "era5"}},
            ["experiments.third.initial", "unknown 'era5'", "full, gfs"],
        ),
        (
            {
                "experiments__third": {"initial": "fourth"},
                "experiments__fourth": {"initial": "gfs"},
            },
            ["experiments.third.initial", "unknown 'fourth'", "full, gfs, no_observations"],
        ),
        (
            {"experiments__third": {"initial": "gfs", "forecasts": False}},
            ["experiments.third.forecasts", "allowed: true"],
        ),
        (
            {"experiments__third": {"forecaster": {"onnx": []}}},
            ["experiments.third.forecaster.onnx", "at least 1"],
        ),
        (
            {"experiments__third": {"forecaster": {"onnx": ["short.onnx"]}}},
            [
                "experiments.third.forecaster.onnx",
                "1 of 20 steps reach 120 h",
                "at least cycling.max_lead_hours = 240",
            ],
        ),
        (
            {
                "experiments__third": {
                    "forecaster": {"onnx": ["a.onnx", "b.onnx"]},
                    "initial": "gfs",
                },
                "experiments__fourth": {"weights": "third"},
            },
            ["experiments.fourth.weights", "no networks of its own"],
        ),
        (
            {"experiments__third": {"initial": "gfs"}, "figures__experiments": ["full", "third"]},
            ["figures.experiments", "unknown 'third'", "full, no_observations"],
        ),
        ({"world__swaths__goes": {}}, ["world.swaths", "unknown 'goes'"]),
        ({"world__networks__amsua": {}}, ["world.networks", "amsua is not observed so", "swaths"]),
        ({"world__swaths__hirs4": {}}, ["world.swaths", "hirs4 is not observed so", "can make"]),
        (
            {"world__networks__land_stations": {"interval_hours": 5}},
            ["world.networks.land_stations.interval_hours"],
        ),
        (
            {"world__networks__land_stations": {"start": "2022-05-01", "end": "2022-04-01"}},
            ["world.networks.land_stations", "start 2022-05-01 is after end 2022-04-01"],
        ),
        (
            {"world__swaths__amsua": {"platforms": ["NOAA-15"]}},
            ["world.swaths.amsua.platforms", "unknown 'NOAA-15'", "Metop-B, Metop-C, NOAA-19"],
        ),
        (
            {"world__swaths__noaa20_atms": {"start": "2023-01-01"}},
            ["world.swaths.noaa20_atms.start", "2023-01-01, allowed: up to 2022-12-31"],
        ),
        (
            {"experiments__full": {"sources": ["hirs4"]}},
            ["experiments.full.sources", "hirs4", "does not write", "atms_sdr"],
        ),
        (
            {"figures__experiments": ["half"]},
            ["figures.experiments", "unknown 'half'", "full, no_observations"],
        ),
        ({"figures__map_leads": [24, 300]}, ["figures.map_leads", "300 h was not forecast", "240"]),
        ({"figures__map_leads": [25]}, ["figures.map_leads", "25 h", "multiples of 6"]),
        (
            {"figures__experiments": []},
            ["figures.experiments", "first one with forecasts, of full"],
        ),
        (
            {"figures__experiments": ["no_observations", "full"]},
            ["figures.experiments", "with forecasts, of full"],
        ),
        (
            {"figures__map_channels": ["Z500", "Z501"]},
            ["figures.map_channels", "unknown 'Z501'", "Z500"],
        ),
        (
            {"figures__case": "2023-01-11T03:00"},
            ["figures.case", "'2023-01-11T03:00'", "to 2023-02-09 18:00:00"],
        ),
        (
            {"figures__case": "noon"},
            ["figures.case", "'noon'", "every 6 h from 2023-01-11 00:00:00"],
        ),
        (
            {"figures__channel_selection": {"jacobians": "no/such.nc"}},
            ["figures.channel_selection.jacobians", "no/such.nc is not there", "a table of"],
        ),
        (
            {"figures__channel_selection": {"jacobians": "no/such.csv"}},
            ["figures.channel_selection.jacobians", "no/such.csv"],
        ),
        (
            {"figures__channel_selection": {"jacobians": "a.nc", "source": "noaa20_atms"}},
            ["figures.channel_selection.source", "unknown 'noaa20_atms'", "iasi"],
        ),
        (
            {"figures__channel_selection": {"jacobians": "a.nc", "informative": 5}},
            ["figures.channel_selection", "spaced is 38", "at most informative, 5"],
        ),
        (
            {"verification": {"regions": ["atlantis"]}},
            ["verification.regions", "unknown 'atlantis'", "tropics"],
        ),
        (
            {"verification": {"regions": ["tropics"]}},
            ["verification.regions", "'global' is missing"],
        ),
        (
            {"verification": {"references": ["own"]}},
            ["verification.references", "['own']", "'era5' or 'truth'"],
        ),
        (
            {"verification": {"systems": {"full": {"forecasts": "."}}}},
            ["verification.systems.full", "the name is taken", "allowed: others than"],
        ),
        (
            {"verification": {"systems": {"hres": {"forecasts": "no/such.zarr"}}}},
            ["verification.systems.hres", "no/such.zarr is no folder", "or its address"],
        ),
        (
            {"verification": {"systems": {"hres": {"forecasts": "https://x/hres/a.zarr"}}}},
            ["verification.systems.hres", "of the real atmosphere", "kind: archive"],
        ),
        (
            {"verification": {"withheld": {"atms": {"share": 0.1}}}},
            ["verification.withheld", "unknown 'atms'"],
        ),
        (
            {"verification": {"withheld": {"radiosondes": {}}}},
            ["verification.withheld.radiosondes", "neither share nor platforms"],
        ),
        (
            {"verification": {"withheld": {"gnssro": {"share": 0.1}}}},
            ["verification.withheld.gnssro.share", "no stations", "allowed: platforms"],
        ),
        (
            {"verification": {"withheld": {"gnssro": {"platforms": ["metop-c"]}}}},
            ["verification.withheld.gnssro.platforms", "'metop-c'", "Metop-C"],
        ),
        (
            {"verification": {"withheld": {"radiosondes": {"platforms": ["radiosonde"]}}}},
            ["verification.withheld.radiosondes.platforms", "all that radiosondes has"],
        ),
        ({"cycling__max_lead_hours": 100}, ["cycling.max_lead_hours", "multiple of 6"]),
        ({"cycling__init_hours": [3]}, ["cycling.init_hours"]),
        (
            {"experiment__model__forecaster": "huge"},
            ["experiment.model.forecaster", "'huge'", "fuxi, small, tiny"],
        ),
        (
            {"experiments__third": {"model": {"forecaster": {"window": [7, 16]}}}},
            ["experiments.third.model.forecaster.window", "[7, 16]", "8 x 16 tokens"],
        ),
        ({"kind": "archive"}, ["verification.references", "truth", "allowed: era5, own"]),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_line(changes, words):
    message = complaint(**changes)
    for word in words:
        assert word in message


def test_all_mistakes_are_told_at_once():
    message = complaint(
        seed="many",
        segment_months=5,
        world__era5__eror=0.2,
        cycling__batch=0,
        figures__map_chanels=["Z500"],
        figures__map_leads=[24, 25, 300],
        experiments__third={"weights": "ful"},
        experiments__fourth={"trainig": {}},
        periods__cold_start="2022-12-31",
        simulation={"noaa20_atm": SIMULATION},
    )
    assert sorted(message.split("\n")) == sorted(
        [
            "seed: 'many', allowed: a whole number",
            "segment_months: 5, allowed: 1, 2, 3, 4, 6 or 12",
            "world.era5.eror: unknown key, allowed: error, low_level_error, warm_bias, slow_bias; "
            "did you mean 'error'?",
            "cycling.batch: 0, allowed: greater than 0",
            "figures.map_chanels: unknown key, allowed: experiments, hybrid_training, unrolling, "
            "infill_radius, activity_relative_to, map_leads, map_channels, false_discovery_rate, "
            "case, perturbation, channel_selection; "
            "did you mean 'map_channels'?",
            "figures.map_leads: 25 h was not forecast, allowed: multiples of 6 up to "
            "cycling.max_lead_hours = 240",
            "figures.map_leads: 300 h was not forecast, allowed: multiples of 6 up to "
            "cycling.max_lead_hours = 240",
            "experiments.third.weights: unknown 'ful', allowed: fourth, full, no_observations, "
            "third; did you mean 'full'?",
            "experiments.fourth.trainig: unknown key, allowed: sources, weights, assimilator, "
            "first_guess_check, background, windows, cutoff_hours, latency_hours, "
            "analyses_after, forecasts_after, forecasts, initial, forecaster, seeds, "
            "seeds_forecast, seed_offset, denial, retrained, cutoffs, retrained_cutoffs, model, "
            "training; "
            "did you mean 'training'?",
            "periods.cold_start: 2022-12-31, allowed: after 2022-12-31 up to 2023-01-11",
            f"simulation: unknown 'noaa20_atm', allowed: {', '.join(sources.source_names())}; "
            "did you mean 'noaa20_atms'?",
        ]
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # the longest forecast is in doubt: nothing is said of the leads that depend on it
        (
            {"cycling__max_lead_hours": 47, "figures__map_leads": [300]},
            "cycling.max_lead_hours: 47, allowed: a multiple of 6",
        ),
        # a misspelt key stands for the key that is missing, and its value is checked
        (
            {"figures": {"experimnts": ["half"]}},
            "figures.experiments: required, but not given\n"
            "figures.experimnts: unknown key, allowed: experiments, hybrid_training, unrolling, "
            "infill_radius, activity_relative_to, map_leads, map_channels, false_discovery_rate, "
            "case, perturbation, channel_selection; "
            "did you mean 'experiments'?\n"
            "figures.experiments: unknown 'half', allowed: full, no_observations",
        ),
        # an experiment that is none does not make all experiments missing
        ({"experiments": {"full": 3}}, "experiments.full: 3, allowed: keys with values"),
        # where a section is missing, sections are not compared
        (
            {"grid": None, "figures__map_leads": [300]},
            "grid: required, but not given",
        ),
        # the default experiment's mistake is told once, not for each experiment
        (
            {"experiment__sources": ["noaa21_atms"], "experiments__no_observations": {}},
            "experiments.full.sources: unknown 'noaa21_atms', allowed: "
            f"{', '.join(sources.source_names())}; did you mean 'noaa20_atms'?",
        ),
    ],
)
def test_what_follows_from_a_mistake_is_not_told(changes, message):
    assert complaint(**changes) == message


def test_a_misspelt_value_is_told_with_the_nearest():
    assert complaint(kind="embeded").endswith("did you mean 'embedded'?")
    assert "did you mean 'small'?" in complaint(experiment__model__forecaster="smal")
    assert "did you mean 'T850'?" in complaint(figures__map_channels=["T85"])
    assert "did you mean 'T850'?" in complaint(figures__map_channels=["t850"])
    assert "did you mean" not in complaint(kind="real")


def test_alternatives_of_a_type_are_one_complaint():
    assert complaint(verification__channels="T850").endswith(
        "verification.channels: 'T850', allowed: 'all', or a list"
    )


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({"seed": 1.5}, "seed: 1.5, allowed: a whole number"),
        ({"periods__cold_start": "May"}, "periods.cold_start: 'May', allowed: a date, YYYY-MM-DD"),
        (
            {"periods__cold_start": 20220201},
            "periods.cold_start: 20220201, allowed: a date, YYYY-MM-DD",
        ),
        (
            {"periods__cold_start": "2022-02-01 06:00"},
            "periods.cold_start: '2022-02-01 06:00', allowed: a date, YYYY-MM-DD",
        ),
        ({"seed": 10.0**300}, "seed: 1e+300, allowed: a whole number"),
        (
            {"world": {1: 2}},
            "world.1: 1 is no text, allowed: text as key, in quotes where YAML reads another value",
        ),
        (
            {"experiment__model__assimilator__scales": 10**30},
            "experiments.full.model.assimilator.scales: 1000000000000000000000000000000, allowed: "
            "up to 6, one more than the grid, 32 x 64, can be halved",
        ),
        ({"grid": [32, 64]}, "grid: [32, 64], allowed: keys with values"),
        ({"figures__map_leads": 24}, "figures.map_leads: 24, allowed: a list"),
        ({"world__era5__error": "big"}, "world.era5.error: 'big', allowed: a number"),
        ({"world__era5__error": 2}, "world.era5.error: 2, allowed: less than or equal to 1"),
        (
            {"experiments": {"a b": {}}},
            "experiments.a b: 'a b', allowed: text that matches ^[a-z0-9_]+$",
        ),
        (
            {"experiments__full": {"forecasts": "perhaps"}},
            "experiments.full.forecasts: 'perhaps', allowed: true or false",
        ),
    ],
)
def test_what_is_allowed_is_said_in_plain_words(changes, allowed):
    with pytest.raises(ConfigurationError) as caught:
        validate_configuration(demo(**changes))
    assert str(caught.value) == allowed


def test_a_key_that_yaml_reads_as_another_value_is_refused():
    with pytest.raises(ConfigurationError, match="False is no text, allowed: text as key"):
        validate_configuration(demo() | {False: 2})


def test_every_file_of_a_mistake_is_named_in_its_line(tmp_path):
    file = tmp_path / "more.yaml"
    file.write_text("cycling: {batch: 0, lead: 3}\n")
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(ROOT / "config" / "demo.yaml", file)
    lines = str(caught.value).split("\n")
    assert len(lines) == 2
    assert all("demo.yaml, " in line and "more.yaml: cycling." in line for line in lines)


@pytest.mark.parametrize("values", [None, [1, 2], "text"])
def test_other_than_sections_are_refused(values):
    with pytest.raises(ConfigurationError, match="expected sections"):
        validate_configuration(values)


def test_load_names_the_file(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("name: [unclosed")
    with pytest.raises(ConfigurationError, match=r"bad\.yaml"):
        load_configuration(file)
    file.write_text("name: a\nstates:\n  grid: 1\n  grid: 2\n")
    with pytest.raises(
        ConfigurationError, match=r"(?s)bad\.yaml: key 'grid' stands here a second time.*line 4"
    ):
        load_configuration(file)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "found nothing"), (b"[1]", "found a list"), (b"a", "single value"), (b"\x86", "codec")],
)
def test_a_file_without_sections_is_named_wherever_it_stands(tmp_path, content, words):
    file = tmp_path / "bad.yaml"
    file.write_bytes(content)
    demo_file = ROOT / "config" / "demo.yaml"
    for files in ([file], [file, demo_file], [demo_file, file]):
        with pytest.raises(ConfigurationError, match=rf"^\S*bad\.yaml: .*{words}"):
            load_configuration(*files)


def test_files_are_laid_over_each_other(tmp_path):
    first, second = ROOT / "config" / "demo.yaml", tmp_path / "more.yaml"
    second.write_text(
        "cycling: {batch: 7}\nexperiments: {bare: {sources: [], weights: full, forecasts: false}}\n"
    )
    alone, both = load_configuration(first), load_configuration(first, second)
    assert (both.cycling.batch, both.cycling.max_lead_hours) == (7, alone.cycling.max_lead_hours)
    assert set(both.experiments) == {*alone.experiments, "bare"}
    second.write_text("cycling: {batch: 0}\n")
    with pytest.raises(ConfigurationError, match=r"demo\.yaml, .*more\.yaml: cycling\.batch"):
        load_configuration(first, second)


def test_a_source_without_orbit_needs_the_archive(monkeypatch):
    source = configuration.sources.load_source("noaa20_atms")
    source = source.model_copy(
        update={"platforms": [configuration.sources.Platform(name="NOAA-20")]}
    )
    monkeypatch.setattr(configuration.sources, "load_source", lambda name: source)
    assert "no platform with an orbit" in complaint()


def test_experiments_are_overrides_section_by_section():
    values = demo(experiments__short={"training": {"joint": {"cycles": 2}}})
    config = validate_configuration(values)
    short, full = config.resolve("short"), config.resolve("full")
    assert short.training.joint.cycles == 2
    assert short.training.joint.updates == full.training.joint.updates
    assert short.model == full.model
    assert config.resolve("no_observations").sources == []
    with pytest.raises(KeyError, match="known: full, no_observations"):
        config.resolve("nobody")


def test_an_experiment_without_overrides_may_be_empty():
    values = demo()
    values["experiments"]["full"] = None
    assert validate_configuration(values).resolve("full").sources == ["noaa20_atms"]


def test_weights_and_sources():
    config = validate_configuration(demo())
    assert config.weights_of("no_observations") == "full"
    assert config.weights_of("full") == "full"
    assert config.sources == ["noaa20_atms"]


def test_periods_and_segments():
    config = validate_configuration(demo())
    assert config.segments(config.periods.training) == ["2022-01", "2022-04", "2022-07", "2022-10"]
    assert str(config.cycling_period.start) == "2023-01-01"
    assert (
        str(config.verification_period.end) == "2023-02-19"
    )  # ten days of forecast from 9 February
    assert [str(day) for day in config.clip("2023-01", config.periods.test)] == [
        "2023-01-11",
        "2023-02-09",
    ]


def test_a_segment_belongs_to_training_or_to_what_follows():
    config = validate_configuration(demo())
    assert config.states_period("2022-07") == config.periods.training
    assert config.states_period("2023-01") == config.verification_period
    (observed, *_) = config.segments(config.periods.observations)
    assert config.observed_period(observed) == config.periods.observations
    assert config.observed_period("2023-01") == config.cycling_period
    assert config.slice_segments("04") == ["2022-04"]
    assert config.slice_segments("02") == []


def test_a_segment_is_scored_for_validation_or_for_the_test():
    validation = {"start": "2023-01-11", "end": "2023-03-21"}
    test = {"start": "2023-04-05", "end": "2023-08-04"}
    config = validate_configuration(
        demo(
            periods__validation=validation,
            periods__test=test,
            world__gfs__forecast_interval_hours=84,
        )
    )
    periods = config.periods
    assert config.scored_segments == ["2023-01", "2023-04", "2023-07"]
    assert config.scored_period("2023-01") == periods.validation
    assert config.scored_period("2023-07") == periods.test
    assert list(periods.scored) == ["validation", "scores"]
    assert periods.first_scored == periods.validation.start
    # the cycle runs on from one to the other
    assert config.segments(config.cycling_period) == config.scored_segments
    assert work.scored_days(config, {"segment": "2023-01"}) == 31 - 10 + 28 + 21
    assert work.scored_days(config, {"segment": "2023-07"}) == 31 + 4
    assert work.scored_days(config, {"scores": "validation"}) == 70
    assert work.scored_days(config, {}) == 30 - 4 + 31 + 30 + 31 + 4
    assert work.world_gfs_forecasts(config, {"segment": "2023-01"}) == 20
    alone = validate_configuration(demo())
    assert list(alone.periods.scored) == ["scores"]
    assert alone.periods.first_scored == alone.periods.test.start


def test_errors_of_the_worlds_analyses_keep_their_other_defaults():
    world = validate_configuration(
        demo(world__era5={"error": 0.2}, world__gfs={"warm_bias": 0.5, "low_level_error": 0.6})
    ).world
    assert world.era5.errors == {
        "error": 0.2,
        "low_level_error": 0.2,
        "warm_bias": 0.8,
        "slow_bias": 0.1,
    }
    assert world.gfs.errors == {
        "error": 0.35,
        "low_level_error": 0.6,
        "warm_bias": 0.5,
        "slow_bias": 0.0,
    }
    assert world.gfs.forecast_interval_hours == 72
    starts = {
        hour: validate_configuration(demo(cycling__init_hours=hours)).gfs_start(TEST).hour
        for hour, hours in {0: [0, 12], 12: [6, 12], 6: [6, 18]}.items()
    }
    assert starts == {0: 0, 12: 12, 6: 0}
    assert "world.gfs.forecast_interval_hours" in complaint(world__gfs__forecast_interval_hours=18)
    assert "world.era5.forecast_interval_hours" in complaint(
        world__era5__forecast_interval_hours=24
    )


def test_configurations_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        validate_configuration(demo()).seed = 1


def test_what_experiments_share_is_trained_once():
    config = validate_configuration(
        demo(
            experiments__unrolled_1={"training": {"joint": {"cycles": 1}}},
            experiments__unrolled_2={"training": {"joint": {"cycles": 2}}},
            experiments__wider={"model": {"assimilator": {"width": 32}}},
            experiments__slower={"training": {"forecaster": {"learning_rate": 1e-4}}},
            experiments__denied={"weights": "unrolled_1", "sources": []},
        )
    )
    stages = ("forecaster", "backgrounds", "assimilator", "joint", "autoregressive")
    made_by = {
        name: [config.trained_by(name, stage) for stage in stages] for name in config.experiments
    }
    assert made_by["full"] == made_by["no_observations"] == ["full"] * 5
    assert made_by["unrolled_2"] == ["full", "full", "full", "unrolled_2", "unrolled_2"]
    assert (
        made_by["denied"]
        == made_by["unrolled_1"]
        == ["full", "full", "full", "unrolled_1", "unrolled_1"]
    )
    assert made_by["wider"] == ["wider"] * 5
    assert made_by["slower"] == ["slower"] * 5


def test_experiments_may_use_an_earlier_stage():
    config = validate_configuration(
        demo(
            experiments__before_unrolling={
                "weights": "full",
                "analyses_after": "assimilator",
                "forecasts": False,
            },
            experiments__one_step={
                "weights": "full",
                "initial": "full",
                "forecasts_after": "forecaster",
            },
        )
    )
    assert config.forecasts_after("full") == "autoregressive"
    assert config.forecasts_after("one_step") == "forecaster"
    with pytest.raises(
        ConfigurationError, match="forecasts_after: unknown 'autoregressive', allowed: assimilator"
    ):
        validate_configuration(
            demo(
                experiments__full={
                    "training": {"autoregressive": None},
                    "forecasts_after": "autoregressive",
                }
            )
        )
    with pytest.raises(
        ConfigurationError, match=r"comparisons\.full: unknown 'nobody', allowed: full, no_obs"
    ):
        validate_configuration(demo(verification__comparisons={"full": ["nobody"]}))


REPLAY = {"updates": 20, "batch": 2, "learning_rate": 1e-4, "max_lead_hours": 12}


def test_replay_is_for_the_cycle_alone():
    assert validate_configuration(demo()).analyses_after("full") == "joint"
    config = validate_configuration(
        demo(
            segment_months=1,
            experiments__updated={"training": {"replay": {**REPLAY, "fresh_days": 20}}},
            experiments__delayed={
                "training": {"replay": {**REPLAY, "fresh_days": 40, "delay_days": 35}}
            },
            experiments__frozen={"weights": "updated", "analyses_after": "joint"},
        )
    )
    # the cold start is on 1 January, the test ends on 9 February
    days = {
        name: {
            label: (str(period.start), str(period.end))
            for label, period in config.replayed(name).items()
        }
        for name in config.experiments
    }
    assert days["updated"] == days["frozen"] == {"2023-02": ("2023-01-07", "2023-01-26")}
    assert days["full"] == days["delayed"] == {}
    assert config.analyses_after("updated") == "replay"
    assert config.analyses_after("frozen") == "joint"
    assert config.forecasts_after("updated") == "autoregressive"
    # it changes nothing else: what comes before and the long forecasts are shared
    for stage in ("forecaster", "assimilator", "joint", "autoregressive"):
        assert config.trained_by("updated", stage) == "full"
    assert config.trained_by("frozen", "replay") == "updated"


def test_replay_that_cannot_be():
    with pytest.raises(
        ConfigurationError, match=r"analyses_after: unknown 'replay', allowed: assimilator, autoreg"
    ):
        validate_configuration(demo(experiments__full={"analyses_after": "replay"}))
    with pytest.raises(
        ConfigurationError, match=r"replay\.fresh_days: 1 days hold no chain of 6 cycles"
    ):
        validate_configuration(
            demo(experiment__training__replay={**REPLAY, "fresh_days": 1, "cycles": 6})
        )


@pytest.mark.parametrize(
    ("batch", "accumulate", "nodes", "devices"),
    [
        (1, 1, 1, 1),
        (3, 1, 1, 3),
        (4, 4, 1, 1),
        (8, 1, 1, 8),  # and not 2 machines of 4
        (12, 1, 2, 6),
        (14, 1, 2, 7),
        (13, 1, 1, 1),
        (64, 4, 2, 8),
    ],
)
def test_a_stage_uses_as_many_devices_as_share_its_batch(batch, accumulate, nodes, devices):
    settings = {**REPLAY, "batch": batch, "accumulate": accumulate}
    config = validate_configuration(
        demo(
            experiment__training__devices=8,
            experiment__training__nodes=2,
            experiment__training__replay=settings,
        )
    )
    layout = config.experiment.training.layout("replay")
    assert (layout.nodes, layout.devices) == (nodes, devices)
    assert layout.processes == nodes * devices


def test_external_forecasts_need_no_more_than_they_use():
    cascade = {"onnx": ["short.onnx", "medium.onnx"]}
    config = validate_configuration(
        demo(
            experiments__full={"sources": []},
            experiments__fuxi={"forecaster": cascade, "initial": "gfs"},
            experiments__full_gfs={"weights": "full", "initial": "gfs"},
            experiments__full_fuxi={"weights": "full", "forecaster": cascade, "sources": []},
            experiments__fuxi_full={"initial": "full", "forecaster": cascade},
        )
    )
    assert config.external_experiments == ["fuxi", "full_gfs", "full_fuxi", "fuxi_full"]
    assert config.cycled_experiments == ["full", "no_observations", "full_fuxi"]
    assert config.trained_experiments == ["full"]
    assert config.sources == []
    assert config.forecasting_experiments == ["full", *config.external_experiments]
    assert config.resolve("fuxi").forecaster.steps == 20
