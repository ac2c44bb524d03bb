"""What is asked of the archives: what is needed, without what manifests cover."""

from dataclasses import replace

import pytest

from fuxiflow.archive import needs, orders
from fuxiflow.archive.needs import Need, era5_fields, gfs_fields
from fuxiflow.config.archives import GfsArchive

ARCHIVE = GfsArchive(url="https://archive")
ERA5 = Need("era5", "2022-01", ("2022-01-20", "2022-02-03"), era5_fields())
GFS = Need("gfs", "2023-07", ("2023-07-01", "2023-07-02"), gfs_fields())


def era5_orders(need, covers=(), days=8):
    return list(orders.era5_orders(need, covers, days, client=lambda: None))


def request_of(order, monkeypatch):
    """Data set and request that an order makes."""
    made = []
    monkeypatch.setattr(
        orders.era5,
        "era5_download",
        lambda client, name, dataset, request: (name, lambda *_: made.append((dataset, request))),
    )
    order.download(None, None)
    return made[0]


def by_beginning(made):
    return {order.name.rpartition("_")[0]: order for order in made}


def test_requests_of_a_segment(monkeypatch):
    made = by_beginning(era5_orders(ERA5))
    assert sorted(made) == sorted(
        [
            f"{kind}_{days}"
            for kind in ("pressure_levels", "single_levels", "precipitation")
            for days in ("20220120-20220127", "20220128-20220131", "20220201-20220203")
        ]
        + ["precipitation_before_20220119-20220119"]
    )
    dataset, upper = request_of(made["pressure_levels_20220128-20220131"], monkeypatch)
    assert dataset == "reanalysis-era5-pressure-levels"
    assert upper["day"] == ["28", "29", "30", "31"]
    assert upper["time"] == ["00:00", "06:00", "12:00", "18:00"]
    assert len(upper["pressure_level"]) == 13
    assert sorted(upper["variable"]) == [
        "geopotential",
        "relative_humidity",
        "temperature",
        "u_component_of_wind",
        "v_component_of_wind",
    ]
    dataset, surface = request_of(made["single_levels_20220201-20220203"], monkeypatch)
    assert dataset == "reanalysis-era5-single-levels"
    assert (surface["year"], surface["month"], surface["day"]) == (
        ["2022"],
        ["02"],
        ["01", "02", "03"],
    )
    assert sorted(surface["variable"]) == [
        "10m_u_component_of_wind",
        "10m_v_component_of_wind",
        "2m_temperature",
        "mean_sea_level_pressure",
    ]


def test_six_hour_sums_of_the_first_day_reach_into_the_day_before(monkeypatch):
    made = by_beginning(era5_orders(replace(ERA5, days=("2022-01-01", "2022-01-02"))))
    _, request = request_of(made["precipitation_20220101-20220102"], monkeypatch)
    assert len(request["time"]) == 24
    _, before = request_of(made["precipitation_before_20211231-20211231"], monkeypatch)
    assert (before["year"], before["month"], before["day"]) == (["2021"], ["12"], ["31"])
    assert before["time"] == ["19:00", "20:00", "21:00", "22:00", "23:00"]


@pytest.mark.parametrize("days", [1, 4, 8, 31])
def test_what_is_there_is_not_asked_for_whatever_the_size_of_requests(days):
    covers = [order.covers for order in era5_orders(ERA5, days=8)]
    assert era5_orders(ERA5, covers, days) == []


def test_one_more_day_asks_for_one_day():
    covers = [order.covers for order in era5_orders(ERA5)]
    further = era5_orders(replace(ERA5, days=("2022-01-20", "2022-02-04")), covers)
    assert {tuple(order.covers["days"]) for order in further} == {("2022-02-04",)}
    assert len(further) == 3


def test_an_earlier_first_day_asks_for_the_evening_before_it():
    covers = [order.covers for order in era5_orders(ERA5)]
    further = era5_orders(replace(ERA5, days=("2022-01-19", "2022-02-03")), covers)
    assert {tuple(order.covers["days"]) for order in further} == {("2022-01-19",), ("2022-01-18",)}


@pytest.mark.parametrize("name", ["specific_humidity 500", "total_column_water"])
def test_one_more_field_is_asked_for_alone(name):
    covers = [order.covers for order in era5_orders(ERA5)]
    further = era5_orders(replace(ERA5, fields=(*ERA5.fields, name)), covers)
    assert {tuple(order.covers["fields"]) for order in further} == {(name,)}
    assert sorted(day for order in further for day in order.covers["days"]) == orders._days(
        *ERA5.days
    )


def test_names_tell_requests_apart():
    first = {order.name for order in era5_orders(ERA5)}
    covers = [order.covers for order in era5_orders(ERA5)]
    further = era5_orders(replace(ERA5, fields=(*ERA5.fields, "temperature 70")), covers)
    assert not first & {order.name for order in further}


def test_hours_that_lack_are_asked_for_by_day():
    covers = [order.covers for order in era5_orders(ERA5)]
    for cover in covers:
        if "2022-01-20" in cover["days"] and len(cover["hours"]) == 4:
            cover["hours"] = [0, 6, 12]
    further = era5_orders(ERA5, covers)
    assert {tuple(order.covers["days"]) for order in further} == {
        tuple(f"2022-01-{day}" for day in range(20, 28))
    }


def gfs_orders(need, covers=(), taken=()):
    return list(orders.gfs_orders(need, covers, taken, ARCHIVE))


def test_gfs_asks_for_what_no_file_covers():
    first = gfs_orders(GFS)
    assert len(first) == 8
    assert first[0].name == "gfs.20230701/00/atmos/gfs.t00z.pgrb2.0p25.f000"
    assert "APCP:surface" not in first[0].covers["fields"]
    covers, taken = [order.covers for order in first], [order.name for order in first]
    assert gfs_orders(GFS, covers, taken) == []
    assert len(gfs_orders(replace(GFS, days=("2023-07-01", "2023-07-03")), covers, taken)) == 4
    with_forecast = replace(
        GFS, forecast_days=("2023-07-02", "2023-07-02"), init_hours=(0,), max_lead_hours=12
    )
    assert [order.covers["lead"] for order in gfs_orders(with_forecast, covers, taken)] == [6, 12]


def test_a_further_field_of_gfs_comes_in_a_further_file():
    first = gfs_orders(replace(GFS, fields=GFS.fields[1:]))
    covers, taken = [order.covers for order in first], [order.name for order in first]
    further = gfs_orders(GFS, covers, taken)
    assert {tuple(order.covers["fields"]) for order in further} in ({GFS.fields[:1]}, set())
    names = {order.name for order in further}
    assert not names & {*taken}
    assert all(name.endswith(".f000") for name in names)


def test_a_file_of_gfs_that_tells_no_fields_has_all():
    covers = [{"init": "2023-07-01T00", "lead": 0}]
    assert len(gfs_orders(GFS, covers)) == 7


def test_evening_counts_for_precipitation_alone():
    need = Need("era5", "2022-01", ("2022-01-01", "2022-01-01"), ("2m_temperature",))
    assert need.question.extras == ()
    assert ERA5.question.extras == ((needs.PRECIPITATION_FIELD, "2022-01-19"),)


def test_months_that_are_not_needed_are_refused():
    assert list(needs.narrowed([ERA5, GFS], ["gfs"], ["2023-07"])) == [GFS]
    with pytest.raises(ValueError, match=r"no 2023-07 of era5; it needs 2022-01 to 2022-02"):
        list(needs.narrowed([ERA5, GFS], ["era5"], ["2023-07"]))
    with pytest.raises(ValueError, match="no January; it needs 2022-01 to 2022-02, 2023-07"):
        list(needs.narrowed([ERA5, GFS], [], ["January", "2022-02"]))
