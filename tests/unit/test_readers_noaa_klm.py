"""AMSU-A level 1b: values against a decoding by struct, calibration, flags, damage."""

import struct

import numpy as np
import pytest

from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.readers import noaa_klm
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.physics import great_circle
from tests.support.helpers import realdata
from tests.support.level1_files import mutations

NAME = "NSS.AMAX.NK.D11171.S1811.E1941.B6812425.WI"
RECORD = 2560
DEAD = {10, 13}  # channels 11 and 14 of NOAA-15


def read(files, platforms=("NOAA-15",), channels=noaa_klm.CHANNELS):
    return list(readers.read("noaa_klm.amsua", files, platforms, channels))


def codes(granule):
    return footprint_table.column_values(granule.footprints, "rejected")


@pytest.fixture(scope="module")
def content():
    return realdata(f"noaa_klm/{NAME}").read_bytes()


@pytest.fixture
def altered(tmp_path, content):
    """A function that writes the first ``scans`` scans and reads them.

    They are changed by a function of a bytearray.
    """

    def write(change=lambda data: None, scans=40, platforms=("NOAA-15",)):
        data = bytearray(content[: RECORD * (scans + 1)])
        change(data)
        (tmp_path / NAME).write_bytes(data)
        return read([tmp_path / NAME], platforms)

    return write


def put(kind, scan, octet, *values):
    """A change that writes ``values`` at an octet (from 1) of a scan's record (from 1)."""
    return lambda data: struct.pack_into(">" + kind, data, RECORD * scan + octet - 1, *values)


def by_hand(content, scan, position, channel):
    """An antenna temperature in K as the guide computes it, one number after the other."""
    start = RECORD * scan
    if channel <= 2:
        octet = 2193 + 8 * (position - 1) + 4 + 2 * (channel - 1)
    else:
        octet = 905 + 34 * (position - 1) + 8 + 2 * (channel - 3)
    (count,) = struct.unpack_from(">H", content, start + octet - 1)
    a2, a1, a0 = struct.unpack_from(">3i", content, start + 81 + 12 * (channel - 1) - 1)
    wavenumber, b, c = (
        value * 1e-6 for value in struct.unpack_from(">3i", content, 689 + 12 * (channel - 1) - 1)
    )
    radiance = a0 * 1e-9 + a1 * 1e-13 * count + a2 * 1e-19 * count**2
    return (1.4387769 * wavenumber / np.log(1 + 1.191043e-5 * wavenumber**3 / radiance) - b) / c


def test_a_real_orbit_against_struct(content):
    (granule,) = read([realdata(f"noaa_klm/{NAME}")])
    found = granule.footprints
    assert len(found) == granule.count == 673 * 30
    assert not codes(granule).any()
    values = footprint_table.values_of(found).reshape(673, 30, 15)
    for scan, position, channel in [
        (1, 1, 1),
        (1, 30, 2),
        (77, 5, 3),
        (300, 15, 5),
        (301, 16, 8),
        (500, 29, 9),
        (640, 2, 12),
        (673, 30, 15),
    ]:
        assert values[scan - 1, position - 1, channel - 1] == pytest.approx(
            by_hand(content, scan, position, channel), abs=2e-3
        )
    for i in range(15):
        assert np.isnan(values[..., i]).all() == (i in DEAD)
    for scan, position in [(1, 1), (345, 16), (673, 30)]:
        lat, lon = struct.unpack_from(">2i", content, RECORD * scan + 652 + 8 * (position - 1))
        zenith = struct.unpack_from(">3h", content, RECORD * scan + 472 + 6 * (position - 1))[1]
        row = (scan - 1) * 30 + position - 1
        assert footprint_table.column_values(found, "lat")[row] == pytest.approx(
            lat * 1e-4, abs=1e-5
        )
        assert footprint_table.column_values(found, "lon")[row] == pytest.approx(
            lon * 1e-4, abs=2e-5
        )
        assert footprint_table.column_values(found, "zenith")[row] == pytest.approx(
            zenith * 1e-2, abs=1e-4
        )
        assert footprint_table.column_values(found, "scan_position")[row] == position
    times = footprint_table.column_values(found, "time")
    assert times[0] == np.datetime64("2011-06-20T18:11:40.920")
    assert times[-1] == np.datetime64("2011-06-20T19:41:16.920")
    assert set(found["platform"].to_pylist()) == {"NOAA-15"}


def test_the_calibration_gives_its_own_loads_their_temperatures():
    """Channels that look at one warm load agree on its temperature to 0.2 K.

    All see space at 3-5 K.
    """
    orbit = noaa_klm.read_level1b(realdata(f"noaa_klm/{NAME}"))
    planck, coefficients = (
        orbit.header["planck"] * 1e-6,
        orbit.scans["coefficients"] * noaa_klm.SCALES,
    )
    alive = [i for i in range(15) if i not in DEAD]
    warm, space = (
        np.median(
            noaa_klm.antenna_temperature(coefficients, noaa_klm._samples(orbit, view), planck)[
                ..., alive
            ],
            axis=(0, 1),
        )
        for view in ("warm", "space")
    )
    for load in ([1, 2], [3, 4, 5, 8], [6, 7, 9, 10, 12, 13, 15]):
        assert np.ptp(warm[[alive.index(channel - 1) for channel in load]]) < 0.2
    assert ((warm > 290) & (warm < 305)).all()
    assert ((space > 2.7) & (space < 5)).all()


def test_a_real_orbit_is_plausible_by_channel_and_latitude():
    found = read([realdata(f"noaa_klm/{NAME}")])[0].footprints
    values, lat = footprint_table.values_of(found), footprint_table.column_values(found, "lat")
    mean = values[np.abs(lat) < 20].mean(axis=0)
    assert 262 < mean[3] < 268  # 52.8 GHz: lower troposphere
    assert 252 < mean[4] < 258
    assert 203 < mean[8] < 210  # 57.29 GHz: the tropical tropopause
    assert mean[4] > mean[5] > mean[6] > mean[7] > mean[8]
    winter, summer = values[lat < -60].mean(axis=0), values[lat > 60].mean(axis=0)
    assert summer[8] - winter[8] > 25  # June: the polar vortex of the southern winter
    assert mean[5] > winter[5] + 15


def test_against_real_brightness_temperatures_of_another_amsua():
    """Medians about 50 degrees of a BUFR sample of Metop-A and of this orbit.

    One is of October and the north, the other of June and the south: they differ by season and
    noise, but a wrong scale or channel order would show in tens of kelvins.
    """
    eccodes = pytest.importorskip("eccodes")
    with realdata("bufr/amsa_55.bufr").open("rb") as file:
        message = eccodes.codes_bufr_new_from_file(file)
        eccodes.codes_set(message, "unpack", 1)
        theirs = [
            np.median(eccodes.codes_get_array(message, f"#{i}#brightnessTemperature"))
            for i in range(1, 16)
        ]
        eccodes.codes_release(message)
    found = read([realdata(f"noaa_klm/{NAME}")])[0].footprints
    lat = footprint_table.column_values(found, "lat")
    ours = np.median(footprint_table.values_of(found)[(lat > -55) & (lat < -47)], axis=0)
    for i in (4, 5, 7, 8, 9, 11, 12):
        assert abs(ours[i] - theirs[i]) < 15, f"channel {i + 1}"


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (1 << 31, Reason.QUALITY),
        (0b0001, Reason.QUALITY),
        (1 << 30, Reason.TIME),
        (1 << 28, Reason.MISSING),
        (1 << 27, Reason.LOCATION),
        (1 << 29, Reason.USED),
    ],
)
def test_quality_flags_of_a_scan(altered, quality, reason):
    (granule,) = altered(put("I", 20, 25, quality))
    found = codes(granule).reshape(40, 30)
    assert (found[19] == reason).all()
    assert not np.delete(found, 19, axis=0).any()


@pytest.mark.parametrize(
    ("flag", "used"),
    [(1 << 8, False), (1 << 5, False), (1 << 7, False), (1 << 7 | 1 << 6, True), (0b111, True)],
)
def test_quality_flags_of_a_channel(altered, flag, used):
    (granule,) = altered(put("H", 20, 33 + 2 * 4, flag))
    values = footprint_table.values_of(granule.footprints).reshape(40, 30, 15)
    assert np.isfinite(values[19, :, 4]).all() == used
    assert np.isfinite(values[18:21, :, 3]).all()


def test_coefficients_that_fail_on_the_warm_load_are_not_used(altered, content):
    (a1,) = struct.unpack_from(">i", content, RECORD * 20 + 81 + 12 * 4 + 4 - 1)
    (granule,) = altered(put("i", 20, 81 + 12 * 4 + 4, a1 + (1 << 20)))
    values = footprint_table.values_of(granule.footprints).reshape(40, 30, 15)
    assert np.isnan(values[19, :, 4]).all()
    assert np.isfinite(values[[18, 20], :, 4]).all()


def test_zero_coordinates_of_the_first_scans(altered):
    def change(data):
        for scan in (1, 2, 3):
            put("60i", scan, 653, *[0] * 60)(data)

    (granule,) = altered(change)
    found = codes(granule).reshape(40, 30)
    assert (found[:3] == Reason.LOCATION).all()
    assert not found[3:].any()


def test_a_displaced_footprint_is_found(altered, content):
    (lat,) = struct.unpack_from(">i", content, RECORD * 20 + 652 + 8 * 10)
    (granule,) = altered(put("i", 20, 653 + 8 * 10, lat ^ 1 << 13))
    found = codes(granule).reshape(40, 30)
    assert found[19, 10] == Reason.LOCATION
    assert np.count_nonzero(found) == 1


def test_a_scan_out_of_time_is_found(altered, content):
    (clock,) = struct.unpack_from(">I", content, RECORD * 20 + 8)
    (granule,) = altered(put("I", 20, 9, clock + 60_000))
    found = codes(granule).reshape(40, 30)
    assert (found[19] == Reason.TIME).all()
    assert np.count_nonzero(found) == 30


def test_an_archive_header_before_the_header_is_skipped(tmp_path, content):
    (tmp_path / NAME).write_bytes(b"\0" * 512 + content[: RECORD * 11])
    assert len(read([tmp_path / NAME])[0].footprints) == 300


def test_a_truncated_file_gives_its_whole_scans_and_counts_the_others(tmp_path, content):
    (tmp_path / NAME).write_bytes(content[: RECORD * 101 + 1000])
    used, lost = read([tmp_path / NAME])
    assert (len(used.footprints), lost.reason, lost.count) == (3000, Reason.UNREADABLE, 573 * 30)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", Reason.EMPTY), (b"nothing", Reason.UNREADABLE), (b"\0" * 5120, Reason.UNREADABLE)],
)
def test_other_files_are_refused(tmp_path, data, reason):
    (tmp_path / NAME).write_bytes(data)
    (granule,) = read([tmp_path / NAME])
    assert (granule.reason, str(granule.day)) == (reason, "2011-06-20")


def test_a_header_without_scans_and_another_platform(altered):
    (granule,) = altered(scans=0)
    assert (granule.reason, granule.count) == (Reason.EMPTY, 673 * 30)
    (granule,) = altered(platforms=["NOAA-18", "NOAA-19"])
    assert (granule.reason, granule.count) == (Reason.PLATFORM, 1200)
    assert "NOAA-15, expected NOAA-18, NOAA-19" in granule.message


def test_chosen_and_unknown_channels(altered, tmp_path):
    altered()
    (granule,) = read([tmp_path / NAME], channels=["15", "3"])
    assert footprint_table.channels_of(granule.footprints) == ["15", "3"]
    with pytest.raises(ValueError, match="no channel 16; known: 1, 2"):
        read([], channels=["16"])


@pytest.mark.slow
def test_mutations_give_values_within_physics_or_reasons(tmp_path, content):
    """One byte changed or the file cut off: no exception.

    Positions stay within 15 km of the true ones, times within 10 s.
    """
    path = tmp_path / NAME
    path.write_bytes(content[: RECORD * 61])
    true = read([path])[0].footprints
    places = [footprint_table.column_values(true, name) for name in ("lat", "lon")]
    for changed in mutations(path.read_bytes(), 300, seed=11):
        path.write_bytes(changed)
        for granule in read([path]):
            if granule.footprints is None:
                assert granule.reason >= 100
                assert granule.message
                continue
            used = codes(granule) == 0
            found = [
                footprint_table.column_values(granule.footprints, name) for name in ("lat", "lon")
            ]
            off = great_circle(*found, *(place[: len(used)] for place in places))
            assert (off[used] < 15).all()
            elapsed = (
                footprint_table.column_values(granule.footprints, "time")
                - footprint_table.column_values(true, "time")[: len(used)]
            )
            assert (np.abs(elapsed[used]) < np.timedelta64(10, "s")).all()
            values = footprint_table.values_of(granule.footprints)
            assert not ((values < 2.7) | (values > 350)).any()
