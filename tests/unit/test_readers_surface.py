"""Land stations, ships and buoys from BUFR: values, conversions, identities, odd reports."""

import numpy as np
import pdbufr
import pytest

from fuxiflow import physics
from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.rejection_codes import Reason
from tests.support import report_files as files
from tests.support.helpers import realdata

LAND = ["T2M", "R2M", "U10", "V10", "PS", "MSL"]
SEA = [*LAND, "SST"]
REPLICATIONS = {"delayedDescriptorReplicationFactor": [0, 0]}
BULLETIN = b"\x01\r\r\n123\r\r\nISMD01 EDZW 011200\r\r\n"


def read(path, kind="land", platforms=("land",), channels=LAND):
    return list(readers.read(f"surface.{kind}", [path], list(platforms), channels))


def only(*args, **kwargs):
    (granule,) = read(*args, **kwargs)
    return granule.footprints


def write(tmp_path, *messages, name="x.bufr"):
    path = tmp_path / name
    path.write_bytes(b"".join(messages))
    return path


def land(*subsets, **kwargs):
    return files.bufr(files.LAND, subsets, 0, replications=REPLICATIONS, **kwargs)


def sea(*subsets, **kwargs):
    return files.bufr(
        files.SHIP, subsets, 1, replications={"delayedDescriptorReplicationFactor": [0]}, **kwargs
    )


def test_a_station_in_todays_template(tmp_path):
    found = only(write(tmp_path, land(files.land())))
    temperature, humidity, u, v, pressure, sea_level = footprint_table.values_of(found)[0]
    assert (temperature, pressure, sea_level) == pytest.approx((290.15, 100850, 101430))
    assert (u, v) == pytest.approx((5 * np.sin(np.pi / 3), 2.5), abs=1e-5)
    water = 6.112 * np.exp(
        17.62 * np.array([10.0, 17.0]) / (243.12 + np.array([10.0, 17.0]))
    )  # Sonntag (1990)
    assert humidity == pytest.approx(100 * water[0] / water[1], abs=0.1)
    assert found["station"].to_pylist() == ["10384"]
    assert found["platform"].to_pylist() == ["land"]
    assert found["file"].to_pylist() == ["x.bufr"]
    assert footprint_table.column_values(found, "time")[0] == np.datetime64("2022-07-01T12:00")
    assert (
        footprint_table.column_values(found, "lat")[0],
        footprint_table.column_values(found, "lon")[0],
    ) == pytest.approx((52.5, 13.4))
    assert footprint_table.column_values(found, "rejected").tolist() == [Reason.USED]


@pytest.mark.parametrize("compressed", [False, True])
def test_several_subsets(tmp_path, compressed):
    subsets = [files.land(station=i, lat=10.0 + i, airTemperature=280.0 + i) for i in range(1, 6)]
    found = only(write(tmp_path, land(*subsets, compressed=compressed)))
    assert found["station"].to_pylist() == [f"1000{i}" for i in range(1, 6)]
    assert footprint_table.column_values(found, "lat") == pytest.approx(np.arange(11.0, 16.0))
    assert footprint_table.values_of(found)[:, 0] == pytest.approx(np.arange(281.0, 286.0))
    assert (footprint_table.values_of(found)[:, 5] == 101430).all()


def test_heights_of_stations_travel_in_the_table(tmp_path):
    """Those of the ground count before those of the barometer; a ship has none."""
    ground, barometer = (
        f"heightOf{what}AboveMeanSeaLevel" for what in ("StationGround", "Barometer")
    )
    subsets = [
        files.land(station=1) | {ground: 48.5, barometer: 50.0},
        files.land(station=2) | {barometer: -12.0},
        files.land(station=3),
        files.land(station=4) | {ground: 12_707.1, barometer: 7.0},
    ]
    found = only(write(tmp_path, land(*subsets)))
    heights = footprint_table.column_values(found, "height")
    np.testing.assert_array_equal(heights, np.float32([48.5, -12.0, np.nan, 7.0]))
    at_sea = only(write(tmp_path, sea(files.ship())), "sea", ("ship",), SEA)
    assert np.isnan(footprint_table.column_values(at_sea, "height")).all()


def test_bulletin_headers_between_messages(tmp_path):
    one, two = (
        land(files.land(station=1)),
        land(files.land(station=2), files.land(station=3), compressed=True),
    )
    found = only(write(tmp_path, BULLETIN, one, b"\r\r\n\x03", BULLETIN, two, b"\0" * 20))
    assert found["station"].to_pylist() == ["10001", "10002", "10003"]


def test_readings_at_the_ground_are_no_air_temperature(tmp_path):
    subset = files.land() | {f"#1#{files.SENSOR}": 0.05}
    values = footprint_table.values_of(only(write(tmp_path, land(subset))))[0]
    assert np.isnan(values[:2]).all()
    assert np.isfinite(values[2:]).all()


def test_chosen_channels_keep_their_order_and_unknown_ones_list_the_known(tmp_path):
    path = write(tmp_path, land(files.land()))
    found = only(path, channels=["MSL", "T2M"])
    assert footprint_table.channels_of(found) == ["MSL", "T2M"]
    assert footprint_table.values_of(found)[0] == pytest.approx([101430, 290.15])
    with pytest.raises(ValueError, match="no channel SST; known: T2M, R2M"):
        read(path, channels=["SST"])


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"windSpeed": 180.0}, [2, 3]),
        ({"windDirection": 400.0}, [2, 3]),
        ({"windSpeed": 0.0, "windDirection": 0.0}, []),
    ],
)
def test_impossible_winds_are_missing(tmp_path, change, missing):
    values = footprint_table.values_of(only(write(tmp_path, land(files.land() | change))))[0]
    assert np.flatnonzero(np.isnan(values)).tolist() == missing


@pytest.mark.parametrize("change", [{"day": 3}, {"month": 13}, {"hour": 24}, {"year": 2021}])
def test_times_far_from_the_header_are_coded(tmp_path, change):
    found = only(write(tmp_path, land(files.land(), files.land(station=2) | change)))
    assert sorted(footprint_table.column_values(found, "rejected").tolist()) == [
        Reason.USED,
        Reason.TIME,
    ]
    assert np.isnat(footprint_table.column_values(found, "time")).sum() == 1


def test_reports_without_a_value_are_counted(tmp_path):
    found = only(
        write(
            tmp_path,
            land(
                files.TIME
                | {"blockNumber": 10, "stationNumber": 1, "latitude": 50.0, "longitude": 8.0}
            ),
        )
    )
    assert footprint_table.column_values(found, "rejected").tolist() == [Reason.MISSING]


def test_the_fuller_of_two_reports_comes_first(tmp_path):
    poor = {key: value for key, value in files.land().items() if "ressure" not in key}
    found = only(write(tmp_path, land(poor), land(files.land())))
    assert np.isfinite(footprint_table.values_of(found)).sum(axis=1).tolist() == [6, 4]


def test_ships(tmp_path):
    found = only(
        write(tmp_path, sea(files.ship(), files.ship("SHIP"))), "sea", ["ship", "buoy"], SEA
    )
    assert found["station"].to_pylist() == ["", "DBLK"]
    values = footprint_table.values_of(found)[1]
    assert values[[0, 2, 3, 5, 6]] == pytest.approx([288.0, -10, 0, 101230, 288.2], abs=1e-5)
    assert values[1] == pytest.approx(80.0, abs=1e-4)
    assert set(found["platform"].to_pylist()) == {"ship"}


def test_deep_water_is_no_surface(tmp_path):
    subset = files.ship() | {"#1#depthBelowWaterSurface": 40.0}
    assert np.isnan(
        footprint_table.values_of(only(write(tmp_path, sea(subset)), "sea", ["ship"], SEA))[0, 6]
    )


def test_buoys(tmp_path):
    subset = files.TIME | {
        "marineObservingPlatformIdentifier": 4401234,
        "latitude": -40.0,
        "longitude": 100.0,
        "oceanographicWaterTemperature": 285.5,
        "nonCoordinatePressure": 101000.0,
    }
    replications = {
        "shortDelayedDescriptorReplicationFactor": [0, 0, 0, 0],
        "delayedDescriptorReplicationFactor": [0],
    }
    message = files.bufr(files.BUOY, [subset], 1, replications=replications)
    found = only(write(tmp_path, message, sea(files.ship())), "sea", ["ship", "buoy"], SEA)
    assert found["platform"].to_pylist() == ["buoy", "ship"]
    assert found["station"].to_pylist() == ["4401234", "DBLK"]
    assert footprint_table.values_of(found)[0, [4, 6]] == pytest.approx([101000, 285.5])
    used, refused = sorted(
        read(write(tmp_path, message, sea(files.ship())), "sea", ["buoy"], SEA),
        key=lambda granule: granule.reason,
    )
    assert used.footprints["platform"].to_pylist() == ["buoy"]
    assert (refused.reason, refused.count, refused.message) == (
        Reason.PLATFORM,
        1,
        "ship, expected buoy",
    )


def test_what_is_of_another_kind_or_damaged_is_named_and_counted(tmp_path):
    good, other = land(files.land()), sea(files.ship(), files.ship("X"))
    damaged = land(files.land(), files.land(station=2))[:-9] + b"7777"
    found = read(write(tmp_path, good, other, damaged, good[:60]))
    refused = {
        granule.reason: granule
        for granule in found
        if granule.footprints is None and granule.count != 0
    }
    assert sum(len(granule.footprints) for granule in found if granule.footprints) == 1
    assert refused[Reason.PLATFORM].message == "BUFR of category 1, expected 0"
    assert refused[Reason.PLATFORM].count == 2
    damage = [granule for granule in found if granule.reason == Reason.UNREADABLE]
    assert sorted(granule.message.split(":")[0] for granule in damage) == [
        f"message at octet {len(good) + len(other)}",
        f"message at octet {len(good) + len(other) + len(damaged)}",
    ]


def test_files_without_a_message(tmp_path):
    assert read(write(tmp_path))[0].reason == Reason.EMPTY
    assert read(write(tmp_path, b"METAR EDDB 011220Z"))[0].reason == Reason.EMPTY
    assert read(tmp_path / "absent.bufr")[0].reason == Reason.UNREADABLE


def test_fifteen_thousand_real_reports_equal_pdbufr():
    path = realdata("bufr/pdbufr_perf_synop.bufr")
    names = [
        "latitude",
        "longitude",
        "airTemperatureAt2M",
        "dewpointTemperatureAt2M",
        "windDirectionAt10M",
        "windSpeedAt10M",
        "nonCoordinatePressure",
        "pressureReducedToMeanSeaLevel",
        "relativeHumidity",
    ]
    theirs = pdbufr.read_bufr(
        path, columns=["blockNumber", "stationNumber", *names], required_columns=False
    )
    found = only(path)
    assert len(found) == len(theirs) == 15824
    rejected = footprint_table.column_values(found, "rejected")
    assert np.bincount(rejected).tolist() == [
        7873,
        0,
        0,
        7951,
    ]  # the others are second parts, without these quantities
    station = (1000 * theirs["blockNumber"] + theirs["stationNumber"]).map("{:05.0f}".format)
    values = theirs[names].astype(float).to_numpy()
    assert (values[:, 5] > 150).sum() == 1  # a report of 349 m/s
    speed, direction = np.where(values[:, 5] > 150, np.nan, values[:, 5]), np.deg2rad(values[:, 4])
    vapour = np.where(
        np.isfinite(values[:, 3]),
        100 * physics.saturation_over_water(values[:, 3]),
        values[:, 8] * physics.saturation_over_water(values[:, 2]),
    )
    humidity = vapour / physics.saturation_vapour_pressure(values[:, 2])
    expected = np.stack(
        [
            values[:, 2],
            humidity,
            -speed * np.sin(direction),
            -speed * np.cos(direction),
            values[:, 6],
            values[:, 7],
        ],
        axis=1,
    )
    theirs = np.column_stack([values[:, 0], values[:, 1], expected]).astype(np.float32)
    ours = np.column_stack(
        [
            footprint_table.column_values(found, "lat"),
            footprint_table.column_values(found, "lon"),
            footprint_table.values_of(found),
        ]
    )

    def ordered(names, rows):
        rows = np.where(np.isnan(rows), -1e9, rows)
        order = np.lexsort((*rows.T, names))
        return np.asarray(names)[order], rows[order]

    ours, theirs = ordered(found["station"].to_pylist(), ours), ordered(station.to_list(), theirs)
    assert (ours[0] == theirs[0]).all()
    np.testing.assert_allclose(ours[1], theirs[1], rtol=2e-6, atol=2e-4)


def test_real_ships_equal_direct_decoding():
    import eccodes

    found = only(realdata("bufr/ship_11.bufr"), "sea", ["ship", "buoy"], SEA).to_pandas()
    assert len(found) == 15
    assert (found["rejected"] == Reason.USED).sum() == 9
    used = found[found["rejected"] == 0].set_index("station")
    with open(realdata("bufr/ship_11.bufr"), "rb") as file:
        while (handle := eccodes.codes_bufr_new_from_file(file)) is not None:
            eccodes.codes_set(handle, "unpack", 1)
            if eccodes.codes_is_defined(handle, "airTemperatureAt2M"):
                row = used.loc[
                    eccodes.codes_get_string(handle, "shipOrMobileLandStationIdentifier").strip()
                ]
                for channel, name in {
                    "T2M": "airTemperatureAt2M",
                    "MSL": "pressureReducedToMeanSeaLevel",
                    "SST": "oceanographicWaterTemperature",
                }.items():
                    value = eccodes.codes_get_double(handle, name)
                    assert row[f"channel_{channel}"] == pytest.approx(
                        value if value > -1e99 else np.nan, nan_ok=True
                    )
            eccodes.codes_release(handle)


@pytest.mark.slow
def test_flipped_bits_cost_what_they_hit(tmp_path):
    """200 flips and cuts of real reports.

    Every report stays accounted for, within its day and on the Earth.
    """
    paths = files.spoiled(
        tmp_path, [realdata("bufr/syno_4.bufr"), realdata("bufr/ship_11.bufr")], 100
    )
    for kind, platforms, count, name in (
        ("land", ["land"], 50, "syno_4"),
        ("sea", ["ship", "buoy"], 15, "ship_11"),
    ):
        mine = [path for path in paths if name in path.name]
        found = list(readers.read(f"surface.{kind}", mine, platforms, LAND))
        accounted, size = files.accounted(found), realdata(f"bufr/{name}.bufr").stat().st_size
        assert all(accounted[path.name] >= count for path in mine if path.stat().st_size == size)
        rows = files.used(found)
        assert len(rows) > 0.3 * count * len(mine)
        assert rows["lat"].between(-90, 90).all()
        assert rows["lon"].between(-180, 180).all()
        assert rows["time"].notna().all()
        assert rows["time"].dt.year.eq(2012).mean() > 0.99


@pytest.mark.parametrize(
    ("change", "channels", "reason"),
    [
        ({"heightOfSensorAboveLocalGroundOrDeckOfMarinePlatform": 0.0}, {"T2M", "R2M"}, "HEIGHT"),
        ({"windSpeed": 180.0}, {"U10", "V10"}, "IMPOSSIBLE"),
        ({}, set(), "HEIGHT"),
    ],
)
def test_what_a_report_loses_has_a_reason(tmp_path, change, channels, reason):
    (granule,) = read(write(tmp_path, land(files.land() | change)))
    assert {(lost.channel, lost.reason, lost.count, str(lost.day)) for lost in granule.values} == {
        (channel, Reason[reason], 1, "2022-07-01") for channel in channels
    }


def test_a_corrected_bulletin_comes_before_what_it_corrects(tmp_path):
    first = land(files.land(airTemperature=280.0))
    second = land(files.land(airTemperature=290.0))
    heading = b"\x01\r\r\n124\r\r\nISMD01 EDZW 011200 CCA\r\r\n"
    for name, content in {
        "one_file": BULLETIN + first + heading + second,
        "update_number": first + second[:16] + b"\1" + second[17:],
    }.items():
        found = only(write(tmp_path, content, name=name))
        assert footprint_table.values_of(found)[:, 0].tolist() == [290.0, 280.0], name
    paths = [
        write(tmp_path, first, name="A_ISMD01EDZW011200_C_EDZW_20220701120000.bin"),
        write(tmp_path, second, name="A_ISMD01EDZW011200CCA_C_EDZW_20220701130000.bin"),
    ]
    (granule,) = readers.read("surface.land", paths, ["land"], LAND)
    assert granule.footprints["file"].to_pylist()[0] == paths[1].name
