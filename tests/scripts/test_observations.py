"""The scripts of the observations stage, from good and from damaged files to grids."""

import logging
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from fuxiflow.completeness import IncompleteError
from fuxiflow.config import sources
from fuxiflow.grids import Grid
from fuxiflow.observations import footprint_table, ledger
from fuxiflow.observations.biweight import BiweightLimits
from fuxiflow.observations.ingest import NoUsableFileError
from fuxiflow.observations.sparse_grids import SparseGrids
from fuxiflow.observations.statistics import GridStatistics
from fuxiflow.storage.manifests import seal_folder
from tests.support.atms_sdr_files import swath, write_pair
from tests.support.helpers import asked_of_source, load_script

LOG = logging.getLogger("test")
SOURCE = sources.load_source("noaa20_atms")
DATES = ["2022-07-01", "2022-07-02"]
GRID = {"nlat": 32, "nlon": 64}
PER_FILE = 20
ANY = asked_of_source(DATES)


def read(directory, output, completeness=ANY):
    parameters = SimpleNamespace(
        source=SOURCE.name,
        reader=SOURCE.reader,
        file_pattern=SOURCE.file_pattern,
        platforms=SOURCE.platform_names,
        channels=SOURCE.channel_names,
        dates=DATES,
        completeness=completeness,
    )
    paths = SimpleNamespace(
        table=output / "read.parquet",
        ledger=output / "read_ledger.parquet",
        windows=output / "windows.parquet",
    )
    raw = SimpleNamespace(files=directory, patterns=())
    load_script("observations_read").main(raw, paths, parameters, LOG)
    return paths


def chain(directory, output, dates=DATES, completeness=ANY, denials=()):
    """Run all five scripts on a directory of files; return where everything lies."""
    paths = read(directory, output, completeness)
    limits = SimpleNamespace(
        ranges=SOURCE.valid_ranges,
        logarithmic=SOURCE.logarithmic,
        max_z=6,
        max_speed=9000,
        denials=denials,
        withheld=None,
        source=SOURCE.name,
        channels=SOURCE.channel_names,
        dates=dates,
        units=SOURCE.units,
        grid=GRID,
        seed=1,
        options={"platforms": SOURCE.platform_names},
        completeness=completeness,
    )
    products = SimpleNamespace(
        read=paths.table,
        read_ledger=paths.ledger,
        histograms=output / "histograms.parquet",
        limits=output / "limits.parquet",
        table=output / "table.parquet",
        ledger=output / "ledger.parquet",
        grid=output / "grid.zarr",
        statistics=output / "statistics.zarr",
    )
    load_script("observations_limits_part").main(
        SimpleNamespace(table=products.read), products, limits, LOG
    )
    load_script("observations_limits").main(
        SimpleNamespace(histograms=[products.histograms]), products, limits, LOG
    )
    load_script("observations_quality").main(
        SimpleNamespace(table=products.read, ledger=products.read_ledger, limits=products.limits),
        products,
        limits,
        LOG,
    )
    load_script("observations_grid").main(
        SimpleNamespace(table=products.table), products, limits, LOG
    )
    return products


@pytest.fixture
def raw(tmp_path):
    directory = tmp_path / "raw"
    directory.mkdir()
    for hour in (0, 7, 23, 30):
        start = np.datetime64("2022-07-01") + np.timedelta64(hour, "h")
        write_pair(directory, swath(str(start), seed=hour))
    return directory


def reasons(path):
    whole = ledger.read_ledgers([path]).query("channel == ''")
    return whole.groupby("reason")["count"].sum().to_dict()


def test_the_whole_stage(raw, tmp_path):
    products = chain(raw, tmp_path)
    assert reasons(products.ledger) == {"read": 4 * PER_FILE, "used": 4 * PER_FILE}
    grids = SparseGrids([products.grid])
    assert (grids.source, grids.channels, grids.grid) == (
        SOURCE.name,
        SOURCE.channel_names,
        Grid(32, 64),
    )
    window = grids.window(np.datetime64("2022-07-02"), -3, 8)
    assert sorted(set(window.slot.tolist())) == [2, 9]
    footprints = footprint_table.read_footprints(products.table)
    near = slice(2 * PER_FILE, 3 * PER_FILE)
    cells = Grid(32, 64).cell(
        footprint_table.column_values(footprints, "lat")[near],
        footprint_table.column_values(footprints, "lon")[near],
    )
    assert sorted(window.cell[window.slot == 2].tolist()) == np.unique(cells).tolist()
    mean = footprint_table.values_of(footprints)[near][cells == window.cell[0]].mean(axis=0)
    assert window.values[0] == pytest.approx(mean, abs=1e-3)

    output = SimpleNamespace(moments=tmp_path / "moments.parquet", statistics=products.statistics)
    params = SimpleNamespace(dates=DATES, source=SOURCE.name)
    load_script("observations_statistics_part").main(
        SimpleNamespace(grid=products.grid), output, params, LOG
    )
    load_script("observations_statistics").main(
        SimpleNamespace(moments=[output.moments]), output, params, LOG
    )
    statistics = GridStatistics.read(products.statistics)
    values = grids.window(np.datetime64("2022-07-01"), 0, 48).values
    assert statistics.mean == pytest.approx(values.mean(axis=0), rel=1e-5)
    assert statistics.std == pytest.approx(values.std(axis=0), rel=1e-4)


def test_damage_is_in_the_ledger_and_the_rest_goes_through(raw, tmp_path):
    files = sorted(raw.glob("SATMS*"))
    files[0].write_bytes(files[0].read_bytes()[:2000])
    sorted(raw.glob("GATMO*"))[1].unlink()
    (raw / "notes.txt").write_text("not data")
    products = chain(raw, tmp_path)
    assert reasons(products.ledger) == {
        "read": 3 * PER_FILE,
        "used": 2 * PER_FILE,
        "partner": PER_FILE,
        "unreadable": 0,
        "name": 0,
    }
    lines = ledger.read_ledgers([products.ledger]).set_index("file")
    assert lines.loc[files[0].name, "reason"] == "unreadable"
    assert "truncated" in lines.loc[files[0].name, "message"]
    assert lines.loc["notes.txt", "message"] == f"expected {SOURCE.file_pattern}"
    assert footprint_table.read_footprints(products.table).num_rows == 2 * PER_FILE


def test_bad_footprints_are_in_the_ledger(raw, tmp_path):
    data = swath("2022-07-01T12:00:00", seed=12)
    data["lat"][0, 0] = np.nan
    data["temperature"][0, 1] = np.nan
    data["temperature"][0, 2, 4] = 20
    write_pair(raw, data)
    write_pair(raw, swath("2022-06-30T23:59:55", seed=1))
    write_pair(
        raw,
        swath("2022-07-01T12:00:00.5", seed=12) | {"time": data["time"]},
        created="20220101000000000000",
    )
    products = chain(raw, tmp_path)
    counts = reasons(products.ledger)
    assert counts["read"] == 6 * PER_FILE
    assert (counts["location"], counts["missing"], counts["superseded"]) == (1, 1, 0)
    assert 0 < counts["segment"] < PER_FILE
    single = ledger.read_ledgers([products.ledger]).query("channel != ''")
    assert [(row.channel, row.reason) for row in single.itertuples()] == [("5", "range")]


def test_duplicates_across_files_are_used_once(raw, tmp_path):
    data = swath("2022-07-01T07:00:00", seed=7)
    shorter = {name: array[:3] for name, array in data.items()}
    write_pair(raw, shorter)
    counts = reasons(chain(raw, tmp_path).ledger)
    assert (counts["read"], counts["duplicate"]) == (4 * PER_FILE + 12, 12)


def test_an_outage_is_data(tmp_path):
    (tmp_path / "raw").mkdir()
    seal_folder(tmp_path / "raw")
    products = chain(tmp_path / "raw", tmp_path)
    assert reasons(products.ledger) == {"no_file": 0}
    assert footprint_table.read_footprints(products.table).num_rows == 0
    assert len(SparseGrids([products.grid]).window(np.datetime64("2022-07-02"), -3, 5)) == 0
    assert BiweightLimits.read(products.limits).count.sum() == 0


def test_too_many_damaged_files_are_an_error(raw, tmp_path):
    files = sorted(raw.glob("SATMS*"))
    files[0].write_bytes(files[0].read_bytes()[:2000])
    with pytest.raises(
        IncompleteError,
        match=rf"3 of 5 files of noaa20_atms in .*; missing: GATMO.*{files[0].name}",
    ):
        read(raw, tmp_path, asked_of_source(DATES, files=0.8))
    read(raw, tmp_path, asked_of_source(DATES, files=0.6))


def test_days_without_an_observation_are_named_and_judged(raw, tmp_path, caplog):
    days = ["2022-07-01", "2022-07-04"]
    with pytest.raises(
        IncompleteError, match=r"2 of 4 days .*missing: 2022-07-03 \.\. 2022-07-04 \(2\)"
    ):
        read(raw, tmp_path, asked_of_source(days, days=0.6))
    caplog.clear()
    read(raw, tmp_path, asked_of_source(days, days=0.5))
    assert "2 of 4 days of noaa20_atms have an observation" in caplog.text
    with pytest.raises(IncompleteError, match="0 of 2 days"):
        read(raw, tmp_path, asked_of_source(["2022-07-03", "2022-07-04"], days=0.5))
    # a source that did not fly yet owes nothing
    caplog.clear()
    read(raw, tmp_path, asked_of_source([], days=1.0))
    assert "completeness" not in caplog.text


@pytest.mark.parametrize("script", ["observations_quality", "observations_grid"])
def test_days_that_quality_control_empties_are_judged(raw, tmp_path, monkeypatch, script):
    products = chain(raw, tmp_path)
    strict = asked_of_source(["2022-07-01", "2022-07-03"], days=0.9)
    again = tmp_path / "again"
    again.mkdir()
    given = SimpleNamespace(
        table=products.read, ledger=products.read_ledger, limits=products.limits
    )
    if script == "observations_grid":
        given = SimpleNamespace(table=products.table)
    output = SimpleNamespace(
        table=again / "t.parquet", ledger=again / "l.parquet", grid=again / "g.zarr"
    )
    parameters = SimpleNamespace(
        source=SOURCE.name,
        ranges=SOURCE.valid_ranges,
        max_z=6,
        max_speed=9000,
        denials=[],
        withheld=None,
        dates=DATES,
        units=SOURCE.units,
        grid=GRID,
        seed=1,
        options={"platforms": SOURCE.platform_names},
        completeness=strict,
    )
    with pytest.raises(IncompleteError, match=r"2 of 3 days .*missing: 2022-07-03"):
        load_script(script).main(given, output, parameters, LOG)


def test_a_channel_that_died_is_blank_from_its_day_on_and_counts_in_no_limit(raw, tmp_path):
    whole, without = chain(raw, tmp_path), tmp_path / "without"
    without.mkdir()
    denial = {"platform": "NOAA-20", "channel": "7", "since": DATES[1], "until": DATES[1]}
    products = chain(raw, without, denials=[denial])
    lost = ledger.read_ledgers([products.ledger]).query("reason == 'denied'")
    assert (lost["channel"].unique().tolist(), lost["count"].sum()) == (["7"], PER_FILE)
    before, after = (footprint_table.read_footprints(one.table) for one in (whole, products))
    late = footprint_table.column_values(before, "time") >= np.datetime64(DATES[1])
    blank = np.isnan(footprint_table.values_of(after))
    expected = np.zeros_like(blank)
    expected[late, 6] = True
    assert (blank == expected).all()
    counts = [BiweightLimits.read(one.limits).count.sum(axis=1) for one in (whole, products)]
    assert (counts[0] - counts[1]).tolist() == [PER_FILE * (i == 6) for i in range(22)]


def test_files_of_which_none_is_usable_are_an_error(raw, tmp_path):
    for path in raw.glob("GATMO*"):
        path.unlink()
    with pytest.raises(
        NoUsableFileError,
        match=r"4 files, but none can be used \(partner 4\): .*; check file_pattern",
    ):
        read(raw, tmp_path)


def test_limits_see_the_period_alone(raw, tmp_path):
    whole, first = chain(raw, tmp_path), tmp_path / "first"
    first.mkdir()
    parameters = SimpleNamespace(
        channels=SOURCE.channel_names,
        ranges=SOURCE.valid_ranges,
        logarithmic=SOURCE.logarithmic,
        dates=[DATES[0]] * 2,
        denials=[],
        withheld=None,
    )
    output = SimpleNamespace(
        histograms=first / "histograms.parquet", limits=first / "limits.parquet"
    )
    load_script("observations_limits_part").main(
        SimpleNamespace(table=whole.read), output, parameters, LOG
    )
    load_script("observations_limits").main(
        SimpleNamespace(histograms=[output.histograms]), output, parameters, LOG
    )
    assert BiweightLimits.read(output.limits).count[0].sum() == 3 * PER_FILE
    assert BiweightLimits.read(whole.limits).count[0].sum() == 4 * PER_FILE


def test_provenance_is_stamped(raw, tmp_path):
    products = chain(raw, tmp_path)
    for path in (
        products.read,
        products.read_ledger,
        products.limits,
        products.table,
        products.ledger,
    ):
        assert b"provenance" in pq.read_schema(path).metadata
