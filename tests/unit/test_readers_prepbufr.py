"""PrepBUFR: stations, ships, buoys and radiosondes of miniatures, and a real file."""

from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fuxiflow import physics
from fuxiflow.config import sources
from fuxiflow.observations import footprint_table, ingest, readers
from fuxiflow.observations.footprint_table import column_values
from fuxiflow.observations.ncep_bufr import read_ncep_reports
from fuxiflow.observations.readers import prepbufr
from fuxiflow.observations.rejection_codes import Reason
from tests.support.ncep_files import prep_level, prep_report, prepbufr_tables

LAND = ["T2M", "R2M", "U10", "V10", "PS", "MSL"]
SEA = [*LAND, "SST"]
NOON = datetime(2022, 7, 1, 12)
NAME = "gdas.20220701.t12z.prepbufr.nr"
REAL = Path("../shared/cases/7_unclear_messages/prepbufr/gdas.t12z.sfcshp.prepbufr")
MASS = {"p": [(850.5, 2)], "t": [(20.0, 2)], "q": [(8000, 2)]}


def write(folder, kind, *subsets, more=b"", name=NAME):
    tables = prepbufr_tables(kind)
    path = folder / name
    path.write_bytes(tables.messages() + tables.message(subsets, NOON) + more)
    return path


def read(variant, path, platforms=("land", "ship", "buoy", "radiosonde"), channels=None):
    channels = channels or {"land": LAND, "sea": SEA}.get(variant)
    return list(readers.read(f"prepbufr.{variant}", [path], list(platforms), channels))


def only(variant, path, **kwargs):
    (granule,) = read(variant, path, **kwargs)
    return granule


def values(granule):
    return footprint_table.values_of(granule.footprints)


def marks(granule):
    return {(lost.channel, lost.message): lost.count for lost in granule.values}


def test_mass_and_wind_of_a_report_are_joined(tmp_path):
    path = write(
        tmp_path,
        "ADPSFC",
        prep_report(181, [prep_level(0, **MASS)], 7, sea_level=(1015.2, 1)),
        prep_report(281, [prep_level(6, p=[(850.5, 2)], w=[(3.4, -2.1, 2)])], 7),
        prep_report(187, [prep_level(0, **MASS)], 8, SID="KDEN"),
    )
    granule = only("land", path)
    table = granule.footprints
    assert granule.count == 2
    assert table["station"].to_pylist() == ["72469", "KDEN"]
    assert set(table["platform"].to_pylist()) == {"land"}
    assert_array_equal(column_values(table, "time"), [np.datetime64("2022-07-01T11:30")] * 2)
    assert_allclose(column_values(table, "lon"), 255.13 - 360, atol=1e-4)
    assert_array_equal(column_values(table, "height"), [1611, 1611])
    relative = physics.relative_humidity(0.008, 293.15, 850.5)
    # humidity over water is what stations report; above freezing both are equal
    expected = [293.15, relative, 3.4, -2.1, 85050, 101520]
    assert_allclose(values(granule)[0], expected, rtol=1e-3)
    assert_allclose(
        values(granule)[1], [293.15, relative, np.nan, np.nan, 85050, np.nan], rtol=1e-3
    )
    assert not granule.values


def test_mass_and_wind_are_joined_across_messages(tmp_path, monkeypatch):
    monkeypatch.setattr("fuxiflow.observations.ncep_bufr.BATCH", 1)
    wind = prep_report(281, [prep_level(6, p=[(850.5, 2)], w=[(3.4, -2.1, 2)])], 7)
    more = prepbufr_tables("ADPSFC").message([wind], NOON)
    path = write(tmp_path, "ADPSFC", prep_report(181, [prep_level(0, **MASS)], 7), more=more)
    granule = only("land", path)
    assert granule.count == 1
    assert np.isfinite(values(granule)[0, :5]).all()


def test_the_newest_event_counts_and_its_mark_is_in_the_ledger(tmp_path):
    newest = {"p": [(850.0, 2), (700.0, 9)], "t": [(25.0, 8), (20.0, 2)], "q": [(8000, 3)]}
    path = write(tmp_path, "ADPSFC", prep_report(181, [prep_level(0, **newest)]))
    granule = only("land", path)
    assert_allclose(values(granule)[0], [*[np.nan] * 4, 85000, np.nan])
    expected = {"T2M": 8, "R2M": 3}
    assert marks(granule) == {
        (channel, f"quality mark {mark} of NCEP"): 1 for channel, mark in expected.items()
    }
    assert {lost.reason for lost in granule.values} == {Reason.FLAGGED}


def test_virtual_temperatures_are_told_from_those_of_air(tmp_path):
    humidity = 0.012
    virtual = physics.virtual_temperature(293.15, humidity) - 273.15
    stacked = {"t": [(virtual, 2, 8), (20.0, 2, 1)], "q": [(12000, 2)]}
    alone = {"t": [(virtual, 2, 8)], "q": [(12000, 2)]}
    dry = {"t": [(virtual, 2, 8)]}
    pressure = {"p": [(1000.0, 2)]}
    path = write(
        tmp_path,
        "ADPSFC",
        *(
            prep_report(181, [prep_level(0, **pressure, **events)], i, SID=f"0000{i}")
            for i, events in enumerate((stacked, alone, dry))
        ),
    )
    granule = only("land", path)
    assert_allclose(values(granule)[:, 0], [293.15, 293.15, np.nan], atol=0.06)
    text = "a virtual temperature without humidity"
    assert marks(granule) == {("T2M", text): 1}


@pytest.mark.parametrize(("kind", "measured"), [(181, True), (187, True), (183, False)])
def test_a_nominal_pressure_is_no_observation(tmp_path, kind, measured):
    path = write(tmp_path, "ADPSFC", prep_report(kind, [prep_level(0, **MASS)]))
    assert np.isfinite(values(only("land", path))[0, 4]) == measured


def test_ships_and_buoys_and_other_types(tmp_path):
    path = write(
        tmp_path,
        "SFCSHP",
        prep_report(180, [prep_level(0, **MASS)], 1, SID="WCX7445", water=(285.5, 2)),
        prep_report(180, [prep_level(0, **MASS)], 2, SID="44150", water=(285.5, 9)),
        prep_report(282, [prep_level(6, w=[(5.0, 0.0, 2)])], 3, SID="51011"),
        prep_report(180, [prep_level(0, **MASS)], 4, SID="SHIP"),
        prep_report(182, [prep_level(0, **MASS)], 5, SID="AF300"),
    )
    granules = read("sea", path)
    refused = [granule for granule in granules if granule.footprints is None]
    assert [(granule.reason, granule.count) for granule in refused] == [(Reason.INSTRUMENT, 1)]
    assert refused[0].message == "report type 182 of SFCSHP is not used"
    ships, buoys = (granule for granule in granules if granule.footprints is not None)
    assert sorted(ships.footprints["station"].to_pylist()) == ["", "WCX7445"]
    assert sorted(buoys.footprints["station"].to_pylist()) == ["44150", "51011"]
    rows = dict(zip(ships.footprints["station"].to_pylist(), values(ships)[:, 6], strict=True))
    assert rows["WCX7445"] == np.float32(285.5)
    assert marks(buoys) == {("SST", "quality mark 9 of NCEP"): 1}
    (refused,) = [
        granule
        for granule in read("sea", path, platforms=["ship"])
        if granule.count == 2 and granule.footprints is None
    ]
    assert refused.reason == Reason.PLATFORM


def sounding(number=1, pressures=(1000, 925, 850, 700, 500, 400, 300, 250, 200), wind=True, **head):
    """Mass and wind of a sounding: 20 °C at 1000 hPa and 6.5 K less each kilometre."""
    height = [7400 * np.log(1013 / pressure) for pressure in pressures]
    mass = [
        prep_level(
            0 if i == 0 else 1,
            p=[(pressure, 2)],
            t=[(20 - 0.0065 * high, 2)],
            q=[(1000, 2)],
            z=[(round(high), 2)],
            drift=(255.13 + i / 10, 39.77, -0.5 + i / 100),
        )
        for i, (pressure, high) in enumerate(zip(pressures, height, strict=True))
    ]
    winds = [prep_level(1, p=[(pressure, 2)], w=[(10.0, -5.0, 2)]) for pressure in pressures]
    reports = [prep_report(120, mass, number, **head)]
    return reports + ([prep_report(220, winds, number, **head)] if wind else [])


LEVELS = ["T850", "T500", "Z500", "U500", "V250", "R850", "T600"]


def test_soundings(tmp_path):
    path = write(tmp_path, "ADPUPA", *sounding(), *sounding(2, wind=False, SID="10393"))
    granule = only("radiosondes", path, channels=LEVELS)
    assert granule.count == 2
    assert granule.footprints["station"].to_pylist() == ["10393", "72469"]
    assert_array_equal(column_values(granule.footprints, "height"), [1611, 1611])
    height = {level: 7400 * np.log(1013 / level) for level in (850, 500)}
    temperature = {level: 293.15 - 0.0065 * high for level, high in height.items()}
    row = dict(zip(LEVELS, values(granule)[1], strict=True))
    assert_allclose(row["T850"], temperature[850], atol=0.06)
    assert_allclose(row["T500"], temperature[500], atol=0.06)
    assert_allclose(row["Z500"], 9.80665 * height[500], atol=6)
    assert (round(float(row["U500"]), 3), round(float(row["V250"]), 3)) == (10, -5)
    relative = physics.relative_humidity(0.001, temperature[850], 850.0)
    assert_allclose(row["R850"], relative, rtol=0.01)
    assert np.isfinite(row["T600"])
    assert np.isnan(values(granule)[0, LEVELS.index("U500")])


def test_marks_and_auxiliary_levels_of_soundings(tmp_path):
    mass, wind = sounding()
    mass["PRSLEVEL"][4]["T___INFO"][0]["T__EVENT"][0]["TQM"] = 13
    mass["PRSLEVEL"][2]["CAT"] = 7
    wind["PRSLEVEL"] = wind["PRSLEVEL"][:5]
    path = write(tmp_path, "ADPUPA", mass, wind)
    granule = only("radiosondes", path, channels=["T500", "R500", "U500", "T850"])
    assert {(lost.channel, lost.reason): lost.count for lost in granule.values} == {
        ("T500", Reason.FLAGGED): 1,
        ("R500", Reason.FLAGGED): 1,
    }
    row = values(granule)[0]
    assert row[2] == np.float32(10)
    # 850 hPa is interpolated between its neighbours: the level in the file was not observed
    expected = np.interp(
        np.log(850),
        np.log([700, 925]),
        [293.15 - 0.0065 * 7400 * np.log(1013 / level) for level in (700, 925)],
    )
    assert_allclose(row[3], expected, atol=0.1)


def test_other_kinds_are_passed_over(tmp_path):
    other = prepbufr_tables("SFCSHP")
    more = other.messages() + other.message([prep_report(180, [prep_level(0, **MASS)])], NOON)
    path = write(tmp_path, "ADPSFC", prep_report(181, [prep_level(0, **MASS)]), more=more)
    assert only("land", path).count == 1
    assert only("sea", path).count == 1
    (granule,) = read("radiosondes", path, channels=["T500"])
    assert (granule.reason, granule.message) == (Reason.EMPTY, "no BUFR message of ADPUPA")


@pytest.mark.parametrize(
    "name", ["prepbufr_land_stations", "prepbufr_ships_buoys", "prepbufr_radiosondes"]
)
def test_sources_name_their_files(name):
    source = sources.load_source(name)
    assert readers.sort_by_pattern([Path(NAME)], source.file_pattern)[0]
    assert not list(readers.read(source.reader, [], source.platform_names, source.channel_names))


def test_the_table_of_types_has_each_type_once():
    for types in prepbufr.TYPES.values():
        listed = Counter((*types.mass, *types.wind))
        assert set(listed.values()) == {1}
        assert set(types.pressure) <= set(types.mass)
        assert {kind // 100 for kind in types.mass} == {1}
        assert {kind // 100 for kind in types.wind} == {2}


@pytest.mark.skipif(not REAL.exists(), reason="the real file is not beside this checkout")
def test_a_real_file(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / REAL.name).write_bytes(REAL.read_bytes())
    source = sources.load_source("prepbufr_ships_buoys")
    accounts = ingest.ingest(
        tmp_path / "raw",
        source.file_pattern,
        source.reader,
        source.name,
        source.platform_names,
        source.channel_names,
        datetime(2020, 11, 1).date(),
        tmp_path / "table.parquet",
        ingest.logging.getLogger(),
    )
    joined: Counter = Counter()
    for _, _, reports in read_ncep_reports(REAL, ["SID", "SQN", "TYP"]):
        keys = zip(reports.first("SID").tolist(), reports.first("SQN").tolist(), strict=True)
        joined.update(keys)
    whole = accounts[(accounts["channel"] == "") & (accounts["reason"] == "read")]
    assert whole["count"].sum() == len(joined) > 1000
    flagged = accounts[accounts["reason"] == "flagged"]
    assert {"quality mark 9 of NCEP", "quality mark 14 of NCEP"} <= set(flagged["message"])
    table = footprint_table.read_footprints(tmp_path / "table.parquet")
    temperature = column_values(table, "channel_T2M")
    assert 280 < np.nanmedian(temperature) < 295
