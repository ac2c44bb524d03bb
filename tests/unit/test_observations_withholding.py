"""Withheld footprints: which stations and platforms, and that nothing else knows them."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxiflow.observations import footprint_table, ledger, quality, withholding
from fuxiflow.observations.biweight import Histograms
from fuxiflow.observations.rejection_codes import Reason
from tests.support.footprint_tables import START, footprints
from tests.support.helpers import asked_of_source, load_script
from tests.support.same_results import differences
from tests.unit.test_observations_quality import DAYS, RANGES, check, codes

LOG = logging.getLogger("test")
NAMES = [f"{number:05d}" for number in range(1001, 99000, 13)]
TENTH = {"share": 0.1, "platforms": []}


def chosen(share, names=NAMES):
    return {name for name in names if withholding.is_withheld(name, share)}


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.9])
def test_the_share_of_stations_is_that_asked_for(share):
    # four standard deviations of so many draws
    deviation = 4 * np.sqrt(share * (1 - share) / len(NAMES))
    assert len(chosen(share)) / len(NAMES) == pytest.approx(share, abs=deviation)


@given(st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_keeps_the_stations_of_a_smaller_one(name, one, other):
    smaller, larger = sorted((one, other))
    assert not withholding.is_withheld(name, smaller) or withholding.is_withheld(name, larger)


def test_stations_are_the_same_for_ever():
    # another list would be another test set: every run made before would have assimilated it
    assert sorted(chosen(0.0008)) == [
        *("17446", "39715", "48022", "52052", "63336", "74295", "77779", "98397"),
    ]
    assert withholding.station_position("10393") == pytest.approx(0.8535681393226805)


def test_a_station_goes_by_one_name_however_it_is_written():
    for name in ("0-20000-0-10393", " 10393 "):
        assert withholding.station_position(name) == withholding.station_position("10393")
    assert withholding.station_position("dbbh") == withholding.station_position("DBBH")


def test_reports_without_a_name_are_never_withheld():
    assert not withholding.is_withheld("", 1.0)
    assert not withholding.is_withheld("  ", 1.0)
    part = footprints(np.full((2, 2), 250.0), station=["", ""], scan_position=[0, 0])
    assert not withholding.withheld_footprints(part, {"share": 0.999, "platforms": []}).any()


@given(st.permutations(range(40)))
def test_marks_follow_the_rows_in_any_order(order):
    names = np.array(NAMES[:40])[list(order)]
    part = footprints(np.full((40, 2), 250.0), station=names)
    marks = withholding.withheld_footprints(part, {"share": 0.5, "platforms": []})
    assert marks.tolist() == [name in chosen(0.5) for name in names]


def test_a_platform_is_withheld_as_a_whole():
    part = footprints(np.full((3, 2), 250.0))
    assert withholding.withheld_footprints(part, {"share": 0, "platforms": ["NOAA-20"]}).all()
    assert not withholding.withheld_footprints(part, {"share": 0, "platforms": ["X"]}).any()
    assert not withholding.withheld_footprints(part, None).any()


IN, OUT = next(n for n in NAMES if n in chosen(0.1)), next(n for n in NAMES if n not in chosen(0.1))


def test_withheld_footprints_pass_the_same_checks_as_others():
    part = footprints(
        [[250, 260], [250, 320], [40, 400], [250, 260]],
        station=[IN, IN, IN, OUT],
        scan_position=[0] * 4,
    )
    checked = check(part, withheld=TENTH)
    assert codes(checked) == [Reason.WITHHELD, Reason.WITHHELD, Reason.RANGE, Reason.USED]
    values = footprint_table.values_of(checked.footprints)
    # a bad value of a good footprint is missing for verification too
    assert np.isnan(values[1]).tolist() == [False, True]
    again = check(checked.footprints, withheld=TENTH)
    assert codes(again) == codes(checked)
    assert np.array_equal(footprint_table.values_of(again.footprints), values, equal_nan=True)


def run_chain(folder: Path, values):
    """Everything that learns from a table of six stations, half of them withheld."""
    folder.mkdir()
    withheld = {"share": 0.1, "platforms": []}
    station = [IN, OUT, IN, OUT, IN, OUT]
    part = footprints(
        values,
        station=station,
        scan_position=[0] * 6,
        lat=np.zeros(6),
        lon=np.arange(6) // 2,
        time=START + np.arange(6) * np.timedelta64(1, "h"),
    )
    with footprint_table.FootprintWriter(folder / "read.parquet", ["1", "2"]) as writer:
        writer.write(part)
    ledger.write_ledger(
        folder / "read_ledger.parquet", ledger.build_ledger(ledger.count_read("s", part))
    )
    dates = [str(day) for day in DAYS]
    shared = SimpleNamespace(
        source="s",
        channels=["1", "2"],
        units=["K", "K"],
        ranges=RANGES,
        logarithmic=[False] * 2,
        max_z=6,
        max_speed=9000,
        denials=[],
        withheld=withheld,
        dates=dates,
        grid={"nlat": 16, "nlon": 32},
        seed=0,
        options={"platforms": ["NOAA-20"]},
        completeness=asked_of_source(dates),
    )
    read, made = folder / "read.parquet", folder / "made"
    made.mkdir()
    files = SimpleNamespace(
        table=folder / "table.parquet",
        ledger=made / "ledger.parquet",
        histograms=made / "histograms.parquet",
        limits=made / "limits.parquet",
        grid=made / "grid.zarr",
        moments=made / "moments.parquet",
    )

    def run(rule, **given):
        load_script(rule).main(SimpleNamespace(**given), files, shared, LOG)

    run("observations_limits_part", table=read)
    run("observations_limits", histograms=[files.histograms])
    run(
        "observations_quality",
        table=read,
        ledger=folder / "read_ledger.parquet",
        limits=files.limits,
    )
    run("observations_grid", table=files.table)
    run("observations_statistics_part", grid=files.grid)
    return files


def test_withheld_values_change_nothing_that_is_learnt_or_assimilated(tmp_path):
    base = np.linspace(240, 262, 12).reshape(6, 2)
    changed = base.copy()
    changed[::2] += 7.0
    other = base.copy()
    other[1::2] += 7.0
    one, same, apart = (
        run_chain(tmp_path / name, values)
        for name, values in (("one", base), ("same", changed), ("apart", other))
    )
    made = one.ledger.parent
    assert not differences(made, same.ledger.parent)
    # the test can see a change
    assert differences(made, apart.ledger.parent)
    counts = ledger.read_ledgers([one.ledger]).query("channel == ''").groupby("reason")["count"]
    assert counts.sum().to_dict() == {"read": 6, "used": 3, "withheld": 3}


def test_withheld_values_count_for_no_limit(tmp_path):
    part = footprints([[250, 260]] * 3, station=[IN, OUT, IN], scan_position=[0] * 3)
    path = tmp_path / "read.parquet"
    with footprint_table.FootprintWriter(path, ["1", "2"]) as writer:
        writer.write(part)
    histograms = Histograms(["1", "2"], RANGES, [False] * 2)
    quality.count_usable_values(path, histograms, *DAYS, withheld=TENTH)
    assert histograms.counts.sum() == 2
