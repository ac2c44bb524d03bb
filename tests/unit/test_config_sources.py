"""Sources as data, and which of them have an observation operator."""

from datetime import date

import pytest
import yaml

from fuxiflow.config import simulation, sources
from fuxiflow.observations import readers
from fuxiflow.observations.bufr_messages import BUFR_SATELLITES
from fuxiflow.operators.microwave import MicrowaveOperator
from tests.support.helpers import loaded_by


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "DIRECTORY", tmp_path)
    sources.load_source.cache_clear()
    yield tmp_path
    sources.load_source.cache_clear()


def test_atms():
    atms = sources.load_source("noaa20_atms")
    assert atms.name in sources.source_names()
    assert atms.channel_names == [str(i) for i in range(1, 23)]
    assert atms.window == (-3, 5)
    assert (atms.valid_ranges, atms.max_z) == ([(50, 350)] * 22, 6)
    assert [platform.name for platform in atms.flown] == atms.platform_names == ["NOAA-20"]
    assert atms.frame == "hourly"


@pytest.mark.parametrize("name", sources.source_names())
def test_every_file_is_valid(name):
    source = sources.load_source(name)
    assert len(set(source.channel_names)) == len(source.channels)
    assert source.window[0] < source.window[1]


def test_no_group_mixes_antenna_and_brightness_temperatures():
    quantities = {}
    for source in map(sources.load_source, sources.source_names()):
        antenna = any(name.startswith("antenna_") for name in source.channel_names)
        assert source.quantity == "antenna_temperature" or not antenna, source.name
        quantities.setdefault(source.group, set()).add(source.quantity == "antenna_temperature")
    assert all(len(kinds) == 1 for kinds in quantities.values())
    assert sources.load_source("noaa15_amsua_l1b").quantity == "antenna_temperature"


def test_files_of_antennas_are_there_where_a_folder_is_named(folder, tmp_path):
    text = (sources.ROOT / "config" / "sources" / "nnja_amsua.yaml").read_text()
    corrected = text.replace(
        "quantity: antenna_temperature",
        f"quantity: brightness_temperature\nantenna_patterns: {tmp_path}/patterns",
    )
    (folder / "corrected.yaml").write_text(corrected)
    source = sources.load_source("corrected")
    with pytest.raises(FileNotFoundError, match=r"patterns has no \*\.ACCoeff\.nc; bring"):
        list(source.pattern_files)
    (tmp_path / "patterns").mkdir()
    (tmp_path / "patterns" / "amsua_n18.ACCoeff.nc").touch()
    assert [path.name for path in source.pattern_files] == ["amsua_n18.ACCoeff.nc"]
    (folder / "odd.yaml").write_text(text + f"antenna_patterns: {tmp_path}\n")
    with pytest.raises(ValueError, match=r"quantity: antenna_temperature, allowed with antenna"):
        sources.load_source("odd")


def test_an_unknown_source_lists_the_known():
    with pytest.raises(KeyError, match=r"unknown source 'goes'; known: .*noaa20_atms"):
        sources.load_source("goes")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": "red"}, "colour"),
        ({"window": ["a", 5]}, "window.0"),
        ({"gridding": {"method": "median"}}, "gridding.method"),
        (
            {"channels": [{"name": "1", "frequency": "23.8", "polarisation": "QV", "noise": 0}]},
            "channels.0.noise",
        ),
        ({"channels": []}, "channels"),
        ({"channels": "all"}, "channels"),
        ({"channels": [{"name": "1", "frequency": "1"}] * 2}, "channels: 1 given more than once"),
        (
            {"channels": [{"name": "1"}], "quality": {"valid_min": 5}},
            "channels: 1 has no valid_min and valid_max",
        ),
        (
            {"channels": [{"name": "1"}], "quality": {"valid_min": 5, "valid_max": 2}},
            "channels: 1 has the valid range 5 ",
        ),
        (
            {"channels": {"prefix": "N", "heights": {"first": 1, "last": 2, "count": 1}}},
            "channels.count",
        ),
        ({"channels": {"prefix": "N", "heights": 5}}, "channels"),
        (
            {"channels": {"prefix": "N", "levels": 5}},
            "channels: the series 'N' needs a list of numbers as levels",
        ),
        (
            {"channels": {"prefix": "N", "unit": "K"}},
            "channels: the series 'N' needs either heights or levels",
        ),
        (
            {
                "channels": {
                    "prefix": "N",
                    "levels": [1000],
                    "frequency": "2",
                    "logarithmic": True,
                    "valid_min": 0,
                }
            },
            "channels: N1000 has the valid range 0 … 350, which has to be above 0",
        ),
        ({"platforms": []}, "platforms"),
        ({"platforms": "NOAA-20"}, "platforms"),
        ({"platforms": ["NOAA-20", "NOAA-20"]}, "platforms: NOAA-20 given more than once"),
        ({"window": [3, 3]}, r"window: \[3, 3\] has no hour"),
        ({"frame": "daily"}, "frame"),
        ({"quality": {"max_z": 0}}, "quality.max_z"),
    ],
)
def test_a_faulty_file_is_named_with_its_key(folder, change, words):
    values = yaml.safe_load((sources.ROOT / "config" / "sources" / "noaa20_atms.yaml").read_text())
    (folder / "odd.yaml").write_text(yaml.safe_dump(values | change))
    with pytest.raises(ValueError, match=f"odd.yaml: {words}"):
        sources.load_source("odd")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", "expected keys"),
        ("a: [", "while parsing"),
        ("a: 1\na: 2", "key 'a' stands here a second time"),
        ("", "expected keys"),
    ],
)
def test_a_file_of_something_else_is_named(folder, text, words):
    (folder / "odd.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"odd.yaml: {words}"):
        sources.load_source("odd")


def write(folder, **values):
    """A source of reports with the least that one needs."""
    least = {
        "long_name": "Odd",
        "group": "odd",
        "instrument": "odd",
        "platforms": ["here"],
        "reader": "odd",
        "file_pattern": "*",
    }
    (folder / "odd.yaml").write_text(yaml.safe_dump(least | values))
    return sources.load_source("odd")


def test_profiles_are_declared_as_series(folder):
    refractivity = {
        "prefix": "N",
        "heights": {"first": 100, "last": 51200, "count": 512},
        "unit": "N-unit",
        "valid_min": 0.001,
        "valid_max": 500,
        "logarithmic": True,
    }
    source = write(folder, channels=refractivity, frame="single")
    assert len(source.channels) == 512
    assert source.channel_names[:2] == ["N100", "N200"]
    assert source.channel_names[-1] == "N51200"
    assert source.channels[-1].height == 51200
    assert set(source.units) == {"N-unit"}
    assert source.logarithmic == [True] * 512
    assert (source.max_z, source.frame) == (4, "single")


def test_series_and_single_channels_mix(folder):
    source = write(
        folder,
        channels=[
            {"prefix": "T", "levels": [500, 850], "valid_min": 150, "valid_max": 350},
            {"name": "PS", "unit": "Pa", "valid_min": 40_000, "valid_max": 110_000},
        ],
    )
    assert source.channel_names == ["T500", "T850", "PS"]
    assert [channel.level for channel in source.channels] == [500, 850, None]
    assert source.valid_ranges == [(150, 350), (150, 350), (40_000, 110_000)]


def test_radiances_have_limits_by_default_and_channels_their_own(folder):
    source = write(
        folder,
        quality={"valid_max": 340},
        channels=[
            {"name": "1", "wavenumber": 669.8},
            {"name": "2", "frequency": "89.0", "valid_min": 100, "valid_max": 330},
        ],
    )
    assert source.valid_ranges == [(50, 340), (100, 330)]
    assert source.max_z == 6
    with pytest.raises(ValueError, match="source odd: channel 1 has no noise"):
        assert source.noise


def test_platforms_with_an_orbit_are_flown(folder):
    orbit = {
        "catalogue_number": 1,
        "inclination": 98.7,
        "ascending_node_hour": 13,
        "revolutions_per_day": 14,
    }
    source = write(
        folder,
        platforms=["A", {"name": "B", "orbit": orbit}],
        channels=[{"name": "1", "frequency": "1"}],
    )
    assert source.platform_names == ["A", "B"]
    assert [(platform.name, platform.orbit.inclination) for platform in source.flown] == [
        ("B", 98.7)
    ]


SOUNDERS = {
    "atms_bufr": 22,
    "atms_l1b": 22,
    "amsua": 15,
    "mhs": 5,
    "hirs4": 19,
    "ssmis": 24,
    "iasi": 38,
}


@pytest.mark.parametrize(("name", "count"), SOUNDERS.items())
def test_readers_know_channels_and_platforms(name, count):
    source = sources.load_source(name)
    assert len(source.channels) == len(source.noise) == count
    assert list(readers.read(source.reader, [], source.platform_names, source.channel_names)) == []
    assert set(source.platform_names) <= set(BUFR_SATELLITES.values())


def test_antenna_temperatures_are_no_brightness_temperatures():
    names = {
        name: set(sources.load_source(name).channel_names)
        for name in ("noaa20_atms", "atms_bufr", "atms_l1b")
    }
    assert names["noaa20_atms"] == names["atms_bufr"]
    assert not names["atms_l1b"] & names["atms_bufr"]


def test_what_can_be_computed_from_a_state_is_known():
    names = ("noaa20_atms", "ssmis", "iasi", "hirs4", "gnssro", "land_stations", "radiosondes")
    computable = {name: simulation.has_operator(sources.load_source(name)) for name in names}
    assert {name for name in names if not computable[name]} == {"iasi", "hirs4"}


def test_every_known_instrument_has_an_operator():
    for name in simulation.instruments_with_operator():
        assert MicrowaveOperator.for_instrument(name).channels


def test_planning_needs_no_torch():
    assert "torch" not in loaded_by("fuxiflow.config.simulation")


def test_sources_say_from_when_to_when_their_platforms_fly():
    fy3e = sources.load_source("fy3e_mwts3")
    month = (date(2022, 5, 1), date(2022, 5, 31))
    assert fy3e.days_flown(*month) is None
    assert fy3e.days_flown(date(2022, 5, 20), date(2022, 6, 3)) == (
        date(2022, 6, 1),
        date(2022, 6, 3),
    )
    # one of its platforms is enough
    assert sources.load_source("amsua").days_flown(*month) == month
    hirs = sources.load_source("hirs4")
    assert hirs.days_flown(date(2026, 1, 1), date(2026, 1, 31)) is None
    # an open end
    assert sources.load_source("land_stations").days_flown(*month) == month
    # what changes no result is in no parameter of a rule
    described = fy3e.described({"platforms", "reader"})
    assert set(described) == {"platforms", "reader"}
    assert set(described["platforms"][0]) == {"name", "orbit"}


def test_a_platform_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match="since 2022-01-02 until 2022-01-01, allowed: since bef"):
        sources.Platform(name="X", since=date(2022, 1, 2), until=date(2022, 1, 1))
