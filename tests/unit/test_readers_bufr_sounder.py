"""Sounders in BUFR: real files against ecCodes' own keys, made ones in every template, bad ones."""

import eccodes
import numpy as np
import pytest
from numpy.testing import assert_allclose

from fuxiflow.observations import bufr_messages, footprint_table, readers
from fuxiflow.observations.readers.bufr_instruments import INSTRUMENTS
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.physics import brightness_temperature, great_circle
from tests.support.bufr_files import KINDS, encode, swath
from tests.support.helpers import realdata

PLATFORMS = ["NOAA-20", "Metop-C", "NOAA-19", "DMSP-F17"]
BULLETIN = b"\x01\r\r\n042\r\r\nINAX01 KNES 011000\r\r\n"


def numbers(kind):
    return [str(i) for i in range(1, (19 if kind == "hirs4" else KINDS[kind][3]) + 1)]


def write(path, *parts):
    path.write_bytes(b"".join(parts))
    return path


def read(kind, *paths, platforms=PLATFORMS, channels=None):
    return list(readers.read(f"bufr_sounder.{kind}", paths, platforms, channels or numbers(kind)))


def only(kind, path, **kwargs):
    (granule,) = read(kind, path, **kwargs)
    return granule


def codes(granule):
    return footprint_table.column_values(granule.footprints, "rejected").tolist()


def some(elements, values, rows):
    return {code: array[rows] for code, array in elements.items()}, values[rows]


REAL = [
    ("atms_201", "atms", "Suomi-NPP", "#{}#channelNumber", 22, 0),
    ("amsa_55", "amsua", "Metop-A", "#{}#tovsOrAtovsOrAvhrrInstrumentationChannelNumber", 15, 27),
    ("mhsa_55", "mhs", "Metop-A", "#{}#tovsOrAtovsOrAvhrrInstrumentationChannelNumber", 5, 42),
    ("hirs_55", "hirs4", "Metop-A", "#{}#tovsOrAtovsOrAvhrrInstrumentationChannelNumber", 19, 0),
]


def keys(data, names):
    """Arrays of ecCodes' keys of a message over its subsets, missing values as NaN."""
    handle = eccodes.codes_new_from_message(data)
    eccodes.codes_set(handle, "unpack", 1)
    subsets = eccodes.codes_get(handle, "numberOfSubsets")
    found = {}
    for name in names:
        array = np.asarray(eccodes.codes_get_array(handle, name), float)
        array[(array == eccodes.CODES_MISSING_DOUBLE) | (array == eccodes.CODES_MISSING_LONG)] = (
            np.nan
        )
        found[name] = np.broadcast_to(array, subsets) if len(array) == 1 else array
    eccodes.codes_release(handle)
    return found


@pytest.mark.parametrize(("name", "kind", "platform", "number", "count", "offset"), REAL)
def test_real_files_come_back_as_eccodes_gives_them(name, kind, platform, number, count, offset):
    path = realdata(f"bufr/{name}.bufr")
    places = {
        "lat": "latitude",
        "lon": "longitude",
        "zenith": "satelliteZenithAngle",
        "azimuth": "bearingOrAzimuth",
        "scan_position": "fieldOfViewNumber",
    }
    clock = ["year", "month", "day", "hour", "minute", "second"]
    ranks = range(1, count + 1)
    wanted = [f"#1#{key}" for key in (*places.values(), *clock)]
    wanted += [
        template.format(i) for i in ranks for template in (number, "#{}#brightnessTemperature")
    ]
    parts = [keys(message.data, wanted) for message in bufr_messages.read_messages(path)]
    expected = {key: np.concatenate([part[key] for part in parts]) for key in wanted}
    granule = only(kind, path, platforms=[platform])
    found = granule.footprints
    assert (
        granule.count
        == len(found)
        == sum(message.subsets for message in bufr_messages.read_messages(path))
    )
    for column, key in places.items():
        assert_allclose(
            footprint_table.column_values(found, column), expected[f"#1#{key}"], rtol=1e-6
        )
    year, month, day, hour, minute, second = (expected[f"#1#{key}"] for key in clock)
    seconds = (
        footprint_table.column_values(found, "time") - np.datetime64("2012-10-30")
    ) / np.timedelta64(1, "s")
    days = np.array(
        [
            np.datetime64(f"{y:.0f}-{m:02.0f}-{d:02.0f}")
            for y, m, d in zip(year, month, day, strict=True)
        ]
    )
    since = (days - np.datetime64("2012-10-30")) / np.timedelta64(1, "s")
    assert_allclose(seconds, since + hour * 3600 + minute * 60 + second, atol=1e-5)
    for i in ranks:
        assert (expected[number.format(i)] == i + offset).all()
        assert_allclose(
            footprint_table.values_of(found)[:, i - 1],
            expected[f"#{i}#brightnessTemperature"],
            atol=1e-4,
        )
    missing = np.isnan(footprint_table.values_of(found)).all(axis=1)
    assert codes(granule) == np.where(missing, Reason.MISSING, 0).tolist()


def test_real_iasi_is_planck_of_its_scaled_radiances():
    path = realdata("bufr/iasi_241.bufr")
    channels = ["16", "222", "1027", "2701", "3518", "3645", "1046"]
    granule = only("iasi", path, platforms=["Metop-A"], channels=channels)
    temperature = footprint_table.values_of(granule.footprints).astype(float)
    parts = []
    for message in bufr_messages.read_messages(path):
        names = [
            f"#{i}#{key}" for i in range(1, 301) for key in ("channelNumber", "scaledIasiRadiance")
        ]
        parts.append(keys(message.data, names))
    rank = {int(parts[0][f"#{i}#channelNumber"][0]): i for i in range(1, 301)}
    h, c, k = 6.62607015e-34, 299792458.0, 1.380649e-23
    for i, name in enumerate(channels):
        if name == "3645":  # behind the 300th, where numbers and radiances have changed places
            assert np.isnan(temperature[:, i]).all()
            continue
        scaled = np.concatenate([part[f"#{rank[int(name)]}#scaledIasiRadiance"] for part in parts])
        wavenumber = 100 * (645 + 0.25 * (int(name) - 1))
        radiance = (
            2 * h * c**2 * wavenumber**3 / np.expm1(h * c * wavenumber / (k * temperature[:, i]))
        )
        assert_allclose(radiance, scaled * 10.0 ** (-7 if int(name) <= 3340 else -8), rtol=3e-6)
    assert (
        granule.message == "58 of 366 radiances are not read: their channel numbers do not increase"
    )
    assert codes(granule) == [0] * 59
    assert footprint_table.column_values(granule.footprints, "scan_position")[:4].tolist() == [
        55,
        56,
        57,
        58,
    ]  # it counts from 0


def test_the_real_microwave_imager_is_no_sounder():
    path = realdata("bufr/ssbt_127.bufr")
    (refused,) = read("ssmis", path)
    assert (refused.reason, refused.count) == (Reason.INSTRUMENT, 64)
    channels = list(INSTRUMENTS["ssmi"].channels)
    (other,) = read("ssmi", path, channels=channels)
    assert (other.reason, other.message) == (
        Reason.PLATFORM,
        "platform DMSP-F15, expected NOAA-20 or Metop-C or NOAA-19 or DMSP-F17",
    )
    found = only("ssmi", path, platforms=["DMSP-F15"], channels=channels).footprints
    expected = keys(path.read_bytes(), [f"#{i}#brightnessTemperature" for i in range(1, 8)])
    assert footprint_table.values_of(found) == pytest.approx(
        np.stack(list(expected.values()), axis=1), abs=1e-4
    )
    assert set(footprint_table.column_values(found, "zenith").tolist()) == {np.float32(53.1)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("edition", [3, 4])
def test_every_template_comes_back(tmp_path, kind, edition):
    elements, values = swath(kind)
    values[0, 0] = np.nan
    granule = only(
        kind, write(tmp_path / "x.bufr", encode(kind, elements, values, edition=edition))
    )
    found = granule.footprints
    assert codes(granule) == [0] * len(values)
    if kind != "iasi":
        assert footprint_table.values_of(found) == pytest.approx(
            values[:, : len(numbers(kind))], abs=1e-4, nan_ok=True
        )
    coarse = 1 if kind == "ssmis" else 0
    assert footprint_table.column_values(found, "lat") == pytest.approx(
        elements[5001 + coarse], abs=1e-4
    )
    assert footprint_table.column_values(found, "lon") == pytest.approx(
        elements[6001 + coarse], abs=1e-4
    )
    assert footprint_table.column_values(found, "zenith") == pytest.approx(
        elements[7024] if kind != "ssmis" else 53.1, abs=1e-4
    )
    assert footprint_table.column_values(found, "scan_position").tolist() == elements[5043].tolist()
    times = np.datetime64("2022-07-01T10:00:00", "ms") + np.array([0, 2700], "timedelta64[ms]")
    assert (np.unique(footprint_table.column_values(found, "time")) == times).all()


@pytest.mark.parametrize("kind", ["atms", "amsua", "mhs"])
def test_uncompressed_subsets_bulletins_and_padding(tmp_path, kind):
    elements, values = swath(kind)
    first, second = (some(elements, values, slice(*ends)) for ends in ((0, 25), (25, 50)))
    path = write(
        tmp_path / "x.bufr",
        BULLETIN,
        encode(kind, *first, compressed=False),
        b"\r\r\n\x03" + BULLETIN,
        encode(kind, *second),
        b"\0" * 99,
    )
    granule = only(kind, path)
    assert codes(granule) == [0] * 50
    assert footprint_table.values_of(granule.footprints) == pytest.approx(values[:50], abs=1e-4)


def test_iasi_scales_and_temperatures(tmp_path):
    elements, values = swath("iasi", scans=1)
    path = write(tmp_path / "x.bufr", encode("iasi", elements, values))
    found = footprint_table.values_of(only("iasi", path).footprints)
    assert found == pytest.approx(
        brightness_temperature(values * 1e-7, 64500.0 + 25 * np.arange(3)), rel=1e-5
    )
    # the longwave band alone is marked bad
    flag = {"#1#startChannel": 1, "#1#endChannel": 2, "#1#gqisFlagQual": 1}
    path = write(tmp_path / "x.bufr", encode("iasi", elements, values, extra=flag))
    granule = only("iasi", path)
    assert np.isnan(footprint_table.values_of(granule.footprints)).all(axis=0).tolist() == [
        True,
        True,
        False,
    ]
    assert codes(granule) == [0] * 120


def test_antenna_temperatures_are_channels_of_their_own(tmp_path):
    elements, values = swath("atms", scans=1)
    path = write(tmp_path / "x.bufr", encode("atms", elements, values))
    granule = only("atms", path, channels=["3", "antenna_3"])
    assert footprint_table.values_of(granule.footprints) == pytest.approx(
        values[:, [2, 2]] - [0, 1.5], abs=1e-4
    )
    assert granule.message == ""
    values[:] = np.nan
    path = write(tmp_path / "x.bufr", encode("atms", elements, values))
    assert codes(only("atms", path)) == [Reason.MISSING] * 96


def test_equal_antenna_and_brightness_temperatures_are_told():
    granule = only("atms", realdata("bufr/atms_201.bufr"), platforms=["Suomi-NPP"])
    assert granule.message == "antenna and brightness temperatures are equal: no antenna correction"


def test_scans_without_location_and_impossible_geometry(tmp_path):
    elements, values = swath("mhs", scans=3)
    elements[5001][:90] = elements[6001][:90] = 0.0  # a first scan of zero coordinates
    elements[5001][100] = np.nan
    elements[6001][110] += 10  # a stray
    elements[7024][120] += 5
    elements[7024][130] *= -1  # the sign of a side
    elements[5043][140] = 95
    found = codes(only("mhs", write(tmp_path / "x.bufr", encode("mhs", elements, values))))
    wrong = {*range(90), 100, 110, 120, 140}
    assert [i for i, code in enumerate(found) if code] == sorted(wrong)
    assert {found[i] for i in wrong} == {Reason.LOCATION}


@pytest.mark.parametrize(
    ("kind", "code", "value", "unusable"),
    [
        ("amsua", 33030, 1 << 23, True),  # bit 1 of 24: do not use
        ("amsua", 33030, 1 << 21, False),  # bit 3: data gap precedes
        ("mhs", 33031, 1 << 24 - 16, True),  # fails the reasonableness check
        ("mhs", 33031, 1 << 24 - 6, False),  # calibrated with fewer scans
        ("amsua", 33033, 1 << 24 - 22, True),  # all channels missing
        ("atms", 33080, 1 << 20 - 18, True),  # space view antenna position error
        ("atms", 33080, 1 << 20 - 15, False),  # data gap
        ("atms", 33078, 3, True),
        ("atms", 33078, 2, False),
    ],
)
def test_flags_of_the_producer(tmp_path, kind, code, value, unusable):
    elements, values = swath(kind)
    elements[code] = np.full(len(values), np.nan)
    elements[code][3] = value
    elements[code][5] = 0
    granule = only(kind, write(tmp_path / "x.bufr", encode(kind, elements, values)))
    assert [i for i, found in enumerate(codes(granule)) if found] == [3] * unusable
    assert codes(granule)[3] == (Reason.QUALITY if unusable else 0)
    assert footprint_table.values_of(granule.footprints)[3] == pytest.approx(
        values[3, : len(numbers(kind))], abs=1e-4
    )


def test_flags_of_channels(tmp_path):
    elements, values = swath("amsua")
    elements[33033] = np.zeros(len(values))
    elements[33033][4] = 1 << 24 - 8 | 1 << 24 - 2  # channels 7 and 1
    found = footprint_table.values_of(
        only("amsua", write(tmp_path / "x.bufr", encode("amsua", elements, values))).footprints
    )
    assert np.argwhere(np.isnan(found)).tolist() == [[4, 0], [4, 6]]
    elements, values = swath("atms")
    message = encode(
        "atms",
        elements,
        values,
        extra={
            "#3#channelDataQualityFlags": 1 << 12 - 6,
            "#5#channelDataQualityFlags": 1 << 12 - 3,
        },
    )
    found = footprint_table.values_of(only("atms", write(tmp_path / "y.bufr", message)).footprints)
    assert np.isnan(found).all(axis=0).nonzero()[0].tolist() == [2]


def test_positions_counted_from_zero(tmp_path):
    elements, values = swath("amsua")
    elements[5043] = elements[5043] - 1
    granule = only("amsua", write(tmp_path / "x.bufr", encode("amsua", elements, values)))
    assert codes(granule) == [0] * 60
    assert (
        footprint_table.column_values(granule.footprints, "scan_position").tolist()
        == [*range(1, 31)] * 2
    )


def test_a_conical_scan_needs_no_positions(tmp_path):
    elements, values = swath("ssmis")
    elements[5043] = np.full(120, np.nan)
    granule = only("ssmis", write(tmp_path / "x.bufr", encode("ssmis", elements, values)))
    assert codes(granule) == [0] * 120
    assert set(footprint_table.column_values(granule.footprints, "scan_position").tolist()) == {0}


def test_impossible_times(tmp_path):
    elements, values = swath("amsua")
    elements[4003][3] = 31
    elements[4002][3] = 6  # 31 June
    elements[4005][4] += 45
    elements[4001][5] = 2023
    elements[4006][6] = np.nan
    path = write(tmp_path / "x.bufr", encode("amsua", elements, values))
    assert [i for i, code in enumerate(codes(only("amsua", path))) if code == Reason.TIME] == [
        3,
        4,
        5,
        6,
    ]
    path = write(tmp_path / "x.bufr", encode("amsua", *swath("amsua"), header="2022-07-01T17:00"))
    assert codes(only("amsua", path)) == [Reason.TIME] * 60
    path = write(tmp_path / "x.bufr", encode("amsua", *swath("amsua"), header="2022-07-01T12:00"))
    assert codes(only("amsua", path)) == [0] * 60


def test_a_channel_given_twice_is_missing(tmp_path):
    path = write(tmp_path / "x.bufr", encode("mhs", *swath("mhs"), numbers=[43, 44, 44, 46, 47]))
    lost = np.isnan(footprint_table.values_of(only("mhs", path).footprints))
    assert lost.all(axis=0).tolist() == [False, True, True, False, False]


def test_platforms_and_instruments_are_told_apart(tmp_path):
    elements, values = swath("mhs")
    elements[1007] = np.where(elements[5041] == 1, 5, 223)
    path = write(tmp_path / "x.bufr", encode("mhs", elements, values))
    both = read("mhs", path)
    assert [set(granule.footprints["platform"].to_pylist()) for granule in both] == [
        {"Metop-C"},
        {"NOAA-19"},
    ]
    used, other = read("mhs", path, platforms=["Metop-C"])
    assert (len(used.footprints), other.reason, other.count) == (90, Reason.PLATFORM, 90)
    assert "platform NOAA-19, expected Metop-C" in other.message
    elements[1007] = np.full(180, 999)
    assert (
        "platform with identifier 999"
        in only("mhs", write(path, encode("mhs", elements, values))).message
    )
    refused = only("amsua", path)
    assert (refused.reason, refused.count) == (Reason.INSTRUMENT, 180)
    assert "0-02-048 is 11, not of amsua" in refused.message


def test_a_damaged_message_costs_itself_alone(tmp_path):
    elements, values = swath("amsua", scans=4)
    parts = [encode("amsua", *some(elements, values, slice(i, i + 30))) for i in (0, 30, 60, 90)]
    parts[1] = parts[1][:-30]
    parts[2] = parts[2][:200] + parts[2][230:]
    found = read("amsua", write(tmp_path / "x.bufr", *parts))
    assert [granule.reason for granule in found] == [
        Reason.UNREADABLE,
        Reason.UNREADABLE,
        Reason.USED,
    ]
    assert [granule.count for granule in found] == [30, 30, 60]
    assert all("message at octet" in granule.message for granule in found[:2])
    assert footprint_table.values_of(found[2].footprints) == pytest.approx(
        values[[*range(30), *range(90, 120)]], abs=1e-4
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"no message at all", Reason.UNREADABLE),
        (b"BUFR", Reason.UNREADABLE),
        (bytes(range(256)), Reason.UNREADABLE),
    ],
)
def test_files_without_messages(tmp_path, content, reason):
    granule = only("mhs", write(tmp_path / "x.bufr", content))
    assert (granule.reason, granule.count) == (reason, 0)


def test_a_header_without_a_date_leaves_that_of_the_body(tmp_path):
    data = bytearray(encode("mhs", *swath("mhs")))
    data[8 + 17] = 13  # the month in section 1 of edition 4
    granule = only("mhs", write(tmp_path / "x.bufr", bytes(data)))
    assert codes(granule) == [0] * 180
    (remark,) = granule.values
    assert (remark.channel, remark.reason, remark.count) == ("time", Reason.BODY_DATE, 180)


@pytest.mark.parametrize("year", [22, 122])
def test_a_header_without_a_century_takes_that_of_the_body(tmp_path, year):
    data = bytearray(encode("mhs", *swath("mhs")))
    data[8 + 15 : 8 + 17] = year.to_bytes(2)
    granule = only("mhs", write(tmp_path / "x.bufr", bytes(data)))
    assert codes(granule) == [0] * 180
    assert not granule.values


@pytest.mark.parametrize("lacking", [(4001,), (4001, 4002, 4003), (4005,), range(4001, 4007)])
def test_a_body_without_a_date_has_that_of_the_header(tmp_path, lacking):
    elements, values = swath("mhs")
    whole = only("mhs", write(tmp_path / "x.bufr", encode("mhs", elements, values)))
    expected = footprint_table.column_values(whole.footprints, "time")
    header = str(expected.min().astype("datetime64[m]"))
    for code in lacking:
        elements[code] = np.full(180, np.nan)
    message = encode("mhs", elements, values, header=header)
    granule = only("mhs", write(tmp_path / "x.bufr", message))
    assert codes(granule) == [0] * 180
    times = [expected, footprint_table.column_values(granule.footprints, "time")]
    assert np.abs(times[0] - times[1]).max() <= np.timedelta64(1, "m")
    assert [(r.channel, r.reason, r.count) for r in granule.values] == [
        ("time", Reason.HEADER_DATE, 180)
    ]


def test_files_come_in_time_order_and_channels_as_asked(tmp_path):
    for name, start in (
        ("a", "2022-07-01T12:00"),
        ("b", "2022-07-01T06:00"),
        ("c", "2022-07-01T09:00"),
    ):
        write(tmp_path / name, encode("mhs", *swath("mhs", scans=1, start=start)))
    write(tmp_path / "d", b"")
    found = read("mhs", *sorted(tmp_path.iterdir()), channels=["5", "2"])
    assert [granule.file for granule in found] == ["b", "c", "a", "d"]
    assert footprint_table.channels_of(found[0].footprints) == ["5", "2"]
    with pytest.raises(ValueError, match="mhs has no channel 6; known: 1, 2, 3, 4, 5"):
        readers.read("bufr_sounder.mhs", [], PLATFORMS, ["6"])
    with pytest.raises(ValueError, match="iasi has no channel 0; known: 1 to 8461"):
        readers.read("bufr_sounder.iasi", [], PLATFORMS, ["0"])


def mutants(data, count, seed):
    """Copies of a file with single octets changed, runs of zeros or octets lost."""
    random = np.random.default_rng(seed)
    for i in range(count):
        spoilt = bytearray(data)
        place = int(random.integers(len(data)))
        if i % 8 == 7:
            del spoilt[place : place + int(random.integers(1, 200))]
        elif i % 8 == 6:
            del spoilt[place:]
        elif i % 8 == 5:
            spoilt[place : place + 8] = bytes(8)
        else:
            # the headers are short, and most sensitive
            place = int(random.integers(120)) if i % 2 else place
            spoilt[place] ^= 1 << int(random.integers(8))
        yield bytes(spoilt)


def _places(footprints):
    """Positions of footprints by time (ms) and scan position."""
    time = footprint_table.column_values(footprints, "time").astype("datetime64[ms]").tolist()
    columns = (
        footprint_table.column_values(footprints, name).tolist()
        for name in ("scan_position", "lat", "lon")
    )
    return {
        (when, position): (lat, lon)
        for when, position, lat, lon in zip(time, *columns, strict=True)
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "platform"),
    [
        *((name, kind, platform) for name, kind, platform, *_ in REAL),
        ("iasi_241", "iasi", "Metop-A"),
        ("ssbt_127", "ssmi", "DMSP-F15"),
    ],
)
def test_no_damage_gives_impossible_footprints(tmp_path, name, kind, platform):
    data = realdata(f"bufr/{name}.bufr").read_bytes()
    paths = [write(tmp_path / f"{i:03d}", spoilt) for i, spoilt in enumerate(mutants(data, 200, 3))]
    some = {"iasi": ["16", "222", "2701"], "ssmi": ["19V", "22V", "85H"]}
    channels = some[kind] if kind in some else numbers(kind)
    (whole,) = read(kind, realdata(f"bufr/{name}.bufr"), platforms=[platform], channels=channels)
    places = _places(whole.footprints)
    seen = set()
    for granule in readers.read(f"bufr_sounder.{kind}", paths, [platform], channels):
        seen.add(granule.file)
        if granule.footprints is None:
            assert granule.message
            assert granule.reason
            assert granule.count >= 0
            continue
        used = granule.footprints.filter(
            footprint_table.column_values(granule.footprints, "rejected") == 0
        )
        lat, lon, zenith, time = (
            footprint_table.column_values(used, key) for key in ("lat", "lon", "zenith", "time")
        )
        assert (np.abs(lat) <= 90).all()
        assert (np.abs(lon) <= 180).all()
        assert ((zenith >= 0) & (zenith < 68)).all()
        values = footprint_table.values_of(used)
        values = values[np.isfinite(values)]
        assert ((values > 2.7) & (values < 400)).all()
        assert (
            np.abs(time - footprint_table.column_values(whole.footprints, "time")[0])
            <= np.timedelta64(6, "h")
        ).all()
        both = [(*place, *places[key]) for key, place in _places(used).items() if key in places]
        assert (great_circle(*np.array(both).reshape(-1, 4).T) < 100).all(), granule.file
    assert seen == {path.name for path in paths}
