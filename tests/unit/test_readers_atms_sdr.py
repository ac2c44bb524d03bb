"""Readers: values and times of ATMS files, and what becomes of damaged, lone and foreign ones."""

import h5py
import numpy as np
import pytest

from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.readers.bufr_instruments import INSTRUMENTS
from fuxiflow.observations.readers.granule import granule_of_file
from fuxiflow.observations.rejection_codes import Reason
from tests.support.atms_sdr_files import POSITIONS, SCALE, swath, write_pair
from tests.support.helpers import realdata

CHANNELS = [str(i) for i in range(1, 23)]


def read(files, *platforms, channels=CHANNELS):
    return list(readers.read("atms_sdr", files, platforms or ["NOAA-20"], channels))


def only(files, *platforms, **kwargs):
    (granule,) = read(files, *platforms, **kwargs)
    return granule


def codes(granule):
    return footprint_table.column_values(granule.footprints, "rejected").tolist()


def test_values_times_and_positions_come_back(tmp_path):
    data = swath("2022-07-01T10:00:00")
    granule = only(write_pair(tmp_path, data))
    found = granule.footprints
    assert granule.file.startswith("SATMS_j01_d20220701_t1000000")
    assert len(found) == granule.count == 5 * POSITIONS
    assert (
        np.abs(footprint_table.values_of(found) - data["temperature"].reshape(-1, 22)).max()
        <= SCALE / 2 + 1e-4
    )
    for name in ("lat", "lon", "zenith", "azimuth"):
        assert np.array_equal(footprint_table.column_values(found, name), data[name].ravel())
    times = np.array(["2022-07-01T10:00:00", "2022-07-01T10:00:00.018"], "datetime64[ns]")
    assert np.array_equal(footprint_table.column_values(found, "time")[:2], times)
    assert footprint_table.column_values(found, "scan_position").tolist() == [1, 2, 3, 4] * 5
    assert set(found["platform"].to_pylist()) == {"NOAA-20"}
    assert codes(granule) == [0] * 20


def test_chosen_channels_keep_their_order(tmp_path):
    data = swath("2022-07-01T10:00:00")
    found = only(write_pair(tmp_path, data), channels=["22", "1"]).footprints
    assert footprint_table.channels_of(found) == ["22", "1"]
    assert footprint_table.values_of(found)[0] == pytest.approx(
        data["temperature"][0, 0, [21, 0]], abs=0.004
    )


def test_fill_values_become_missing_and_are_coded(tmp_path):
    data = swath("2022-07-01T10:00:00", positions=16)
    data["temperature"][0, 0] = np.nan
    data["temperature"][0, 1, 4] = np.nan
    data["lat"][1, 4] = np.nan
    data["lon"][1, 5] = 400
    data["zenith"][1, 6] = np.nan
    granule = only(write_pair(tmp_path, data))
    assert codes(granule)[:24] == [Reason.MISSING, *[0] * 19, *[Reason.LOCATION] * 3, 0]
    values = footprint_table.values_of(granule.footprints)
    assert np.isnan(values[0]).all()
    assert np.isnan(values[1]).tolist() == [i == 4 for i in range(22)]
    assert np.isnan(footprint_table.column_values(granule.footprints, "lat")[20])


def test_first_scans_with_zero_coordinates_have_no_place(tmp_path):
    data = swath("2022-07-01T10:00:00", positions=16)
    data["lat"] -= data["lat"][3, 0]
    assert (data["lat"][3] == 0).all()  # the equator is a place
    data["lat"][:2] = data["lon"][:2] = 0.0
    granule = only(write_pair(tmp_path, data))
    assert codes(granule) == [Reason.LOCATION] * 32 + [0] * 48
    assert np.isnan(footprint_table.column_values(granule.footprints, "lat")[:32]).all()


def test_an_all_missing_swath_is_counted(tmp_path):
    data = swath("2022-07-01T10:00:00")
    data["temperature"][:] = np.nan
    assert codes(only(write_pair(tmp_path, data))) == [Reason.MISSING] * 20


def test_times_outside_the_nominal_period_are_coded(tmp_path):
    data = swath("2022-07-01T10:00:00")
    satms, gatmo = write_pair(tmp_path, data)
    with h5py.File(satms, "r+") as file:
        beams = file["All_Data/ATMS-SDR_All/BeamTime"]
        beams[0, 0] = -993
        beams[0, 1] += 86_400_000_000
    granule = only([satms, gatmo])
    assert codes(granule)[:3] == [Reason.TIME, Reason.TIME, 0]
    assert np.isnat(footprint_table.column_values(granule.footprints, "time")[:2]).all()


def test_aggregates_use_the_factors_of_each_granule(tmp_path):
    satms, gatmo = write_pair(tmp_path, swath("2022-07-01T10:00:00", scans=5), granules=2)
    with h5py.File(satms, "r+") as file:
        group = file["All_Data/ATMS-SDR_All"]
        group["BrightnessTemperature"][:] = 20000
        group["BrightnessTemperatureFactors"][:] = [0.01, 0, 0.005, 150]
    values = footprint_table.values_of(only([satms, gatmo]).footprints)[:, 0].reshape(5, POSITIONS)
    assert values[:, 0].tolist() == pytest.approx([200, 200, 200, 250, 250], abs=1e-3)


def test_longitudes_are_brought_to_one_convention(tmp_path):
    data = swath("2022-07-01T10:00:00")
    data["lon"] += 170  # to beyond 180
    found = only(write_pair(tmp_path, data)).footprints
    lon = footprint_table.column_values(found, "lon")
    assert lon == pytest.approx((data["lon"].ravel() + 180.0) % 360 - 180, abs=1e-4)
    assert (lon[:4] < 0).tolist() == [False, False, True, True]


def test_granules_come_in_time_order(tmp_path):
    files = [
        path
        for hour in (12, 3, 7)
        for path in write_pair(tmp_path, swath(f"2022-07-01T{hour:02d}:00:00"))
    ]
    assert [granule.file[20:27] for granule in read(files)] == ["t030000", "t070000", "t120000"]


@pytest.mark.parametrize("lone", [0, 1])
def test_a_file_without_its_partner_is_named(tmp_path, lone):
    granule = only([write_pair(tmp_path, swath("2022-07-01T10:00:00"))[lone]])
    assert granule.reason == Reason.PARTNER
    assert granule.file.startswith(("SATMS", "GATMO")[lone])
    assert granule.count == (20, 0)[lone]
    assert ("GATMO is absent", "SATMS is absent")[lone] in granule.message


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b""), Reason.EMPTY),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), Reason.UNREADABLE),
        (lambda path: path.write_bytes(b"not HDF5 at all"), Reason.UNREADABLE),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_damaged_files_are_named_with_their_partner(tmp_path, spoil, reason, which):
    pair = write_pair(tmp_path, swath("2022-07-01T10:00:00"))
    spoil(pair[which])
    found = {granule.file: granule.reason for granule in read(pair)}
    assert found == {pair[which].name: reason, pair[1 - which].name: Reason.PARTNER}


def test_a_missing_data_set_is_named(tmp_path):
    satms, gatmo = write_pair(tmp_path, swath("2022-07-01T10:00:00"))
    with h5py.File(satms, "r+") as file:
        del file["All_Data/ATMS-SDR_All/BeamTime"]
    granule = only([satms, gatmo])
    assert (granule.reason, granule.count) == (Reason.UNREADABLE, 20)
    assert "BeamTime" in granule.message


def test_another_platform_is_refused(tmp_path):
    found = read(write_pair(tmp_path, swath("2022-07-01T10:00:00"), platform="J02"))
    assert {granule.reason for granule in found} == {Reason.PLATFORM}
    assert "NOAA-21, expected NOAA-20" in found[0].message


def test_a_pair_that_does_not_fit_is_refused(tmp_path):
    satms, gatmo = write_pair(tmp_path, swath("2022-07-01T10:00:00"))
    with h5py.File(gatmo, "r+") as file:
        group = file["All_Data/ATMS-SDR-GEO_All"]
        latitude = group["Latitude"][:3]
        del group["Latitude"]
        group["Latitude"] = latitude
    granule = only([satms, gatmo])
    assert (granule.reason, granule.count) == (Reason.MISMATCH, 20)


def test_the_latest_version_is_used(tmp_path):
    old = write_pair(tmp_path, swath("2022-07-01T10:00:00", seed=1))
    new = write_pair(tmp_path, swath("2022-07-01T10:00:00", seed=2), created="20230102000000000000")
    *superseded, used = read([*new, *old])
    assert sorted((g.file, g.reason) for g in superseded) == sorted(
        (path.name, Reason.SUPERSEDED) for path in old
    )
    assert used.file == new[0].name


def test_antenna_temperatures_are_not_brightness_temperatures(tmp_path):
    granule = only(
        [
            tmp_path
            / "TATMS_j01_d20220701_t1000000_e1000106_b00001_c20230101000000000000_test_dev.h5"
        ]
    )
    assert granule.reason == Reason.NAME


def test_unknown_readers_and_channels_list_the_known():
    for name in ("mhs_l1c", "granule", "atms_sdr.read", "atms_sdr._granule", "", "../atms_sdr"):
        with pytest.raises(KeyError, match=r"known: .*atms_sdr"):
            readers.read(name, [], ["NOAA-20"], ["1"])
    with pytest.raises(ValueError, match="no channel 23; known: 1, 2"):
        read([], channels=["23"])


def test_modules_declare_their_variants():
    assert {
        name.partition(".")[2]
        for name in readers.reader_names()
        if name.startswith("bufr_sounder.")
    } == set(INSTRUMENTS)
    assert {"atms_sdr", "atms_l1b", "surface.land", "noaa_klm.amsua", "fy3_hdf5.mwhs2"} <= set(
        readers.reader_names()
    )
    assert not {"granule", "reports", "surface", "bufr_sounder", "aapp_l1c"} & set(
        readers.reader_names()
    )


def test_a_refused_file_is_a_granule_with_its_reason():
    def fails():
        raise OSError("damaged")

    granule = granule_of_file("a.hdf", None, fails)
    assert (granule.reason.label, granule.message, granule.count) == (
        "unreadable",
        "OSError: damaged",
        0,
    )


def test_find_separates_files_by_name(tmp_path):
    (tmp_path / "20220701").mkdir()
    names = [
        "20220701/SATMS_j01_1.h5",
        "GATMO_j01_1.h5",
        "SATMS_npp_1.h5",
        ".hidden",
    ]
    for name in names:
        (tmp_path / name).touch()
    matching, others = readers.find_files(tmp_path, "{SATMS,GATMO}_j01_*.h5")
    assert [path.name for path in matching] == ["SATMS_j01_1.h5", "GATMO_j01_1.h5"]
    assert [path.name for path in others] == ["SATMS_npp_1.h5"]
    with pytest.raises(FileNotFoundError, match="outage"):
        readers.find_files(tmp_path / "absent", "*")


def real_pair():
    stem = "npp_d20181022_t0022213_e0022529_b36187_c20181022014936"
    return [
        realdata(f"atms_sdr/SATMS_{stem}019618_noac_ops.h5"),
        realdata(f"atms_sdr/GATMO_{stem}013060_noac_ops.h5"),
    ]


@pytest.mark.parametrize("platform", ["S-NPP", "Suomi-NPP"])
def test_a_real_granule(platform):
    granule = only(real_pair(), platform)
    found = granule.footprints
    assert len(found) == 12 * 96
    assert codes(granule) == [0] * len(found)
    time = footprint_table.column_values(found, "time")
    assert time[0] == np.datetime64("2018-10-22T00:22:21.351404")
    assert (
        np.datetime64("2018-10-22T00:22:52")
        < time[-1]
        < np.datetime64("2018-10-22T00:22:52.973015")
    )
    values = footprint_table.values_of(found)
    assert (values.min(), values.max()) == pytest.approx((207.9, 285.3), abs=0.1)
    assert footprint_table.column_values(found, "zenith").max() == pytest.approx(64.1, abs=0.05)
    assert set(found["platform"].to_pylist()) == {platform}


def test_a_real_granule_equals_a_satpy_scene():
    from satpy import Scene

    pair = real_pair()
    scene = Scene(list(map(str, pair)), reader="atms_sdr_hdf5")
    scene.load([*CHANNELS, "lat", "lon", "sat_zen"])
    found = only(pair, "S-NPP").footprints
    values = footprint_table.values_of(found)
    for i, name in enumerate(CHANNELS):
        assert np.array_equal(values[:, i], scene[name].values.ravel())
    for name, theirs in {"lat": "lat", "lon": "lon", "zenith": "sat_zen"}.items():
        assert np.array_equal(
            footprint_table.column_values(found, name), scene[theirs].values.ravel()
        )
    assert (
        scene.start_time
        == footprint_table.column_values(found, "time")[0].astype("datetime64[us]").item()
    )
