"""BUFR as other centres, platforms and telecommunication systems would have made it.

Real files are written anew; each reader is compared with ecCodes on the same file, and every
footprint is read, used or refused.
"""

from collections import defaultdict

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fuxiflow import physics
from fuxiflow.observations import bufr_messages, footprint_table, readers
from fuxiflow.observations.rejection_codes import Reason
from tests.support import recoded_bufr
from tests.support.helpers import realdata

# file: reader's variant, platform, number of channels
SOUNDERS = {
    "atms_201": ("atms", "Suomi-NPP", 22),
    "amsa_55": ("amsua", "Metop-A", 15),
    "mhsa_55": ("mhs", "Metop-A", 5),
    "hirs_55": ("hirs4", "Metop-A", 19),
    "ssbt_127": ("ssmi", "DMSP-F15", 7),
    "iasi_241": ("iasi", "Metop-A", 40),
}
SSMI = ["19V", "19H", "22V", "37V", "37H", "85V", "85H"]
# common code table C-5, written down anew
SATELLITES = {
    3: "Metop-B",
    4: "Metop-A",
    5: "Metop-C",
    206: "NOAA-15",
    207: "NOAA-16",
    208: "NOAA-17",
    209: "NOAA-18",
    223: "NOAA-19",
    224: "Suomi-NPP",
    225: "NOAA-20",
    226: "NOAA-21",
    248: "DMSP-F15",
    249: "DMSP-F16",
    285: "DMSP-F17",
    286: "DMSP-F18",
    287: "DMSP-F19",
}


def messages(name):
    return [message.data for message in bufr_messages.read_messages(realdata(f"bufr/{name}.bufr"))]


def channels(name, found):
    """Channels to ask for: all, or of IASI those whose numbers come first."""
    kind, _, count = SOUNDERS[name]
    if kind == "ssmi":
        return SSMI
    return [
        str(i + 1)
        if kind != "iasi"
        else f"{recoded_bufr.column(found, f'#{i + 1}#channelNumber')[0]:.0f}"
        for i in range(count)
    ]


def sound(name, paths, wanted, platforms=None):
    """Granules by file."""
    kind, platform, _ = SOUNDERS[name]
    by_file = defaultdict(list)
    for granule in readers.read(f"bufr_sounder.{kind}", paths, platforms or [platform], wanted):
        by_file[granule.file].append(granule)
    return by_file


def write(path, *parts):
    path.write_bytes(b"".join(parts))
    return path


def codes(granule):
    return footprint_table.column_values(granule.footprints, "rejected")


def assert_equal(name, granule, expected):
    """A granule holds what ecCodes' keys give, subset by subset."""
    found = granule.footprints
    assert len(found) == granule.count == len(expected)
    for key, column in (
        ("latitude", "lat"),
        ("longitude", "lon"),
        ("satelliteZenithAngle", "zenith"),
    ):
        if f"#1#{key}" in expected[0]:
            assert_allclose(
                footprint_table.column_values(found, column),
                recoded_bufr.column(expected, f"#1#{key}"),
                rtol=1e-6,
            )
    values = footprint_table.values_of(found)
    if name == "iasi_241":
        scaled = np.stack(
            [
                recoded_bufr.column(expected, f"#{i + 1}#scaledIasiRadiance")
                for i in range(len(values.T))
            ],
            1,
        )
        wavenumber = 64500 + 25 * (
            np.array(footprint_table.channels_of(found), int) - 1
        )  # per m; all in the first band, 1e-7
        assert_allclose(
            physics.brightness_temperature(scaled * 1e-7, wavenumber), values, rtol=1e-6
        )
        return
    temperatures = [
        recoded_bufr.column(expected, f"#{i + 1}#brightnessTemperature")
        for i in range(values.shape[1])
    ]
    assert_allclose(values, np.stack(temperatures, axis=1), atol=1e-4)
    missing = np.isnan(values).all(axis=1)
    assert codes(granule).tolist() == np.where(missing, Reason.MISSING, 0).tolist()


@pytest.mark.parametrize("name", SOUNDERS)
def test_sounders_in_every_wrapping_compressed_and_not(tmp_path, name):
    """Write the first message as it is, then subsets one after the other.

    They are some of its successor's, or of its own.
    """
    parts = messages(name)
    subsets = [recoded_bufr.subsets(data) for data in parts[:2]]
    rest = subsets[1][:12] if len(parts) > 1 else subsets[0][40:52]
    plain = recoded_bufr.message(parts[0], rest, compressed=False)
    packed = recoded_bufr.message(parts[0], rest[6:], compressed=True)
    expected = [*subsets[0], *recoded_bufr.subsets(plain), *recoded_bufr.subsets(packed)]
    wanted = channels(name, expected)
    paths = [
        write(
            tmp_path / wrapping,
            *(wrap(data, 900 + i) for i, data in enumerate((parts[0], plain, packed))),
        )
        for wrapping, wrap in recoded_bufr.WRAPPINGS.items()
    ]
    found = sound(name, paths, wanted)
    assert set(found) == set(recoded_bufr.WRAPPINGS)
    for wrapping, granules in found.items():
        assert [granule.reason for granule in granules] == [Reason.USED], (wrapping, granules)
        assert_equal(name, granules[0], expected)


@pytest.mark.parametrize("name", SOUNDERS)
def test_sounders_of_every_satellite(tmp_path, name):
    like = messages(name)[0]
    found = recoded_bufr.subsets(like)[:15]
    paths = []
    for number in [*SATELLITES, 999, None]:
        theirs = [subset | {"#1#satelliteIdentifier": number} for subset in found]
        paths.append(
            write(
                tmp_path / f"{number}",
                recoded_bufr.message(like, theirs, compressed=len(paths) % 2 == 0),
            )
        )
    granules = sound(name, paths, channels(name, found), list(SATELLITES.values()))
    for number, platform in SATELLITES.items():
        (granule,) = granules[str(number)]
        assert set(granule.footprints["platform"].to_pylist()) == {platform}
        assert not codes(granule).any()
    for number in ("999", "None"):
        (refused,) = granules[number]
        assert (refused.reason, refused.count) == (Reason.PLATFORM, 15)
        assert "expected" in refused.message


@pytest.mark.parametrize("name", SOUNDERS)
@pytest.mark.parametrize("compressed", [False, True])
def test_sounders_without_values_or_places(tmp_path, name, compressed):
    like = messages(name)[0]
    whole = recoded_bufr.subsets(like)[:15]
    wanted = channels(name, whole)
    hollow = {key: None for key in whole[0] if "brightnessTemperature" in key or "Radiance" in key}
    scan = {
        "zero": {"#1#latitude": 0.0, "#1#longitude": 0.0},
        "absent": {"#1#latitude": None, "#1#longitude": None},
    }
    made = {
        "hollow": [subset | hollow for subset in whole],
        **{
            word: [subset | (where if i < 5 else {}) for i, subset in enumerate(whole)]
            for word, where in scan.items()
        },
        **{f"all {word}": [subset | where for subset in whole] for word, where in scan.items()},
    }
    paths = [
        write(tmp_path / word, recoded_bufr.message(like, subsets, compressed))
        for word, subsets in made.items()
    ]
    found = {file: only for file, (only,) in sound(name, paths, wanted).items()}
    assert all(len(granule.footprints) == 15 for granule in found.values())
    assert np.isnan(footprint_table.values_of(found["hollow"].footprints)).all()
    assert codes(found["hollow"]).tolist() == [Reason.MISSING] * 15
    for word in scan:
        assert codes(found[word]).tolist() == [Reason.LOCATION] * 5 + [0] * 10
        assert codes(found[f"all {word}"]).tolist() == [Reason.LOCATION] * 15
        assert np.isnan(footprint_table.column_values(found[word].footprints, "lat")[:5]).all()


def without_subsets(data):
    """A message whose section 3 counts none."""
    header = bufr_messages.BufrMessage(0, data).header
    place = data.index(header.subsets.to_bytes(2) + (b"\xc0" if header.compressed else b"\x80"), 30)
    return data[:place] + bytes(2) + data[place + 2 :]


READERS = {
    "rado_250": ("gnssro", ["GRACE-A"], ["refractivity_5000"]),
    "syno_4": ("surface.land", ["land"], ["T2M"]),
    "ship_11": ("surface.sea", ["ship", "buoy"], ["T2M"]),
    "atms_201": ("bufr_sounder.atms", ["NOAA-20"], ["1"]),
    "pdbufr_temp": ("radiosonde", ["radiosonde"], ["T500"]),
}


@pytest.mark.parametrize("name", READERS)
def test_messages_without_subsets_and_empty_files(tmp_path, name):
    hollow = without_subsets(messages(name)[0])
    paths = [
        write(tmp_path / "hollow", hollow),
        write(tmp_path / "nothing"),
        write(tmp_path / "bulletin", b"\x01\r\r\n001\r\r\nISMD01 EGRR 181200\r\r\n\x03"),
    ]
    reader, platforms, wanted = READERS[name]
    found = {granule.file: granule for granule in readers.read(reader, paths, platforms, wanted)}
    assert set(found) == {"hollow", "nothing", "bulletin"}
    for granule in found.values():
        assert granule.footprints is None
        assert granule.count == 0
        assert granule.message
    assert "no subset" in found["hollow"].message
    assert found["nothing"].reason == found["hollow"].reason == Reason.EMPTY
    assert "zero bytes" in found["nothing"].message


REPORTS = {
    "syno_4": ("surface.land", ["land"], ["T2M", "PS", "MSL", "U10", "V10"]),
    "ship_11": ("surface.sea", ["ship", "buoy"], ["T2M", "PS", "MSL", "U10", "V10"]),
    "pdbufr_temp": ("radiosonde", ["radiosonde"], ["T850", "T500", "T250", "U850", "V850"]),
}


def wind(speed, direction):
    return -speed * np.sin(np.radians(direction)), -speed * np.cos(np.radians(direction))


def reported(subset, sounding):
    """Latitude, longitude and the channels of :data:`REPORTS`, from ecCodes' keys."""

    def given(name, rank=1):
        value = subset.get(f"#{rank}#{name}")
        return np.nan if value is None else value

    if not sounding:
        return (
            given("latitude"),
            given("longitude"),
            given("airTemperatureAt2M"),
            given("nonCoordinatePressure"),
            given("pressureReducedToMeanSeaLevel"),
            *wind(given("windSpeedAt10M"), given("windDirectionAt10M")),
        )
    rank = {given("pressure", i): i for i in range(1, 200)}
    levels = [rank.get(pressure, -1) for pressure in (85000, 50000, 25000)]
    aloft = wind(given("windSpeed", levels[0]), given("windDirection", levels[0]))
    return (
        given("latitude"),
        given("longitude"),
        *(given("airTemperature", level) for level in levels),
        *aloft,
    )


def ordered(rows):
    """Rows by place and temperature, as rounding leaves both alone."""
    rows = np.array(rows, float)
    return rows[np.lexsort(np.nan_to_num(np.round(rows[:, [4, 3, 2, 1, 0]], 1)).T)]


@pytest.mark.parametrize("name", REPORTS)
def test_reports_in_every_wrapping_compressed_and_not(tmp_path, name):
    """Real reports of one template, most of them together in messages of several subsets."""
    reader, platforms, wanted = REPORTS[name]
    sounding = reader == "radiosonde"
    first = next(bufr_messages.read_messages(realdata(f"bufr/{name}.bufr"))).header.descriptors
    alike = [
        message
        for message in bufr_messages.read_messages(realdata(f"bufr/{name}.bufr"))
        if message.header.descriptors == first
    ][: 60 if sounding else 25]
    data = [message.data for message in alike]
    subsets = [subset for part in data for subset in recoded_bufr.subsets(part)]
    twins = [subset for subset in subsets if subset.keys() == subsets[0].keys()] * (
        4 if sounding else 1
    )
    parts = [
        data[0],
        recoded_bufr.message(data[0], subsets[1:8], compressed=False),
        data[8],
        recoded_bufr.message(data[0], twins, compressed=True),
    ]
    everything = [subset for part in parts for subset in recoded_bufr.subsets(part)]
    assert len(everything) == 9 + len(twins) > 12
    paths = [
        write(tmp_path / wrapping, *(wrap(part, 900 + i) for i, part in enumerate(parts)))
        for wrapping, wrap in recoded_bufr.WRAPPINGS.items()
    ]
    granules = list(readers.read(reader, paths, platforms, wanted))
    assert [granule.reason for granule in granules] == [Reason.USED]
    found = granules[0].footprints.to_pandas()
    assert len(found) == granules[0].count == len(everything) * len(paths)
    expected = ordered([reported(subset, sounding) for subset in everything])
    assert np.isfinite(expected).mean() > 0.5
    for wrapping in recoded_bufr.WRAPPINGS:
        rows = found.loc[
            found["file"] == wrapping, ["lat", "lon", *(f"channel_{channel}" for channel in wanted)]
        ]
        rows = ordered(rows.to_numpy())
        if sounding:  # what is not reported is interpolated, at most a level away
            rows[np.isnan(expected)] = np.nan
        assert_allclose(rows, expected, rtol=1e-5, atol=1e-4)


RECEIVERS = {
    3: "Metop-B",
    4: "Metop-A",
    5: "Metop-C",
    42: "TerraSAR-X",
    43: "TanDEM-X",
    44: "PAZ",
    66: "Sentinel-6A",
    265: "CICERO",
    266: "CICERO",
    267: "GNOMES",
    268: "GNOMES",
    269: "Spire",
    522: "FY-3C",
    523: "FY-3D",
    524: "FY-3E",
    722: "GRACE-A",
    740: "COSMIC-1",
    745: "COSMIC-1",
    750: "COSMIC-2",
    755: "COSMIC-2",
    803: "GRACE-FO",
    825: "KOMPSAT-5",
}
HEIGHTS = ["refractivity_8000", "refractivity_12345", "refractivity_20000"]


def test_occultations_of_every_satellite_and_wrapping(tmp_path):
    """One subset becomes three on other meridians, compressed and not.

    Without bending angles it has no value.
    """
    like = messages("rado_250")[0]
    (profile,) = recoded_bufr.subsets(like)
    east = {
        key: value
        for key, value in profile.items()
        if key.endswith("longitude") and value is not None
    }
    moved = [profile | {key: value - 90 * i for key, value in east.items()} for i in range(3)]
    plain = recoded_bufr.message(like, moved, compressed=False)
    hollow = profile | {
        key: None for key in profile if "bendingAngle" in key or "Refractivity" in key
    }
    wrapped = [
        write(
            tmp_path / wrapping,
            *(
                wrap(data, 900 + i)
                for i, data in enumerate(
                    (like, plain, recoded_bufr.message(like, moved, compressed=True))
                )
            ),
        )
        for wrapping, wrap in recoded_bufr.WRAPPINGS.items()
    ]
    others = [
        write(
            tmp_path / f"{number}",
            recoded_bufr.message(
                like, [profile | {"#1#satelliteIdentifier": number}], compressed=number % 2 == 0
            ),
        )
        for number in RECEIVERS
    ]
    others += [
        write(tmp_path / "hollow", recoded_bufr.message(like, [hollow], compressed=False)),
        write(
            tmp_path / "999",
            recoded_bufr.message(like, [profile | {"#1#satelliteIdentifier": 999}], False),
        ),
        write(
            tmp_path / "zero",
            recoded_bufr.message(
                like,
                [
                    profile
                    | {key: 0.0 for key in profile if key.endswith(("latitude", "longitude"))}
                ],
                False,
            ),
        ),
    ]
    granules = list(readers.read("gnssro", [*wrapped, *others], list(RECEIVERS.values()), HEIGHTS))
    refused = [granule for granule in granules if granule.footprints is None]
    assert [(granule.file, granule.reason, granule.count) for granule in refused] == [
        ("999", Reason.PLATFORM, 1)
    ]
    (granule,) = [granule for granule in granules if granule.footprints is not None]
    found = granule.footprints.to_pandas().set_index("file")
    values = found[[f"channel_{name}" for name in HEIGHTS]]
    real = values.loc["plain"].iloc[0]
    assert (real.diff().iloc[1:] < 0).all()
    for wrapping in recoded_bufr.WRAPPINGS:
        assert (values.loc[wrapping] == real).all(axis=None)
        assert len(found.loc[wrapping]) == 7
        drift = np.sort((found.loc[wrapping, "lon"] - found.loc["plain", "lon"].max()) % 360)
        assert_allclose(drift, [0, 0, 0, 180, 180, 270, 270], atol=1e-3)
    for number, platform in RECEIVERS.items():
        assert found.at[str(number), "platform"] == platform
        assert (values.loc[str(number)] == real).all()
        assert found.at[str(number), "rejected"] == 0
    assert values.loc["hollow"].isna().all()
    assert found.at["hollow", "rejected"] == Reason.MISSING
    assert found.at["zero", "rejected"] == Reason.LOCATION
