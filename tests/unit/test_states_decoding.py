from datetime import datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.states.assembly import Assembler, Ledger, rejection_reason
from fuxiflow.states.decoding import decode_analyses, decode_forecasts, list_grib_files
from fuxiflow.states.grib import GribReader
from fuxiflow.states.grib_messages import Fault
from fuxiflow.states.regrid import SourceGrid, regrid
from tests.support import grib_files

GRID = Grid(4, 8)
CHANNELS = channel_table().select(["T500", "MSL", "TP"])
TIMES = [datetime(2022, 1, 1) + timedelta(hours=6 * i) for i in range(4)]


def assembler(reference="era5"):
    return Assembler(GribReader(CHANNELS, reference), GRID, Ledger())


def run(directory, reference="era5", times=TIMES, precipitation=True):
    made = assembler(reference)
    states = list(
        decode_analyses(made, list_grib_files(directory, analyses_only=True), times, precipitation)
    )
    made.ledger.summary()
    return states, made.ledger


def expected(seed):
    fields = [grib_files.values(c, seed) / (1 if c.analysed else 100) for c in CHANNELS]
    return regrid(np.stack(fields), SourceGrid.of(grib_files.GRID), GRID)


def append(directory, *messages):
    with open(directory / "single_levels.grib", "ab") as file:
        file.writelines(messages)


def reasons(ledger):
    return [row["reason"] for row in ledger.rows]


@pytest.mark.parametrize("span", [6, 3, 1])
def test_states_are_assembled_regridded_and_precipitation_summed(tmp_path, span):
    grib_files.write_era5(tmp_path, TIMES, CHANNELS, span)
    states, ledger = run(tmp_path)
    for seed, state in enumerate(states):
        np.testing.assert_allclose(state, expected(seed), rtol=2e-4, atol=1e-3)
    assert ledger.rows == []
    assert ledger.used == ledger.read == 4 * (2 + 6 // span)


def test_the_order_of_messages_and_files_does_not_matter(tmp_path):
    grib_files.write_era5(tmp_path, TIMES, CHANNELS)
    content = (tmp_path / "pressure_levels.grib").read_bytes()
    size = len(content) // 4
    (tmp_path / "pressure_levels.grib").write_bytes(
        b"".join(content[i * size : (i + 1) * size] for i in (3, 1, 0, 2))
    )
    states, _ = run(tmp_path)
    for seed, state in enumerate(states):
        np.testing.assert_allclose(state, expected(seed), rtol=2e-4, atol=1e-3)


def test_a_missing_channel_makes_its_time_missing_and_the_rest_goes_through(tmp_path):
    grib_files.write_era5(tmp_path, TIMES, CHANNELS)
    content = (tmp_path / "pressure_levels.grib").read_bytes()
    (tmp_path / "pressure_levels.grib").write_bytes(content[len(content) // 4 :])
    states, ledger = run(tmp_path)
    assert [state is None for state in states] == [True, False, False, False]
    assert ledger.rows == [
        {"file": "", "message": 0, "time": TIMES[0], "channel": "T500", "reason": "no usable field"}
    ]
    assert ledger.ignored["state is incomplete"] == 2


def test_an_absent_time_keeps_its_slot(tmp_path):
    grib_files.write_era5(tmp_path, TIMES[:2], CHANNELS)
    states, ledger = run(tmp_path)
    assert [state is None for state in states] == [False, False, True, True]
    assert [(row["time"], row["reason"]) for row in ledger.rows] == [
        (time, "no field at all") for time in TIMES[2:]
    ]


def test_values_out_of_range_go_to_the_ledger_with_file_and_message(tmp_path):
    grib_files.write_era5(tmp_path, TIMES[:1], CHANNELS)
    append(
        tmp_path,
        grib_files.era5(
            channel_table()["MSL"], TIMES[1], grib_files.values(channel_table()["MSL"]) / 100
        ),
    )
    states, ledger = run(tmp_path, times=TIMES[:2])
    assert states[1] is None
    row = ledger.rows[0]
    assert row["file"].endswith("single_levels.grib")
    assert (row["message"], row["time"], row["channel"]) == (3, TIMES[1], "MSL")
    assert "Pa outside the valid range 85000 .. 112000" in row["reason"]


def test_damage_is_in_the_ledger_and_costs_only_its_time(tmp_path):
    grib_files.write_era5(tmp_path, TIMES, CHANNELS)
    path = tmp_path / "pressure_levels.grib"
    content = bytearray(path.read_bytes())
    size = len(content) // 4
    content[size + 4 : size + 7] = (77).to_bytes(3, "big")
    path.write_bytes(bytes(content))
    states, ledger = run(tmp_path)
    assert [state is None for state in states] == [False, True, False, False]
    assert (ledger.rows[0]["file"], ledger.rows[0]["message"]) == (str(path), 2)
    assert f"offset {size}: wrong message length 77" in ledger.rows[0]["reason"]


def test_an_unreadable_file_beside_good_ones(tmp_path):
    grib_files.write_era5(tmp_path, TIMES, CHANNELS)
    (tmp_path / "empty.grib").write_bytes(b"")
    (tmp_path / "page.grib").write_bytes(b"<!DOCTYPE html>")
    states, ledger = run(tmp_path)
    assert all(state is not None for state in states)
    assert [row["file"].rsplit("/", 1)[1] for row in ledger.rows] == ["empty.grib", "page.grib"]


def test_identical_duplicates_pass_and_conflicting_ones_do_not(tmp_path):
    grib_files.write_era5(tmp_path, TIMES, CHANNELS)
    msl = channel_table()["MSL"]
    append(
        tmp_path,
        grib_files.era5(msl, TIMES[0], grib_files.values(msl, 0)),
        grib_files.era5(msl, TIMES[1], grib_files.values(msl, 9)),
    )
    states, ledger = run(tmp_path)
    assert [state is None for state in states] == [False, True, False, False]
    assert ledger.ignored["identical duplicate"] == 1
    assert "conflicting duplicates: 2 fields that are not the same" in reasons(ledger)


def test_missing_points_and_unsupported_grids_are_rejected(tmp_path):
    grib_files.write_era5(tmp_path, TIMES[:1], CHANNELS)
    field = grib_files.values(channel_table()["T500"])
    field[0, 0] = np.nan
    append(
        tmp_path,
        grib_files.era5(channel_table()["T500"], TIMES[1], field),
        grib_files.era5(
            channel_table()["MSL"],
            TIMES[1],
            grib_files.values(channel_table()["MSL"]),
            longitudeOfLastGridPointInDegrees=100.0,
            iDirectionIncrementInDegrees=9.0,
        ),
    )
    _, ledger = run(tmp_path, times=TIMES[:2])
    assert "1 of 84 values are missing" in reasons(ledger)
    assert any("the field is not global" in reason for reason in reasons(ledger))
    assert ledger.rejected == 2


def test_precipitation_that_does_not_make_up_six_hours(tmp_path):
    tp = channel_table()["TP"]
    grib_files.write_era5(tmp_path, TIMES[:1], CHANNELS)
    grib_files.write_era5(tmp_path / "more", TIMES[1:2], CHANNELS[:2])
    append(
        tmp_path,
        *(
            grib_files.era5(tp, TIMES[1] - timedelta(hours=h), grib_files.values(tp) / 100, 1)
            for h in range(5)
        ),
    )
    states, ledger = run(tmp_path, times=TIMES[:2])
    assert states[1] is None
    assert reasons(ledger)[0].startswith(
        "accumulations do not make up the 6 h: 01.01. 01-02, 01.01. 02-03"
    )
    assert ledger.ignored["incomplete accumulation"] == 5


def test_longer_accumulations_win_and_crossing_ones_are_ignored(tmp_path):
    tp = channel_table()["TP"]
    grib_files.write_era5(tmp_path, TIMES, CHANNELS)
    append(
        tmp_path,
        grib_files.era5(tp, TIMES[1], grib_files.values(tp), 1),
        grib_files.era5(tp, TIMES[1] + timedelta(hours=3), grib_files.values(tp), 6),
    )
    states, ledger = run(tmp_path)
    np.testing.assert_allclose(states[1], expected(1), rtol=2e-4, atol=1e-3)
    assert ledger.ignored == {"accumulation inside a longer one": 1, "not of the times wanted": 1}


def test_gfs_analyses_have_no_precipitation_and_forecasts_are_not_analyses(tmp_path):
    for time in TIMES[:2]:
        grib_files.write_gfs(tmp_path, time, [0, 6], CHANNELS)
    states, ledger = run(tmp_path, "gfs", TIMES[:2], precipitation=False)
    np.testing.assert_allclose(states[0][:2], expected(0)[:2], rtol=2e-4)
    assert np.isnan(states[0][2]).all()
    assert ledger.rows == []
    # a forecast under the name of an analysis is found out by its header
    folder = tmp_path / "gfs.20220101" / "00" / "atmos"
    (folder / "gfs.t00z.pgrb2.1p00.f006").rename(folder / "gfs.t00z.pgrb2.1p00.f006.grib2")
    _, ledger = run(tmp_path, "gfs", TIMES[:2], precipitation=False)
    assert ledger.ignored["not of the times wanted"] == 2


def test_forecasts_by_initial_time_and_lead(tmp_path):
    first, second = TIMES[0], TIMES[2]
    grib_files.write_gfs(tmp_path, first, [0, 6, 12], CHANNELS)
    grib_files.write_gfs(tmp_path, second, [0, 12], CHANNELS)
    grib_files.write_gfs(tmp_path, TIMES[1], [0], CHANNELS)
    made = assembler("gfs")
    inits, states = decode_forecasts(
        made, list_grib_files(tmp_path), [0, 12], TIMES[0], TIMES[3], [0, 6, 12]
    )
    by_position = {(i, j): state for i, j, state in states}
    made.ledger.summary()
    assert inits == [first, second]
    assert np.isnan(by_position[0, 0][2]).all()
    for j, lead in ((1, 6), (2, 12)):
        np.testing.assert_allclose(by_position[0, j], expected(lead), rtol=2e-4, atol=1e-3)
    assert by_position[1, 1] is None
    assert ("no field at all", second + timedelta(hours=6)) in [
        (row["reason"], row["time"]) for row in made.ledger.rows
    ]


def test_files_of_a_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match="no GRIB file"):
        list_grib_files(tmp_path)
    for name in (
        ".tmp",
        "b.idx",
        "gfs.t00z.pgrb2.1p00.f000",
        "gfs.t00z.pgrb2.1p00.f006",
        "a.grib",
    ):
        (tmp_path / name).write_bytes(b"x")
    assert [p.name for p in list_grib_files(tmp_path)] == [
        "a.grib",
        "gfs.t00z.pgrb2.1p00.f000",
        "gfs.t00z.pgrb2.1p00.f006",
    ]
    assert [p.name for p in list_grib_files(tmp_path, analyses_only=True)] == [
        "a.grib",
        "gfs.t00z.pgrb2.1p00.f000",
    ]


def test_complaints():
    t, tp = channel_table()["T500"], channel_table()["TP"]
    assert rejection_reason(np.full((2, 2), 250.0), t) is None
    assert rejection_reason(np.array([250.0, np.nan]), t) == "1 of 2 values are missing"
    limits = f"{t.valid_min:g} .. {t.valid_max:g}"
    assert rejection_reason(np.array([250.0, np.inf]), t).startswith(
        f"values 250 .. inf K outside the valid range {limits}"
    )
    assert rejection_reason(np.array([-0.001, 3.0]), tp) is None
    assert "outside" in rejection_reason(np.array([-0.5, 3.0]), tp)


def test_the_ledger_is_written_and_must_add_up(tmp_path):
    ledger = Ledger()
    ledger.fault(Fault(tmp_path / "a.grib", 3, 99, "truncated"))
    ledger.ignore("not in the channel table", 2)
    ledger.write(tmp_path / "l.parquet")
    stored = pq.read_table(tmp_path / "l.parquet")
    assert stored.to_pylist() == [
        {
            "file": str(tmp_path / "a.grib"),
            "message": 3,
            "time": None,
            "channel": "",
            "reason": "offset 99: truncated",
        }
    ]
    assert stored.schema.metadata[b"summary"].startswith(
        b"2 fields read: 0 used, 0 rejected, 2 ignored"
    )
    assert b"provenance" in stored.schema.metadata
    ledger.read += 1
    with pytest.raises(ValueError, match="3 fields read"):
        ledger.summary()


def version(expver, **keys):
    """All messages of a channel with another experiment version, and other keys."""
    return {"expver": f"{expver:04d}", **keys}


@pytest.mark.parametrize("order", [(1, 5), (5, 1)])
def test_era5_is_preferred_to_era5t_whatever_comes_first(tmp_path, order):
    for expver in order:
        (tmp_path / str(expver)).mkdir()
        grib_files.write_era5(
            tmp_path / str(expver), TIMES, CHANNELS, seed=expver, **version(expver)
        )
    (tmp_path / "5").rename(tmp_path / ("a" if order[0] == 5 else "z"))
    states, ledger = run(tmp_path)
    alone, _ = run(tmp_path / "1")
    for state, expected in zip(states, alone, strict=True):
        np.testing.assert_array_equal(state, expected)
    assert set(ledger.versions.values()) == {"ERA5"}
    assert ledger.ignored["ERA5T, where ERA5 is"] == ledger.used


def test_era5t_is_used_where_it_is_alone_and_named(tmp_path):
    grib_files.write_era5(tmp_path, TIMES, CHANNELS, **version(5))
    states, ledger = run(tmp_path)
    assert all(state is not None for state in states)
    (span,) = ledger.spans_of_versions()
    assert (span["version"], span["times"]) == ("ERA5T", len(TIMES))
    told = [row for row in ledger.rows if "ERA5T" in row["reason"]]
    assert [row["time"] for row in told] == list(TIMES)
    assert "ERA5T" in ledger.summary()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"marsClass": "od"}, "not ERA5 (class ea): class od"),
        ({"marsStream": "enda"}, "stream enda"),
        ({"marsType": "fc"}, "not an analysis"),
        ({"expver": "0078"}, "neither ERA5 (expver 1) nor ERA5T (5)"),
    ],
)
def test_other_products_are_refused_by_name(tmp_path, keys, words):
    grib_files.write_era5(tmp_path, TIMES[:1], CHANNELS, **keys)
    states, ledger = run(tmp_path)
    assert states[0] is None
    assert any(words in reason for reason in ledger.ignored)
