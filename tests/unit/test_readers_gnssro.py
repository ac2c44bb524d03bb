"""Radio occultations from CDAAC and ROM SAF NetCDF and from BUFR 3-10-026."""

import netCDF4
import numpy as np
import pytest

from fuxiflow.config import sources
from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.rejection_codes import Reason
from tests.support import report_files as files
from tests.support.helpers import realdata

PLATFORMS = ["COSMIC-1", "COSMIC-2", "Metop-B", "GRACE-A"]
CHANNELS = ["refractivity_0", "refractivity_2000", "refractivity_12345", "refractivity_50000"]
HEIGHTS = np.array([0.0, 2_000, 12_345, 50_000])
LEVELS = np.arange(1_000.0, 60_001, 500)
ATMPRF = "gnssro/atmPrf_C002.2007.274.03.02.G13_2007.3200_nc"


def read(paths, platforms=PLATFORMS, channels=CHANNELS):
    return list(readers.read("gnssro", paths, list(platforms), channels))


def only(*args, **kwargs):
    (granule,) = read(*args, **kwargs)
    return granule.footprints


def check(found, time, lat, lon, platform):
    """One profile of the exponential atmosphere, where and when it should be."""
    assert footprint_table.values_of(found)[0] == pytest.approx(
        [np.nan, *files.atmosphere(HEIGHTS[1:])], rel=1e-5, nan_ok=True
    )
    assert footprint_table.column_values(found, "time")[0] == np.datetime64(time)
    assert footprint_table.column_values(found, "lat")[0] == pytest.approx(lat, abs=0.006)
    assert footprint_table.column_values(found, "lon")[0] == pytest.approx(lon, abs=0.006)
    assert found["platform"].to_pylist() == [platform]
    assert footprint_table.column_values(found, "rejected").tolist() == [Reason.USED]


def test_cdaac(tmp_path):
    found = only([files.cdaac(tmp_path / "atmPrf_nc", LEVELS, files.atmosphere(LEVELS))])
    check(
        found, "2022-07-01T12:01:00", 10, 20, "COSMIC-2"
    )  # 18 leap seconds, 60 s to the occultation point
    assert footprint_table.column_values(found, "azimuth")[0] == 45


def test_the_name_tells_the_platform_where_the_file_does_not(tmp_path):
    path = tmp_path / "atmPrf_C003.2022.182.12.00.G07_2022.0001_nc"
    found = only([files.cdaac(path, LEVELS, files.atmosphere(LEVELS), fileStamp=None)])
    assert found["platform"].to_pylist() == ["COSMIC-1"]


def test_rom_saf(tmp_path):
    found = only([files.ropp(tmp_path / "x.nc", LEVELS, files.atmosphere(LEVELS))])
    check(found, "2022-07-01T12:00:30.250", -30, 170, "Metop-B")


def test_a_file_of_several_platforms(tmp_path):
    path = files.ropp(tmp_path / "x.nc", LEVELS, files.atmosphere(LEVELS), ["METB", "XXXX", "C001"])
    used, refused = sorted(read([path]), key=lambda granule: granule.reason)
    assert used.footprints["platform"].to_pylist() == ["Metop-B", "COSMIC-1"]
    assert (refused.reason, refused.count) == (Reason.PLATFORM, 1)
    assert refused.message.startswith("platform XXXX, expected COSMIC-1")


def message(height=LEVELS, refractivity=None, rays=0, **head):
    """Encode a BUFR occultation of Metop-B with levels of ``height``.

    The template has RMS errors beside them.
    """
    refractivity = files.atmosphere(height) if refractivity is None else refractivity
    subset = (
        files.TIME
        | {
            "second": 10.0,
            "satelliteIdentifier": 3,
            "timeIncrement": 20.0,
            "latitude": 60.0,
            "longitude": -5.0,
            "bearingOrAzimuth": 33.0,
            "earthLocalRadiusOfCurvature": 6_370_000.0,
            "geoidUndulation": 0.0,
            "radioOccultationDataQualityFlags": 0,
        }
        | head
    )
    for i, (z, value) in enumerate(zip(height, refractivity, strict=True)):
        subset |= {
            f"#{i + 1}#height": z,
            f"#{2 * i + 1}#atmosphericRefractivity": value,
            f"#{4 * rays + 2 * i + 1}#firstOrderStatistics": 13,
            f"#{2 * i + 2}#atmosphericRefractivity": 0.5,
        }
    return subset, {
        "extendedDelayedDescriptorReplicationFactor": [rays, len(height), 0],
        "delayedDescriptorReplicationFactor": [1] * rays,
    }


def bufr(path, *subsets, replications, compressed=False):
    path.write_bytes(files.bufr(files.OCCULTATION, subsets, 3, compressed, replications))
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_bufr(tmp_path, compressed):
    height = np.arange(1_000.0, 60_001, 1_000)
    subset, replications = message(height, np.round(files.atmosphere(height), 3))
    other = subset | {"satelliteIdentifier": 999}
    path = bufr(
        tmp_path / "x.bufr", subset, other, replications=replications, compressed=compressed
    )
    used, refused = sorted(read([path]), key=lambda granule: granule.reason)
    found = used.footprints
    assert footprint_table.values_of(found)[0, 1:] == pytest.approx(
        files.atmosphere(HEIGHTS[1:]), abs=2e-3
    )
    assert footprint_table.column_values(found, "time")[0] == np.datetime64("2022-07-01T12:00:30")
    assert (
        footprint_table.column_values(found, "lat")[0],
        footprint_table.column_values(found, "azimuth")[0],
    ) == pytest.approx((60, 33), abs=0.01)
    assert refused.message.startswith("platform satellite 999, expected")


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (0, Reason.USED),
        (1 << 13, Reason.USED),
        (1 << 15, Reason.QUALITY),
        (1 << 10, Reason.QUALITY),
    ],
)
def test_quality_flags(tmp_path, flags, reason):
    height = np.arange(1_000.0, 20_001, 1_000)
    subset, replications = message(height, radioOccultationDataQualityFlags=flags)
    found = only([bufr(tmp_path / "x.bufr", subset, replications=replications)])
    assert footprint_table.column_values(found, "rejected").tolist() == [reason]
    bit = {0: 0, 1 << 13: 1 << 2, 1 << 15: 1, 1 << 10: 1 << 5}[
        flags
    ]  # ROPP counts from the other end
    found = only([files.ropp(tmp_path / "x.nc", height, files.atmosphere(height), pcd=bit)])
    assert footprint_table.column_values(found, "rejected").tolist() == [reason]


def test_bad_profiles_of_cdaac_are_coded(tmp_path):
    found = only(
        [
            files.cdaac(
                tmp_path / "x_nc", LEVELS, files.atmosphere(LEVELS), bad="1", errstr="climatology"
            )
        ]
    )
    assert footprint_table.column_values(found, "rejected").tolist() == [Reason.QUALITY]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"hour": 14}, Reason.TIME),
        ({"month": 77, "start_time": None}, Reason.TIME),
        ({"lat": 60.0}, Reason.LOCATION),
        ({"start_time": None}, Reason.USED),
        ({"year": None}, Reason.USED),
    ],
)
def test_clocks_and_places_have_to_agree(tmp_path, attributes, reason):
    found = only([files.cdaac(tmp_path / "x_nc", LEVELS, files.atmosphere(LEVELS), **attributes)])
    assert footprint_table.column_values(found, "rejected").tolist() == [reason]


def test_all_missing_profiles_are_counted(tmp_path):
    found = only([files.cdaac(tmp_path / "x_nc", LEVELS, np.full(len(LEVELS), np.nan))])
    assert footprint_table.column_values(found, "rejected").tolist() == [Reason.MISSING]


def test_what_is_no_occultation(tmp_path):
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        file.createDimension("x", 2)
    (tmp_path / "b.nc").write_bytes(b"CDF\1" + b"\xff" * 100)
    (tmp_path / "c.nc").write_bytes(b"")
    path = files.cdaac(tmp_path / "d_nc", LEVELS, files.atmosphere(LEVELS))
    with netCDF4.Dataset(path, "a") as file:
        file["MSL_alt"].units = "feet"
    found = read([tmp_path / "a.nc", tmp_path / "b.nc", tmp_path / "c.nc", path])
    assert [granule.reason for granule in found] == [
        Reason.UNREADABLE,
        Reason.UNREADABLE,
        Reason.EMPTY,
        Reason.UNREADABLE,
    ]
    assert "no refractivity by height" in found[0].message
    assert "MSL_alt in 'feet', expected 'km' or 'm'" in found[3].message


@pytest.mark.parametrize(
    "name", ["refractivity_", "refractivity_098", "refractivity_60001", "N_100", "1"]
)
def test_unknown_channels(name):
    with pytest.raises(
        ValueError,
        match="known: refractivity_ and a height in m, refractivity_0 to refractivity_6000",
    ):
        read([], channels=[name])


def test_a_real_profile_on_the_heights_of_the_source():
    path, channels = realdata(ATMPRF), sources.load_source("gnssro").channel_names
    found = only([path], channels=channels)
    heights = np.array([int(name.split("_")[1]) for name in channels])
    with netCDF4.Dataset(path) as file:
        height, refractivity = (
            np.ma.filled(file[name][:].astype(float), np.nan) for name in ("MSL_alt", "Ref")
        )
        nearest = np.nanargmin(np.abs(height - 10))
        expected = [float(file[name][nearest]) for name in ("Lat", "Lon")]
    order = np.argsort(height)
    theirs = np.exp(
        np.interp(heights, 1000 * height[order], np.log(refractivity[order]), np.nan, np.nan)
    )
    np.testing.assert_allclose(footprint_table.values_of(found)[0], theirs, rtol=1e-5)
    assert np.isfinite(theirs).sum() == 498
    assert [
        footprint_table.column_values(found, name)[0] for name in ("lat", "lon")
    ] == pytest.approx(expected)
    assert footprint_table.column_values(found, "time")[0] == np.datetime64(
        "2007-10-01T03:03:22.141307"
    )


def test_a_real_message_without_refractivity_gets_that_of_its_bending_angles():
    """A GRACE message as ECMWF keeps it: bending angles from 6 to 38 km.

    Below 25 km it resembles the tropics.
    """
    channels = [
        f"refractivity_{height}" for height in (5_000, 8_000, 12_000, 16_000, 20_000, 30_000)
    ]
    found = only([realdata("bufr/rado_250.bufr")], channels=channels)
    values = footprint_table.values_of(found)[0]
    assert np.isnan(values[[0, -1]]).all()
    assert values[1:5] == pytest.approx([115, 70, 41.5, 20.5], rel=0.15)
    assert found["platform"].to_pylist() == ["GRACE-A"]
    assert footprint_table.column_values(found, "time")[0] == np.datetime64("2012-10-31T00:20:45")


@pytest.mark.slow
def test_flipped_bits_cost_what_they_hit(tmp_path):
    """200 flips and cuts of a real profile and of a real message.

    Positions, times and refractivity stay possible.
    """
    paths = files.spoiled(tmp_path, [realdata(ATMPRF)], 200)
    paths += files.spoiled(tmp_path, [realdata("bufr/rado_250.bufr")], 200)
    # and the part of the NetCDF file that is no data, which few flips anywhere would hit
    data = realdata(ATMPRF).read_bytes()
    generator = np.random.default_rng(2)
    for i in range(100):
        copy = bytearray(data)
        copy[generator.integers(4, 6_000)] ^= 1 << generator.integers(8)
        paths.append(tmp_path / f"head{i:03d}_nc")
        paths[-1].write_bytes(bytes(copy))
    found = read(paths)
    assert set(files.accounted(found)) == {path.name for path in paths}
    rows = files.used(found)
    assert len(rows) > 150
    assert rows["lat"].between(-90, 90).all()
    assert rows["lon"].between(-180, 180).all()
    assert rows["time"].dt.year.isin([2007, 2012]).all()
    values = rows[[f"channel_{name}" for name in CHANNELS]].to_numpy()
    assert ((values > 0) & (values <= 500) | np.isnan(values)).all()
