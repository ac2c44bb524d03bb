"""AMSU-A and MHS as BUFR: what is written is what the project's reader gives back."""

import numpy as np
import pytest

from fuxiflow.config import sources
from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.orbits import swath
from fuxiflow.world.writers import atovs_bufr
from fuxiflow.world.writers.granules import write_granule


def granule(source, platform, stride=(6, 5), hours=2):
    start = np.datetime64("2022-07-01T00:00", "ns")
    end = start + np.timedelta64(hours, "h")
    view = swath(platform.name, platform.orbit, source.instrument, start, end, *stride)
    rng = np.random.default_rng(0)
    return view, np.round(rng.uniform(150.0, 300.0, (*view.lat.shape, len(source.channels))), 2)


@pytest.mark.parametrize(
    ("name", "platform", "stride"),
    [("amsua", "NOAA-19", (6, 5)), ("amsua", "Metop-B", (30, 7)), ("mhs", "Metop-C", (20, 9))],
)
def test_the_reader_gives_back_what_is_written(name, platform, stride, tmp_path):
    source = sources.load_source(name)
    carrier = next(one for one in source.flown if one.name == platform)
    view, brightness = granule(source, carrier, stride)
    brightness[1, 1, 3] = np.nan
    write_granule(tmp_path, source, carrier, view, brightness, np.array(source.noise))
    paths, others = readers.find_files(tmp_path, source.file_pattern)
    assert (len(paths), others) == (1, [])
    granules = list(readers.read(source.reader, paths, source.platform_names, source.channel_names))
    assert all(part.footprints is not None for part in granules), granules
    result = granules[0].footprints
    assert len(granules) == 1
    assert set(result["platform"].to_pylist()) == {platform}
    assert not footprint_table.column_values(result, "rejected").any()
    np.testing.assert_allclose(
        footprint_table.values_of(result), brightness.reshape(-1, len(source.channels)), atol=0.006
    )
    for key in ("lat", "lon"):
        np.testing.assert_allclose(
            footprint_table.column_values(result, key), getattr(view, key).ravel(), atol=2e-5
        )
    np.testing.assert_allclose(
        footprint_table.column_values(result, "zenith"), view.zenith.ravel(), atol=0.006
    )
    assert (
        np.abs(footprint_table.column_values(result, "time") - view.time.ravel())
        <= np.timedelta64(1, "ms")
    ).all()
    positions = np.broadcast_to(view.field_of_view + 1, view.lat.shape).ravel()
    np.testing.assert_array_equal(footprint_table.column_values(result, "scan_position"), positions)


def test_the_same_granule_has_the_same_bytes_and_name(tmp_path):
    source = sources.load_source("mhs")
    view, brightness = granule(source, source.flown[0], (60, 30))
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    one, other = (
        atovs_bufr.write_atovs_granule(folder, view, brightness, "mhs", "NOAA-19")
        for folder in folders
    )
    assert one.name == other.name
    assert one.name.startswith("mhs_noaa19_20220701")
    assert one.read_bytes() == other.read_bytes()
    assert b"INMX01 FUXI" in one.read_bytes()


def test_other_instruments_platforms_and_shapes_are_refused(tmp_path):
    source = sources.load_source("mhs")
    view, brightness = granule(source, source.flown[0], (60, 30))
    with pytest.raises(KeyError, match="known: amsua, mhs"):
        atovs_bufr.write_atovs_granule(tmp_path, view, brightness, "hirs4", "NOAA-19")
    with pytest.raises(KeyError, match="Metop-B"):
        atovs_bufr.write_atovs_granule(tmp_path, view, brightness, "mhs", "Envisat")
    with pytest.raises(ValueError, match="fits no swath"):
        atovs_bufr.write_atovs_granule(tmp_path, view, brightness[:, :, :4], "mhs", "NOAA-19")
    other = source.model_copy(update={"reader": "aapp_l1c.mhs"})
    with pytest.raises(ValueError, match="nothing is written for reader aapp_l1c"):
        write_granule(tmp_path, other, source.flown[0], view, brightness, np.ones(5))
    assert list(tmp_path.iterdir()) == []


def test_satellites_of_one_plane_fly_apart():
    source = sources.load_source("mhs")
    paths = {
        one.name: swath(
            one.name,
            one.orbit,
            "mhs",
            np.datetime64("2022-01-01", "ns"),
            np.datetime64("2022-01-01T00:10", "ns"),
            30,
            45,
        )
        for one in source.flown
    }
    assert np.abs(paths["Metop-B"].lat - paths["Metop-C"].lat).max() > 20.0
