"""Sounders and occultations in NCEP's dumps, and PrepBUFR: miniatures of an encoder of ours."""

import logging
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fuxiflow.config import sources
from fuxiflow.observations import footprint_table, ingest, quality, readers
from fuxiflow.observations.footprint_table import column_values
from fuxiflow.observations.ncep_bufr import read_ncep_reports
from fuxiflow.observations.readers import nnja_ai
from fuxiflow.observations.rejection_codes import Reason
from tests.support import bufr_files, ncep_files
from tests.support.ncep_files import OCCULTATION, SOUNDERS, NcepTables
from tests.support.report_files import atmosphere

KINDS = {"amsua": "NC021023", "mhs": "NC021027", "atms": "NC021203"}
NAMES = {"amsua": "1bamua", "mhs": "1bmhs", "atms": "atms", "gpsro": "gpsro", "iasi": "mtiasi"}
PLATFORMS = ["Metop-C", "NOAA-20"]
NOON = datetime(2022, 7, 1, 12)


def swath(kind, scans=8, extra=None, **kwargs):
    """Footprints of some scans: subsets, and what they are made of."""
    elements, values = bufr_files.swath(kind, scans=scans, **kwargs)
    return list(ncep_files.footprints(elements, values, KINDS[kind], extra)), elements, values


def write(folder, kind, content, cycle="20220701.t12z"):
    path = folder / f"gdas.{cycle}.{NAMES[kind]}.tm00.bufr_d"
    path.write_bytes(content)
    return path


def messages(kind, subsets, size=50, **how):
    tables = NcepTables(SOUNDERS[KINDS[kind]])
    parts = [subsets[first : first + size] for first in range(0, len(subsets), size)]
    return tables.messages() + b"".join(tables.message(part, NOON, **how) for part in parts)


def read(variant, *paths, platforms=PLATFORMS, channels=("1", "2", "3", "4", "5")):
    return list(readers.read(f"ncep.{variant}", paths, platforms, channels))


def used(granules):
    (granule,) = [granule for granule in granules if granule.footprints is not None]
    return granule


def lost(granule):
    return {(value.channel, value.reason): value.count for value in granule.values}


def codes(granule):
    return column_values(granule.footprints, "rejected").tolist()


@pytest.mark.parametrize("how", [{}, {"compressed": True}], ids=["plain", "compressed"])
@pytest.mark.parametrize("kind", KINDS)
def test_footprints_of_a_sounder(tmp_path, kind, how):
    subsets, elements, values = swath(kind)
    path = write(tmp_path, kind, messages(kind, subsets, **how))
    granule = used(read(kind, path))
    footprints = granule.footprints
    assert len(footprints) == granule.count == len(values)
    assert set(codes(granule)) == {Reason.USED}
    accuracy = 1e-4 if kind == "atms" else 0.01
    places = {"lat": 5001, "lon": 6001, "zenith": 7024, "azimuth": 5021}
    for name, code in places.items():
        assert_allclose(column_values(footprints, name), elements[code], atol=accuracy)
    assert_array_equal(column_values(footprints, "scan_position"), elements[5043])
    seconds = (column_values(footprints, "time") - np.datetime64("2022-07-01")) / np.timedelta64(
        1, "s"
    )
    expected = elements[4004] * 3600 + np.floor(elements[4005]) * 60 + elements[4006]
    assert_allclose(seconds, expected, atol=60.6)
    assert_allclose(footprint_table.values_of(footprints), values[:, :5], atol=0.006)
    assert granule.message == (nnja_ai.UNCORRECTED if kind != "atms" else "")


def test_channels_go_by_their_numbers(tmp_path):
    subsets, _, values = swath("mhs")
    for subset in subsets[:100]:
        subset["BRITCSTC"] = subset["BRITCSTC"][::-1]
    for subset in subsets[100:110]:
        for channel in subset["BRITCSTC"]:
            channel["CHNM"] = None
    granule = used(read("mhs", write(tmp_path, "mhs", messages("mhs", subsets))))
    assert_allclose(footprint_table.values_of(granule.footprints), values, atol=0.006)


def test_flags_of_atms_are_reasons(tmp_path):
    subsets, _, _ = swath("atms")
    subsets[5]["ATMSCH"][2]["ATMSCHQ"] = 1 << (12 - 4)
    subsets[7]["ATMSSQ"] = 1 << (20 - 14)
    subsets[9]["ATMSCH"][2]["TMBR"] = None
    subsets[11]["ATMSCH"][2]["TMBR"] = 600.0
    subsets[13]["ATMSCH"][2]["TMANT"] = 222.2
    path = write(tmp_path, "atms", messages("atms", subsets))
    granule = used(read("atms", path, channels=["3", "antenna_3"]))
    assert lost(granule) == {("3", Reason.FLAGGED): 1, ("3", Reason.IMPOSSIBLE): 1}
    assert codes(granule)[7] == Reason.QUALITY
    values = footprint_table.values_of(granule.footprints)
    assert np.isnan(values[[5, 9, 11], 0]).all()
    assert values[13, 1] == np.float32(222.2)


def test_other_platforms_reports_and_damage_are_told(tmp_path):
    subsets, _, _ = swath("amsua")
    for subset in subsets[:60]:
        subset["SAID"] = 784
    other = NcepTables(SOUNDERS["NC021203"], report=363219, first=361101)
    content = messages("amsua", subsets[:200]) + other.messages()
    content += other.message(swath("atms", scans=1)[0][:7]) + messages("amsua", subsets[200:])[:-20]
    granules = read("amsua", write(tmp_path, "amsua", content))
    refused = {granule.reason: granule for granule in granules if granule.footprints is None}
    assert refused[Reason.PLATFORM].count == 60
    assert refused[Reason.INSTRUMENT].count == 7
    assert "reports of NC021203, expected NC021023" in refused[Reason.INSTRUMENT].message
    assert "truncated" in refused[Reason.UNREADABLE].message
    assert refused[Reason.UNREADABLE].count == 40
    kept = sum(len(granule.footprints) for granule in granules if granule.footprints is not None)
    assert kept == 140


@pytest.mark.parametrize(
    ("content", "reason", "words"),
    [
        (b"", Reason.EMPTY, "zero bytes"),
        (b"<html>log in</html>", Reason.EMPTY, "no BUFR message of NC021023"),
        (NcepTables(SOUNDERS["NC021023"]).messages(), Reason.EMPTY, "no BUFR message of NC021023"),
    ],
)
def test_bad_files_are_refused(tmp_path, content, reason, words):
    (granule,) = read("amsua", write(tmp_path, "amsua", content))
    assert granule.reason == reason
    assert words in granule.message


def test_tables_without_the_temperatures_are_named(tmp_path):
    sequences = {
        "NC021023": SOUNDERS["NC021023"]["NC021023"],
        "BRITCSTC": "CHNM TMANT",
    }
    tables = NcepTables(sequences)
    content = tables.messages() + tables.message(swath("amsua")[0][:10])
    (granule,) = read("amsua", write(tmp_path, "amsua", content))
    assert granule.reason == Reason.UNREADABLE
    assert granule.message.startswith("NC021023 without TMBR_00001, TMBR_00002")
    assert granule.count == 10


def test_of_overlapping_cycles_each_footprint_counts_once(tmp_path):
    subsets, _, values = swath("amsua", start="2022-07-01T23:58:00", scans=60)
    write(tmp_path, "amsua", messages("amsua", subsets[:1200]), "20220702.t00z")
    write(tmp_path, "amsua", messages("amsua", subsets[900:]), "20220702.t06z")
    accounts = ingest.ingest(
        tmp_path,
        "*.1bamua.*bufr_d*",
        "ncep.amsua",
        "ncep_amsua",
        PLATFORMS,
        ["1"],
        datetime(2022, 7, 2).date(),
        tmp_path / "table.parquet",
        logging.getLogger(),
    )
    assert accounts["count"].sum() == len(subsets) + 300
    assert len(set(accounts["day"])) == 2
    table = footprint_table.read_footprints(tmp_path / "table.parquet")
    assert quality.duplicate_footprints(table).sum() == 300
    assert len(table) - 300 == len(values)


def occultation(satellite=4, place=(12.5, 30.25), flags=0, refractivity=True, bending=True):
    """A profile as NC003010 has it, with rays of two frequencies and the corrected one."""
    height = np.arange(1000.0, 50_000.0, 200.0)
    radius = 6_371_000.0
    profile = atmosphere(height)
    rays = [
        {
            "CLATH": place[0] + 0.001 * i,
            "CLONH": place[1],
            "ROSEQ2": [
                {"MEFR": 1.5e9, "IMPP": radius + h, "BNDA": (0.05, 1e-5)},
                {
                    "MEFR": 0,
                    "IMPP": radius + h,
                    "BNDA": (0.02 * np.exp(-h / 7000.0), 1e-5),
                    "FOST": (None, 13),
                },
            ],
        }
        for i, h in enumerate(height)
    ]
    levels = [
        {"HEIT": h, "ARFR": (n, 0.5), "FOST": (13, None)}
        for h, n in zip(height, profile, strict=True)
    ]
    subset = {
        "SAID": satellite,
        "PTID": 5,
        "YEAR": 2022,
        "MNTH": 7,
        "DAYS": 1,
        "HOUR": 11,
        "MINU": 30,
        "SECO": 15,
        "CLATH": place[0],
        "CLONH": place[1],
        "ELRC": radius,
        "GEODU": 0.0,
        "BEARAZ": 123.4,
        "QFRO": flags,
        "ROSEQ1": rays if bending else [],
        "ROSEQ3": levels if refractivity else [],
    }
    return subset, height, profile


IASI_CHANNELS = (16, 222, 1500, 3002, 8000)


def iasi_footprint(position=1, channels=IASI_CHANNELS, kelvin=250.0, **changes):
    """A footprint of IASI by hand: Planck's law in W m-2 sr-1 m, scaled by bands."""
    ends = [1, 600, 1200, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 8462]
    scales = [7, 7, 8, 8, 8, 9, 9, 9, 9, 9]
    bands = [
        {"STCH": first, "ENCH": end - 1, "CHSF": scale}
        for first, end, scale in zip(ends, ends[1:], scales, strict=False)
    ]
    rows = []
    for number in channels:
        scale = next(band["CHSF"] for band in bands if band["STCH"] <= number <= band["ENCH"])
        wave = 64500.0 + 25.0 * (number - 1)
        radiance = 1.191042972e-16 * wave**3 / np.expm1(0.01438776877 * wave / kelvin)
        rows.append({"CHNM": number, "SCRA": round(radiance * 10.0**scale)})
    angle = (10 / 3) * ((position - 1) // 4 - 14.5)
    zenith = np.degrees(np.arcsin(np.sin(np.radians(abs(angle))) * (6371 + 817) / 6371))
    return {
        **{"SAID": 5, "SIID": 221, "FOVN": position, "SAZA": zenith, "QGFQ": 0},
        **{"YEAR": 2022, "MNTH": 7, "DAYS": 1, "HOUR": 12, "MINU": 1, "SECO": 2},
        **{"CLATH": 40.0 + 0.01 * position, "CLONH": 11.5, "BEARAZ": 100.0},
        "IASIL1CB": bands,
        "IASICHN": rows,
    } | changes


@pytest.mark.parametrize("how", [{}, {"compressed": True}], ids=["plain", "compressed"])
def test_iasi_becomes_brightness_temperatures(tmp_path, how):
    tables = NcepTables(ncep_files.IASI)
    subsets = [iasi_footprint(position, kelvin=230.0 + position) for position in range(1, 41)]
    subsets[3]["QGFQ"] = 1
    subsets[5]["IASICHN"][2]["SCRA"] = None
    # a band without its exponent
    subsets[7]["IASIL1CB"][0] = {"STCH": 1, "ENCH": 599}
    content = tables.messages() + tables.message(subsets, NOON, **how)
    path = tmp_path / "gdas.20220701.t12z.mtiasi.tm00.bufr_d"
    path.write_bytes(content)
    names = [*map(str, IASI_CHANNELS), "17"]
    granule = used(read("iasi", path, channels=names))
    values = footprint_table.values_of(granule.footprints)
    expected = np.repeat(231.0 + np.arange(40)[:, None], 5, axis=1)
    expected[5, 2] = expected[7, :2] = np.nan
    assert codes(granule)[3] == Reason.QUALITY
    rows = [row for row in range(40) if row != 3]
    assert_allclose(values[rows, :4], expected[rows, :4], atol=0.1)
    assert np.isnan(values[:, 5]).all()
    assert "it has no channel 17" in granule.message
    assert_array_equal(column_values(granule.footprints, "scan_position"), np.arange(1, 41))


def test_iasi_without_any_of_the_channels_is_refused(tmp_path):
    tables = NcepTables(ncep_files.IASI)
    path = tmp_path / "gdas.20220701.t12z.mtiasi.tm00.bufr_d"
    path.write_bytes(tables.messages() + tables.message([iasi_footprint()], NOON))
    (granule,) = read("iasi", path, channels=["17", "18"])
    assert granule.reason == Reason.UNREADABLE
    assert granule.message.startswith("NC021241 without TMBR_00017, TMBR_00018")


def test_earth2bufr_reads_the_same_scaled_radiances(tmp_path):
    earth2bufr = pytest.importorskip("earth2bufr")
    tables = NcepTables(ncep_files.IASI)
    path = tmp_path / "gdas.20220701.t12z.mtiasi.tm00.bufr_d"
    path.write_bytes(tables.messages() + tables.message([iasi_footprint()], NOON))
    (batch,) = earth2bufr.read_bufr(str(path))
    theirs = batch.column(batch.schema.names.index("DRF16BIT"))[0].as_py()
    assert theirs == iasi_footprint()["IASICHN"]
    ((_, _, reports),) = read_ncep_reports(path, ["CHNM", "SCRA"])
    ours = reports.part("IASICHN").values
    for name in ("CHNM", "SCRA"):
        assert_array_equal(ours[name][0], [row[name] for row in theirs])


CHANNELS = [f"refractivity_{height}" for height in (2000, 5000, 10000, 20000)]


def test_occultations(tmp_path):
    tables = NcepTables(OCCULTATION)
    subset, height, profile = occultation()
    flagged = occultation(3, flags=1 << 10)[0]
    foreign = occultation(825)[0]
    bent = occultation(5, refractivity=False)[0]
    content = tables.messages() + tables.message([subset, flagged, foreign], NOON)
    content += tables.message([bent], NOON)
    path = write(tmp_path, "gpsro", content)
    platforms = ["Metop-A", "Metop-B", "Metop-C"]
    granules = read("gpsro", path, platforms=platforms, channels=CHANNELS)
    refused = [granule for granule in granules if granule.footprints is None]
    assert [(granule.reason, granule.count) for granule in refused] == [(Reason.PLATFORM, 1)]
    table = used(granules).footprints
    rows = {name: row for row, name in enumerate(table["platform"].to_pylist())}
    values = footprint_table.values_of(table)
    at = [int(name.partition("_")[2]) for name in CHANNELS]
    expected = np.exp(np.interp(at, height, np.log(profile)))
    assert_allclose(values[rows["Metop-A"]], expected, rtol=1e-4)
    assert column_values(table, "rejected")[rows["Metop-B"]] == Reason.QUALITY
    assert np.isfinite(values[rows["Metop-C"]]).all()
    assert_allclose(column_values(table, "lat")[rows["Metop-A"]], 12.5, atol=0.1)
    assert_allclose(column_values(table, "azimuth")[rows["Metop-A"]], 123.4, atol=1e-4)
    when = column_values(table, "time")[rows["Metop-A"]]
    assert when == np.datetime64("2022-07-01T11:30:15")


def test_flags_of_bending_angles_count_where_they_are_used(tmp_path):
    tables = NcepTables(OCCULTATION)
    bits = 1 << 11  # bit 5 of 16
    subsets = [occultation(4, flags=bits)[0], occultation(3, flags=bits, refractivity=False)[0]]
    path = write(tmp_path, "gpsro", tables.messages() + tables.message(subsets, NOON))
    granules = read("gpsro", path, platforms=["Metop-A", "Metop-B"], channels=CHANNELS)
    table = used(granules).footprints
    reasons = dict(
        zip(table["platform"].to_pylist(), column_values(table, "rejected"), strict=True)
    )
    assert reasons == {"Metop-A": Reason.USED, "Metop-B": Reason.QUALITY}


@pytest.mark.parametrize("name", ["ncep_amsua", "ncep_mhs", "ncep_atms", "ncep_iasi", "ncep_gpsro"])
def test_sources_name_their_files(name):
    source = sources.load_source(name)
    file = f"gdas.20220701.t12z.{NAMES[source.instrument.replace('gnssro', 'gpsro')]}.tm00.bufr_d"
    assert readers.sort_by_pattern([Path(file)], source.file_pattern)[0]
    others = [Path("gdas.20220701.t12z.prepbufr.nr"), Path("gdas.20220701.NC021023.parquet")]
    assert not readers.sort_by_pattern(others, source.file_pattern)[0]
    list(readers.read(source.reader, [], source.platform_names, source.channel_names))
