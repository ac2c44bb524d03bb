"""Files as other centres, platforms and machines would have made them of the real ones: each reader against ecCodes,
h5py or netCDF4 on the same file, and every footprint read, used or refused."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fuxiflow.observations import bufr, readers, table
from fuxiflow.observations.reasons import Reason
from tests import recoded
from tests.helpers import realdata

# file, reader's variant, platform, channels, their rank among the temperatures, key of what holds them
SOUNDERS = {"atms_201": ("atms", "Suomi-NPP", 22), "amsa_55": ("amsua", "Metop-A", 15),
            "mhsa_55": ("mhs", "Metop-A", 5), "hirs_55": ("hirs4", "Metop-A", 19), "ssbt_127": ("ssmi", "DMSP-F15", 7),
            "iasi_241": ("iasi", "Metop-A", 40)}
SSMI = ["19V", "19H", "22V", "37V", "37H", "85V", "85H"]
# common code table C-5, written down anew
SATELLITES = {3: "Metop-B", 4: "Metop-A", 5: "Metop-C", 206: "NOAA-15", 207: "NOAA-16", 208: "NOAA-17",
              209: "NOAA-18", 223: "NOAA-19", 224: "Suomi-NPP", 225: "NOAA-20", 226: "NOAA-21", 248: "DMSP-F15",
              249: "DMSP-F16", 285: "DMSP-F17", 286: "DMSP-F18", 287: "DMSP-F19"}


def messages(name):
    return [message.data for message in bufr.messages(realdata(f"bufr/{name}.bufr"))]


def channels(name, found):
    """Channels to ask for: all, or of IASI those whose numbers come first."""
    kind, _, count = SOUNDERS[name]
    if kind == "ssmi":
        return SSMI
    return [str(i + 1) if kind != "iasi" else f"{recoded.column(found, f'#{i + 1}#channelNumber')[0]:.0f}"
            for i in range(count)]


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
    return table.column(granule.footprints, "rejected")


def assert_equal(name, granule, expected):
    """A granule holds what ecCodes' keys give, subset by subset."""
    found = granule.footprints
    assert len(found) == granule.count == len(expected)
    for key, column in (("latitude", "lat"), ("longitude", "lon"), ("satelliteZenithAngle", "zenith")):
        if f"#1#{key}" in expected[0]:
            assert_allclose(table.column(found, column), recoded.column(expected, f"#1#{key}"), rtol=1e-6)
    if name == "iasi_241":  # radiances: the next test but one of the reader's own compares them
        assert np.isfinite(table.values_of(found)).all()
        return
    values = table.values_of(found)
    temperatures = [recoded.column(expected, f"#{i + 1}#brightnessTemperature") for i in range(values.shape[1])]
    assert_allclose(values, np.stack(temperatures, axis=1), atol=1e-4)
    missing = np.isnan(values).all(axis=1)
    assert codes(granule).tolist() == np.where(missing, Reason.MISSING, 0).tolist()


@pytest.mark.parametrize("name", SOUNDERS)
def test_sounders_in_every_wrapping_compressed_and_not(tmp_path, name):
    """The first message as it is, then some of its successor's subsets (or of its own) written one after the other."""
    parts = messages(name)
    subsets = [recoded.subsets(data) for data in parts[:2]]
    rest = subsets[1][:12] if len(parts) > 1 else subsets[0][40:52]
    plain = recoded.message(parts[0], rest, compressed=False)
    packed = recoded.message(parts[0], rest[6:], compressed=True)
    expected = [*subsets[0], *recoded.subsets(plain), *recoded.subsets(packed)]
    wanted = channels(name, expected)
    paths = [write(tmp_path / wrapping, *(wrap(data, 900 + i) for i, data in enumerate((parts[0], plain, packed))))
             for wrapping, wrap in recoded.WRAPPINGS.items()]
    found = sound(name, paths, wanted)
    assert set(found) == set(recoded.WRAPPINGS)
    for wrapping, granules in found.items():
        assert [granule.reason for granule in granules] == [Reason.USED], (wrapping, granules)
        assert_equal(name, granules[0], expected)


@pytest.mark.parametrize("name", SOUNDERS)
def test_sounders_of_every_satellite(tmp_path, name):
    like = messages(name)[0]
    found = recoded.subsets(like)[:15]
    paths = [write(tmp_path / f"{number}", recoded.message(
        like, [subset | {"#1#satelliteIdentifier": number} for subset in found], compressed=bool(number and number % 2)))
        for number in [*SATELLITES, 999, None]]
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
    whole = recoded.subsets(like)[:15]
    wanted = channels(name, whole)
    hollow = {key: None for key in whole[0] if "brightnessTemperature" in key or "Radiance" in key}
    scan = {"zero": {"#1#latitude": 0.0, "#1#longitude": 0.0}, "absent": {"#1#latitude": None, "#1#longitude": None}}
    made = {"hollow": [subset | hollow for subset in whole],
            **{word: [subset | (where if i < 5 else {}) for i, subset in enumerate(whole)]
               for word, where in scan.items()},
            **{f"all {word}": [subset | where for subset in whole] for word, where in scan.items()}}
    paths = [write(tmp_path / word, recoded.message(like, subsets, compressed)) for word, subsets in made.items()]
    found = {file: only for file, (only,) in sound(name, paths, wanted).items()}
    assert all(len(granule.footprints) == 15 for granule in found.values())
    assert np.isnan(table.values_of(found["hollow"].footprints)).all()
    assert codes(found["hollow"]).tolist() == [Reason.MISSING] * 15
    for word in scan:
        assert codes(found[word]).tolist() == [Reason.LOCATION] * 5 + [0] * 10
        assert codes(found[f"all {word}"]).tolist() == [Reason.LOCATION] * 15
        assert np.isnan(table.column(found[word].footprints, "lat")[:5]).all()


def without_subsets(data):
    """A message whose section 3 counts none."""
    header = bufr.Message(0, data).header
    place = data.index(header.subsets.to_bytes(2) + (b"\xc0" if header.compressed else b"\x80"), 30)
    return data[:place] + bytes(2) + data[place + 2:]


@pytest.mark.parametrize("name", ["atms_201", "iasi_241", "rado_250", "syno_4", "ship_11", "pdbufr_temp"])
def test_messages_without_subsets_and_empty_files(tmp_path, name):
    hollow = without_subsets(messages(name)[0])
    paths = [write(tmp_path / "hollow", hollow), write(tmp_path / "nothing"),
             write(tmp_path / "bulletin", b"\x01\r\r\n001\r\r\nISMD01 EGRR 181200\r\r\n\x03")]
    reader, platforms, wanted = {
        "rado_250": ("gnssro", ["Metop-A"], ["refractivity_5000"]), "syno_4": ("surface.land", ["land"], ["T2M"]),
        "ship_11": ("surface.sea", ["ship", "buoy"], ["T2M"]), "pdbufr_temp": ("radiosonde", ["radiosonde"], ["T500"]),
        "atms_201": ("bufr_sounder.atms", ["Suomi-NPP"], ["1"]), "iasi_241": ("bufr_sounder.iasi", ["Metop-A"], ["16"])}[name]
    found = {granule.file: granule for granule in readers.read(reader, paths, platforms, wanted)}
    assert set(found) == {"hollow", "nothing", "bulletin"}
    for granule in found.values():
        assert granule.footprints is None
        assert granule.count == 0
        assert granule.message
    assert "no subset" in found["hollow"].message
    assert found["nothing"].reason == found["hollow"].reason == Reason.EMPTY
    assert "zero bytes" in found["nothing"].message
