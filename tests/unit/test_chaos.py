"""The harm that tests/chaos does is harm, and its verdicts are right."""

import random

import pytest

from tests.chaos import harms
from tests.chaos.__main__ import table
from tests.chaos.jobs import Ended, JobCall
from tests.chaos.trials import CRASHED, REFUSED, SAME, SILENT, UNCLEAR, Bench, Verdict, maker_name

CALL = JobCall("rule", {}, {}, {"text": "results/test/made.csv"}, {}, {"threads": 1}, "log", 1.0)


@pytest.fixture
def product(tmp_path):
    folder = tmp_path / "product"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(bytes(range(100)))
    return folder


def contents(product):
    return {path.name: path.read_bytes() for path in product.iterdir()}


@pytest.mark.parametrize("seed", range(5))
def test_a_flip_changes_one_byte_and_keeps_the_time_stamp(product, seed):
    before, times = contents(product), {p: p.stat().st_mtime_ns for p in product.iterdir()}
    done = harms.flip(product, random.Random(seed))
    after = contents(product)
    unlike = [(n, i) for n in before for i in range(100) if before[n][i] != after[n][i]]
    assert unlike == [(done.file.name, done.place)]
    assert times == {path: path.stat().st_mtime_ns for path in product.iterdir()}


def test_a_truncation_shortens_one_file_and_a_purge_removes_one(product):
    harms.truncate(product, random.Random(0))
    assert sorted(map(len, contents(product).values()))[0] < 100
    harms.remove_file(product, random.Random(0))
    assert len(contents(product)) == 1


def test_what_was_harmed_is_put_back(product, tmp_path):
    reference, folder = tmp_path, tmp_path / "copy"
    harms.restore("product", reference, folder)
    harms.dangle(folder / "product", random.Random(0))
    assert not (folder / "product").exists()
    harms.restore("product", reference, folder)
    assert contents(folder / "product") == contents(product)
    harms.restore("unknown", reference, folder)


@pytest.mark.parametrize(
    ("ended", "written", "outcome"),
    [
        (Ended(0), "1", SAME),
        (Ended(0), "2", SILENT),
        (Ended(0), None, SILENT),
        (
            Ended(1, "ValueError: results/x.zarr is damaged", "delete it and run again"),
            None,
            REFUSED,
        ),
        (Ended(1, "ValueError: something is damaged", "delete it and run again"), None, UNCLEAR),
        (Ended(1, "ValueError: results/x.zarr is damaged", "see the log"), None, UNCLEAR),
        (Ended(-11), None, CRASHED),
        (Ended(1), None, CRASHED),
    ],
)
def test_verdicts(tmp_path, ended, written, outcome):
    bench = Bench(tmp_path / "copy", tmp_path / "reference", tmp_path / "report")
    for folder, text in ((bench.folder, written), (bench.reference, "1")):
        if text:
            (folder / "results/test").mkdir(parents=True)
            (folder / "results/test/made.csv").write_text(text)
    assert bench.judge(CALL, ended, "results/x.zarr")[0] == outcome


def test_the_table_counts_by_harm_and_outcome():
    verdicts = [
        Verdict("a", "flipped byte results/x at 3", REFUSED),
        Verdict("a", "flipped byte results/y at 9", SAME),
        Verdict("b", "kill -9 of rule after 0.2 s", SILENT),
    ]
    assert table(verdicts).splitlines()[2:] == [
        "| flipped byte | 2 | 1 | 1 | 0 | 0 | 0 |",
        "| kill -9 of a job | 1 | 0 | 0 | 1 | 0 | 0 |",
        "| all | 3 | 1 | 1 | 1 | 0 | 0 |",
    ]


def test_products_of_one_kind_have_one_name():
    assert maker_name("results/test/states/era5/2001-03.zarr") == "states/era5/{segment}.zarr"
