"""Best tracks: IBTrACS in CSV and in NetCDF."""

import csv
from contextlib import nullcontext
from datetime import timedelta

import netCDF4
import numpy as np
import pandas as pd
import pytest

from fuxiflow.cyclones import best_tracks
from fuxiflow.cyclones.best_tracks import KNOT
from fuxiflow.observations.decoding_process import DecodingProcess
from tests.support.helpers import realdata
from tests.support.level1_files import mutations

NAMES = [
    "SID",
    "SEASON",
    "BASIN",
    "NAME",
    "ISO_TIME",
    "NATURE",
    "LAT",
    "LON",
    "WMO_WIND",
    "WMO_PRES",
    "USA_WIND",
    "USA_PRES",
]
UNITS = [" ", "Year", " ", " ", " ", " ", "degrees_north", "degrees_east", "kts", "mb", "kts", "mb"]
STORM = "2022182N15250"
ROWS = [
    [
        STORM,
        "2022",
        "NA",
        "ONE",
        "2022-07-01 00:00:00",
        "TS",
        "15.0",
        "-110.0",
        "35",
        "1002",
        "40",
        "1000",
    ],
    [
        STORM,
        "2022",
        "NA",
        "ONE",
        "2022-07-01 03:00:00",
        "TS",
        "15.2",
        "-110.5",
        " ",
        " ",
        "45",
        "998",
    ],
    [STORM, "2022", "NA", "ONE", "2022-07-01 06:00:00", "TS", "15.4", "-111.0", " ", " ", " ", " "],
]


def write(path, rows=ROWS, units=UNITS, names=NAMES):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, units, *rows])
    return path


def test_units_and_which_agency(tmp_path):
    found = best_tracks.read_best_tracks(write(tmp_path / "x.csv"))
    assert found.columns.tolist() == list(best_tracks.COLUMNS)
    assert found["wind"].tolist() == pytest.approx([35 * KNOT, 45 * KNOT, np.nan], nan_ok=True)
    assert found["pressure"].tolist() == pytest.approx([1002, 998, np.nan], nan_ok=True)
    assert found["intensity"].tolist() == ["wmo", "usa", ""]
    assert found["basin"].tolist() == ["NA"] * 3
    assert found["time"].iloc[1] == pd.Timestamp("2022-07-01T03:00")
    assert found.attrs["rejected"] == {}


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("SID", "2022182X15250", "identifier"),
        ("ISO_TIME", "2022-07-99 03:00:00", "time"),
        ("LAT", "95.2", "location"),
        ("LAT", "1x.2", "location"),
        ("LON", "-500", "location"),
        ("LAT", "55.2", "leap"),
        ("ISO_TIME", "2022-07-01 00:00:00", "duplicate"),
    ],
)
def test_fixes_that_cannot_be_are_left_out_and_counted(tmp_path, column, value, reason):
    rows = [list(row) for row in ROWS]
    rows[1][NAMES.index(column)] = value
    found = best_tracks.read_best_tracks(write(tmp_path / "x.csv", rows))
    assert len(found) == 2
    assert found.attrs["rejected"] == {reason: 1}


def test_longitudes_and_absurd_intensities(tmp_path):
    rows = [list(row) for row in ROWS]
    rows[0][NAMES.index("LON")], rows[0][NAMES.index("WMO_WIND")] = "250.0", "999"
    found = best_tracks.read_best_tracks(write(tmp_path / "x.csv", rows))
    assert found["lon"].iloc[0] == pytest.approx(-110)
    assert np.isnan(found["wind"].iloc[0])
    assert found["pressure"].iloc[0] == 1002


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"units": [unit.replace("kts", "m/s") for unit in UNITS]},
            "wmo_wind in 'm/s', expected kts",
        ),
        ({"names": ["XID", *NAMES[1:]]}, "not IBTrACS, it lacks sid"),
        ({"units": UNITS, "rows": []}, ""),
    ],
)
def test_other_files_are_refused(tmp_path, kwargs, message):
    path = write(tmp_path / "x.csv", **kwargs)
    if message:
        with pytest.raises(ValueError, match=message):
            best_tracks.read_best_tracks(path)
    else:
        assert best_tracks.read_best_tracks(path).empty


def netcdf(path):
    """The same fixes, and a second storm shorter than the first, as IBTrACS' NetCDF has them."""
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("storm", 2), ("date_time", 4), ("char", 13), ("letters", 2)):
            file.createDimension(name, size)
        sid = file.createVariable("sid", "S1", ("storm", "char"))
        sid[:] = np.array([list(STORM), list("2021001S10080")], "S1")
        names = [list(name.ljust(13)) for name in ("ONE", "TWO")]
        file.createVariable("name", "S1", ("storm", "char"))[:] = np.array(names, "S1")
        for name, text in (("basin", "NA"), ("nature", "TS")):
            file.createVariable(name, "S1", ("storm", "date_time", "letters"))[:] = np.tile(
                np.array(list(text), "S1"), (2, 4, 1)
            )
        start = (np.datetime64("2022-07-01") - np.datetime64("1858-11-17")).astype(float)
        columns = {
            "time": ([start, start + 0.125, start + 0.25], "days since 1858-11-17 00:00:00"),
            "lat": ([15.0, 15.2, 15.4], "degrees_north"),
            "lon": ([-110.0, -110.5, -111.0], "degrees_east"),
            "wmo_wind": ([35, np.nan, np.nan], "kts"),
            "wmo_pres": ([1002, np.nan, np.nan], "mb"),
            "usa_wind": ([40, 45, np.nan], "kts"),
            "usa_pres": ([1000, 998, np.nan], "mb"),
        }
        for name, (values, unit) in columns.items():
            variable = file.createVariable(name, "f8", ("storm", "date_time"), fill_value=-9999.0)
            variable[:] = np.ma.masked_invalid(
                [[*values, np.nan], [values[0], np.nan, np.nan, np.nan]]
            )
            variable.units = unit
    return path


def test_netcdf_equals_csv(tmp_path):
    found = best_tracks.read_best_tracks(netcdf(tmp_path / "x.nc"))
    first = found[found["storm"] == STORM].reset_index(drop=True)
    expected = best_tracks.read_best_tracks(write(tmp_path / "x.csv"))
    pd.testing.assert_frame_equal(first, expected, check_dtype=False)
    assert found["name"].tolist() == ["TWO", "ONE", "ONE", "ONE"]


def test_a_damaged_netcdf_file_is_refused(tmp_path):
    path = netcdf(tmp_path / "x.nc")
    path.write_bytes(path.read_bytes()[:3_000])
    with pytest.raises(ValueError, match=r"x\.nc"):
        best_tracks.read_best_tracks(path)


@pytest.mark.parametrize(("name", "fixes", "storms"), [("ACTIVE", 95, 3), ("SA", 119, 3)])
def test_real_files(name, fixes, storms):
    path = realdata(f"tracks/ibtracs.{name}.list.v04r00.csv")
    found = best_tracks.read_best_tracks(path)
    assert (len(found), found["storm"].nunique(), found.attrs["rejected"]) == (fixes, storms, {})
    with open(path, encoding="utf-8", newline="") as file:
        rows = sorted(list(csv.DictReader(file))[1:], key=lambda row: (row["SID"], row["ISO_TIME"]))
    assert found["lat"].tolist() == pytest.approx([float(row["LAT"]) for row in rows])
    assert found["lon"].tolist() == pytest.approx([float(row["LON"]) for row in rows])
    wind = [
        row["WMO_WIND"].strip() or row["USA_WIND"].strip()
        if row["WMO_WIND"].strip() or not row["WMO_PRES"].strip()
        else ""
        for row in rows
    ]
    expected = [float(text) * KNOT if text else np.nan for text in wind]
    assert found["wind"].tolist() == pytest.approx(expected, nan_ok=True)


@pytest.mark.slow
def test_flipped_bits_give_fixes_or_a_clear_error(tmp_path):
    data = realdata("tracks/ibtracs.SA.list.v04r00.csv").read_bytes()
    generator = np.random.default_rng(1)
    path = tmp_path / "x.csv"
    outcomes = set()
    for _ in range(200):
        spoiled = bytearray(data)
        for place in generator.integers(0, len(data), 4):
            spoiled[place] ^= 1 << generator.integers(8)
        path.write_bytes(bytes(spoiled))
        try:
            found = best_tracks.read_best_tracks(path)
        except ValueError as error:
            outcomes.add("x.csv" in str(error))
            continue
        assert found["lat"].between(-90, 90).all()
        assert found["lon"].between(-180, 180).all()
        assert found["time"].notna().all()
        assert not (found["wind"] > 120).any()
        assert (
            len(found) + sum(found.attrs["rejected"].values()) >= 117
        )  # two rows may have become one, or a header's
    assert outcomes == {True}  # errors name the file


@pytest.mark.slow
def test_flipped_bits_of_netcdf_give_fixes_or_a_clear_error(tmp_path, monkeypatch):
    path = netcdf(tmp_path / "x.nc")
    outcomes = set()
    with DecodingProcess(
        best_tracks._fixes
    ) as decoder:  # one process for all files, where read() has one for each
        monkeypatch.setattr(
            best_tracks, "DecodingProcess", lambda function, timeout: nullcontext(decoder)
        )
        for changed in mutations(path.read_bytes(), 300, seed=4):
            path.write_bytes(changed)
            try:
                found = best_tracks.read_best_tracks(path)
            except ValueError as error:
                outcomes.add("x.nc" in str(error))
                continue
            outcomes.add("read")
            assert found["lat"].between(-90, 90).all()
            assert found["lon"].between(-180, 180).all()
            assert found["time"].notna().all()
            assert not (found["wind"] > 120).any()
    assert outcomes == {True, "read"}


def test_the_one_file_of_a_folder_is_found(tmp_path):
    path = write(tmp_path / "x.csv")
    assert best_tracks.find_best_tracks(tmp_path) == best_tracks.find_best_tracks(path) == path
    write(tmp_path / "y.csv")
    with pytest.raises(
        ValueError, match=r"one file of IBTrACS is expected, there are: x.csv, y.csv"
    ):
        best_tracks.find_best_tracks(tmp_path)


def test_days_are_cut_with_both_included(tmp_path):
    fixes = best_tracks.read_best_tracks(write(tmp_path / "x.csv"))
    day = fixes["time"].iloc[0].date()
    assert len(best_tracks.within_days(fixes, day, day)) == len(fixes)
    assert best_tracks.within_days(fixes, day + timedelta(1), day + timedelta(2)).empty
