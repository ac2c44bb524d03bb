"""FY-3E level 1 of the embedded world: what is written is what the reader and h5py find."""

import h5py
import numpy as np
import pytest

from fuxiflow.observations import footprint_table, readers
from fuxiflow.world.writers import fy3_hdf5
from tests.support.level1_files import orbit, temperatures


@pytest.mark.parametrize(
    ("instrument", "reader", "name"),
    [
        ("mwts3", "fy3_hdf5.mwts3", "FY3E_MWTS-_ORBA_L1_20220701_1022_033KM_V0.HDF"),
        ("mwhs2", "fy3_hdf5.mwhs2", "FY3E_MWHS-_ORBA_L1_20220701_1022_015KM_V0.HDF"),
    ],
)
@pytest.mark.parametrize(("columns", "stride"), [(slice(None), 1), (slice(3, None, 8), 6)])
def test_a_granule_comes_back(tmp_path, instrument, reader, name, columns, stride):
    view = orbit(minutes=2, columns=columns, stride=stride)
    channels = fy3_hdf5.INSTRUMENTS[instrument][3]
    values = temperatures(view, channels)
    values[0, 0] = np.nan
    values[1, 1, 2] = np.nan
    path = fy3_hdf5.write_fy3_granule(tmp_path, view, values, instrument, "FY-3E")
    assert path.name in (name, name.replace("ORBA", "ORBD"))
    (granule,) = readers.read(reader, [path], ["FY-3E"], [str(i + 1) for i in range(channels)])
    result = granule.footprints
    assert np.flatnonzero(footprint_table.column_values(result, "rejected")).tolist() == [0]
    ours = footprint_table.values_of(result).reshape(values.shape)
    assert np.array_equal(np.isnan(ours), np.isnan(values))
    assert np.nanmax(np.abs(ours - values)) < 0.0051
    for column, theirs in {"lat": view.lat, "lon": view.lon, "zenith": view.zenith}.items():
        assert np.abs(footprint_table.column_values(result, column) - theirs.ravel()).max() < 0.0051
    azimuth = footprint_table.column_values(result, "azimuth") - view.azimuth.ravel()
    assert np.abs((azimuth + 180) % 360 - 180).max() < 0.0051
    times = footprint_table.column_values(result, "time").reshape(view.lat.shape)
    assert (np.abs(times - view.time[:, :1]) <= np.timedelta64(500, "us")).all()


def test_layout_by_h5py(tmp_path):
    view = orbit()
    path = fy3_hdf5.write_fy3_granule(tmp_path, view, temperatures(view, 15), "mwhs2", "FY-3E")
    with h5py.File(path) as file:
        assert file["Data/Earth_Obs_BT"].shape == (15, *view.lat.shape)
        assert file["Data/Earth_Obs_BT"].attrs["Slope"][0] == np.float32(0.01)
        assert file.attrs["Satellite Name"] == b"FY-3E"
        assert file.attrs["Observing Beginning Date"] == b"2022-07-01"
        assert (
            file["Geolocation/Scnlin_daycnt"][0] == 8216
        )  # 2022-06-30 12 UTC, days from 2000-01-01 12 UTC
        assert file["Geolocation/Scnlin_mscnt"][0] == pytest.approx(
            (22 * 60 + 22) * 60_000, abs=2667
        )
        assert file.attrs["provenance"]


def test_the_same_granule_is_the_same_file(tmp_path):
    view = orbit()
    first, second = (
        fy3_hdf5.write_fy3_granule(
            tmp_path, view, temperatures(view, 17), "mwts3", "FY-3E"
        ).read_bytes()
        for _ in range(2)
    )
    assert first == second


def test_days_and_milliseconds_carry():
    days, milliseconds = fy3_hdf5.day_and_milliseconds(
        np.array(["2022-07-01T11:59:59.9996", "2022-07-01T12:00:00"], "datetime64[ns]")
    )
    assert days.tolist() == [8217, 8217]
    assert milliseconds.tolist() == [0, 0]


def test_what_cannot_be_written_is_said(tmp_path):
    view = orbit()
    with pytest.raises(KeyError, match="known: mwts3, mwhs2"):
        fy3_hdf5.write_fy3_granule(tmp_path, view, temperatures(view, 17), "atms", "FY-3E")
    with pytest.raises(KeyError, match="known: FY-3E, FY-3F"):
        fy3_hdf5.write_fy3_granule(tmp_path, view, temperatures(view, 17), "mwts3", "NOAA-20")
    with pytest.raises(ValueError, match="of 17 channels"):
        fy3_hdf5.write_fy3_granule(tmp_path, view, temperatures(view, 15), "mwts3", "FY-3E")
