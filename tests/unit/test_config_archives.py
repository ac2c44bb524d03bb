"""Where the archives are."""

import pytest
import yaml

from fuxiflow.config import archives as settings
from fuxiflow.config import sources


def test_the_committed_file():
    archives = settings.load_archives()
    assert archives.gfs.url.startswith("https://")
    assert set(archives.sources) <= set(sources.source_names())
    assert archives.source("noaa20_atms").products == ["ATMS-SDR", "ATMS-SDR-GEO"]
    with pytest.raises(KeyError, match=r"no archive for source 'goes'.*known: noaa20_atms"):
        archives.source("goes")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"gfs": {"url": "ftp://x"}}, "gfs.url"),
        ({"gfs": {"url": "https://x/"}}, "gfs.url"),
        ({"era5": {"days_per_request": 0}}, "era5.days_per_request"),
        ({"sources": {"x": {"url": "https://x", "products": []}}}, "sources.x.products"),
        ({"more": 1}, "more"),
    ],
)
def test_faults_name_file_and_key(tmp_path, change, key):
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(settings.FILE.read_text()) | change))
    with pytest.raises(ValueError, match=rf"a\.yaml: {key}"):
        settings.load_archives(path)


def test_a_repeated_key_is_refused(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(settings.FILE.read_text() + "gfs: {}\n")
    with pytest.raises(ValueError, match=r"a\.yaml: key 'gfs' stands here a second time"):
        settings.load_archives(path)
