"""The sounders' sources: their readers know their channels."""

import pytest

from fuxiflow.config import sources
from fuxiflow.observations import readers
from fuxiflow.observations.bufr_messages import BUFR_SATELLITES

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
