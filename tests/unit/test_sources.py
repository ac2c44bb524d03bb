"""Sources as data."""

import pytest
import yaml

from fuxiflow import sources


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "DIRECTORY", tmp_path)
    sources.load.cache_clear()
    yield tmp_path
    sources.load.cache_clear()


def test_atms():
    atms = sources.load("noaa20_atms")
    assert atms.name in sources.known()
    assert atms.channel_names == [str(i) for i in range(1, 23)]
    assert atms.window == (-3, 5)
    assert (atms.quality.valid_min, atms.quality.valid_max, atms.quality.max_z) == (50, 350, 6)


@pytest.mark.parametrize("name", sources.known())
def test_every_file_is_valid(name):
    source = sources.load(name)
    assert len(set(source.channel_names)) == len(source.channels)
    assert source.window[0] < source.window[1]


def test_an_unknown_source_lists_the_known():
    with pytest.raises(KeyError, match=r"unknown source 'goes'; known: .*noaa20_atms"):
        sources.load("goes")


@pytest.mark.parametrize(("change", "words"), [
    ({"colour": "red"}, "colour"),
    ({"window": ["a", 5]}, "window.0"),
    ({"gridding": {"method": "median"}}, "gridding.method"),
    ({"channels": [{"name": "1", "frequency": "23.8", "polarisation": "QV", "noise": 0}]}, "channels.0.noise"),
])
def test_a_faulty_file_is_named_with_its_key(folder, change, words):
    values = yaml.safe_load((sources.ROOT / "config" / "sources" / "noaa20_atms.yaml").read_text())
    (folder / "odd.yaml").write_text(yaml.safe_dump(values | change))
    with pytest.raises(ValueError, match=f"odd.yaml: {words}"):
        sources.load("odd")
