"""The needs of a run: sums, the most at any time, what fits, what saves; sizes by hand."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from fuxiflow import ROOT
from fuxiflow.config import volumes
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.resources import Cost
from fuxiflow.config.volumes import Volume
from fuxiflow.runtime import budget
from fuxiflow.runtime.snakemake_internals import PlannedJob

PAPER = load_configuration(ROOT / "config" / "paper.yaml")
TEST = load_configuration(ROOT / "config" / "test.yaml")
STATE_MB = 290.304


def planned(rule, outputs, inputs=(), wildcards=None, temporary=()):
    nothing = ([], [], False, False, set(), set())
    return PlannedJob(
        rule,
        wildcards or {},
        {},
        list(inputs),
        list(outputs),
        "",
        True,
        *nothing,
        temporary=list(temporary),
    )


def changed(config, **sections):
    """The configuration with other settings in some sections."""
    update = {
        name: getattr(config, name).model_copy(update=values) for name, values in sections.items()
    }
    return config.model_copy(update=update)


def item(name, mb, inputs=(), temporary=False, seconds=10.0, **cost):
    job = planned("figure_system", [name], inputs, temporary=[name] if temporary else ())
    return budget.Item(job, Cost(seconds, 1, **cost), Volume(mb, 1))


def test_the_papers_products_by_hand():
    january = {"segment": "2024-01", "experiment": "full", "reference": "era5"}
    states = volumes.product_volume(PAPER, "states_decode", january)
    assert states.mb == pytest.approx(124 * STATE_MB * 0.58)
    assert states.files == 124 + volumes.STORE_FILES
    # 62 initial times of 40 leads, a file of each variable
    forecasts = volumes.product_volume(PAPER, "cycling_forecasts", january)
    assert forecasts.mb == pytest.approx(62 * 40 * STATE_MB * 0.58)
    assert forecasts.files == 62 * 10 + volumes.STORE_FILES
    analyses = volumes.product_volume(PAPER, "cycling_analyses", january)
    assert analyses.mb == pytest.approx(124 * 2 * STATE_MB * 0.58)
    # 20 channels that figures draw, of 10 variables, and 4 more winds that cyclones are tracked by
    few = changed(PAPER, cycling={"keep_forecasts": "scored"}, verification={"channels": []})
    kept = volumes.product_volume(few, "cycling_forecasts", january)
    assert kept.mb == pytest.approx(forecasts.mb * 24 / 70)
    assert kept.files == forecasts.files
    # a day of ATMS took 157 MB as a grid
    observed = {"source": "noaa20_atms", "segment": "2023-01"}
    grid = volumes.product_volume(PAPER, "observations_grid", observed)
    assert grid.mb == pytest.approx(31 * 157, rel=0.1)


@pytest.mark.parametrize(
    ("compression", "states", "analyses"), [("none", 1, 1), ("lz4hc", 0.49, 0.69)]
)
def test_states_take_the_room_of_their_compression(compression, states, analyses):
    changed = PAPER.model_copy(update={"states": SimpleNamespace(compression=compression)})
    january = {"segment": "2024-01", "experiment": "full"}
    decoded = volumes.product_volume(changed, "states_decode", january)
    assert decoded.mb == pytest.approx(124 * STATE_MB * states)
    cycled = volumes.product_volume(changed, "cycling_analyses", january)
    assert cycled.mb == pytest.approx(124 * 2 * STATE_MB * analyses)


def test_sums_are_by_stage_and_device():
    items = [
        item("a", 5, threads=2, seconds=3600),
        item("b", 7, gpus=4, on_gpu=True, seconds=1800),
        item("c", 1, gpus=1, threads=2, seconds=3600),
    ]
    assert budget.totals(items)["scores"] == budget.Total(3, 4.0, 2.0, 13, 3)


def test_what_is_temporary_counts_until_it_is_used():
    # a (10) is used by b (1), which c (100) waits for
    chain = [item("a", 10, temporary=True), item("b", 1, ["a"]), item("c", 100, ["b"])]
    assert budget.peak_volume(chain).mb == 101
    assert budget.peak_volume([item("a", 10), *chain[1:]]).mb == 111
    # c starts beside b and needs a too: all are there at once
    beside = [*chain[:2], item("c", 100, ["a"])]
    assert budget.peak_volume(beside).mb == 111


def test_what_is_there_needs_no_space(tmp_path):
    there = tmp_path / "there"
    there.touch()
    jobs = [
        planned("states_statistics", [str(there)]),
        planned("states_statistics", [str(tmp_path / "absent")]),
    ]
    first, second = budget.items_of(TEST, jobs)
    assert first.volume == Volume(0, 0)
    assert second.volume.mb > 0
    month = tmp_path / "era5" / "2023-01"
    month.mkdir(parents=True)
    fetching = planned("archive_fetch", ["r"], wildcards={"product": "era5", "segment": "2023-01"})
    following = planned("archive_fetch", ["s"], wildcards={"product": "era5", "segment": "2023-02"})
    fetched, lacking = budget.items_of(PAPER, [fetching, following], tmp_path)
    assert fetched.volume.mb == 0
    # what is there is neither waited for nor counted as a download
    assert (fetched.cost.seconds, fetched.needs["downloads"]) == (0, 0)
    assert (lacking.cost.seconds > 3000, lacking.needs["downloads"]) == (True, 1)
    assert lacking.volume.mb == pytest.approx(28 / 30.4 * 24_000)


def test_a_run_that_does_not_fit_is_refused_with_need_room_place_and_remedy(tmp_path, monkeypatch):
    free = SimpleNamespace(f_bavail=1000, f_frsize=1000, f_files=0, f_favail=0)
    monkeypatch.setattr(budget.os, "statvfs", lambda path: free)
    wildcards = {"experiment": "full", "segment": "2024-01"}
    items = budget.items_of(PAPER, [planned("cycling_forecasts", ["f"], wildcards=wildcards)])
    results = tmp_path / "results"
    with pytest.raises(budget.SpaceError) as refused:
        budget.check_space(PAPER, items, results, tmp_path)
    text = str(refused.value)
    assert f"{results}: about 420 GB needed, 1.0 MB free" in text
    assert "cycling.init_hours: [0]: 210 GB less" in text
    assert "--config check_space=false" in text
    budget.check_space(PAPER.model_copy(update={"check_space": False}), items, results, tmp_path)
    free.f_bavail = 1e9
    budget.check_space(PAPER, items, results, tmp_path)
    # space alone is not enough
    free.f_files, free.f_favail = 10_000, 500
    with pytest.raises(budget.SpaceError, match="640 files, room for 500"):
        budget.check_space(PAPER, items, results, tmp_path)


def test_what_runs_at_once_decides_how_much_is_there():
    chains = [
        item("a", 5, temporary=True, seconds=100, threads=2),
        item("b", 1, ["a"], seconds=100, threads=2),
        item("c", 5, temporary=True, seconds=100, threads=2),
        item("d", 1, ["c"], seconds=100, threads=2),
    ]
    assert budget.peak_volume(chains).mb == 12
    assert budget.simulated_run(chains).makespan == 200
    two = {"_cores": 2}
    assert budget.simulated_run(chains, two).makespan == 400
    # of jobs that can start one of the longest chains does: both are there before either is used
    assert budget.peak_volume(chains, two).mb == 11
    # memory counts as it is asked for, a gigabyte at least
    assert budget.simulated_run(chains, {"mem_mb": 1500}).makespan == 400


def test_what_stays_beside_a_temporary_product_takes_no_space_of_it():
    job = planned("states_forecasts", ["store", "ledger"], temporary=["store"])
    items = [budget.Item(job, Cost(10, 1), Volume(8, 2)), item("last", 1, ["store"])]
    items.append(item("later", 8, ["last"]))
    assert budget.peak_volume(items).mb == 9


def test_settings_are_named_with_what_they_save():
    january = {"segment": "2024-01", "experiment": "full"}
    bank = {"segment": "2023-01", "experiment": "full"}
    early = {"segment": "1979-01", "reference": "era5"}
    jobs = [
        planned("cycling_forecasts", ["f"], wildcards=january),
        planned("training_backgrounds", ["b"], wildcards=bank),
        planned("states_decode", ["s"], wildcards=early),
        planned("observations_grid", ["g"], wildcards={"source": "iasi", "segment": "2023-01"}),
    ]
    items = budget.items_of(PAPER, jobs)
    forecasts, backgrounds, states, grid = (one.volume.mb for one in items)
    saved = dict(budget.savings(PAPER, items))
    assert saved["cycling.init_hours: [0]"] == pytest.approx(forecasts / 2)
    key = "cycling.keep_forecasts: scored with verification.channels: []"
    assert saved[key] == pytest.approx(forecasts * 46 / 70)
    assert not [key for key in saved if "forecasts: false" in key], "the figures need one"
    another = planned(
        "cycling_forecasts", ["o"], wildcards={**january, "experiment": [*PAPER.experiments][1]}
    )
    several = dict(budget.savings(PAPER, [*items, *budget.items_of(PAPER, [another])]))
    assert several["forecasts: false in one of the 2 experiments"] == pytest.approx(forecasts)
    key = "experiment.training.backgrounds.every_hours: 36"
    assert saved[key] == pytest.approx(backgrounds / 2)
    assert saved["periods.training.start: 1980-01-01, a year later"] == states
    assert saved.get("iasi left out of sources", grid) == grid
    assert list(saved.values()) == sorted(saved.values(), reverse=True)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.0123, "0.012"), (1.26, "1.3"), (97.4, "97"), (44_474, "44,000")],
)
def test_estimates_have_two_digits(number, text):
    assert budget.two_digits(number) == text


def test_space_is_told_in_the_unit_that_it_fills():
    assert [budget.in_words(mb) for mb in (1.26, 2700, 4.2e6)] == ["1.3 MB", "2.7 GB", "4.2 TB"]


def test_places_on_one_disk_are_one(tmp_path):
    items = [item("a", 5), budget.Item(planned("archive_fetch", ["r"]), Cost(1, 1), Volume(7, 2))]
    (place,) = budget.places(items, tmp_path / "results", tmp_path / "archive")
    assert (place.needed_mb, place.needed_files) == (12, 3)
    assert place.paths == (tmp_path / "results", Path(tmp_path / "archive"))


def test_what_a_simulated_run_has():
    assert budget.capacity_of() == dict(budget.AT_ONCE)
    assert budget.capacity_of(cores=2) == {**budget.AT_ONCE, "_cores": 2, "gpu": 1}
    assert budget.capacity_of(memory_gb=24, gpus=8) == {
        **budget.AT_ONCE,
        "mem_mb": 24_000,
        "gpu": 8,
    }


def test_at_once_is_what_the_profiles_let():
    profiles = {
        name: (ROOT / path / "config.yaml").read_text(encoding="utf-8")
        for name, path in (("_nodes", "slurm"), ("downloads", "profiles/default"))
    }
    assert f"jobs: {budget.AT_ONCE['_nodes']}" in profiles["_nodes"].split("\n")
    assert f"  - downloads={budget.AT_ONCE['downloads']}" in profiles["downloads"].split("\n")


def test_what_remains_of_a_run_is_the_longest_chain():
    segment = {"segment": TEST.segments(TEST.periods.training)[0]}
    jobs = [
        planned("world_nature", ["truth"], wildcards=segment),
        planned("world_era5", ["files"], ["truth"], segment),
        planned("states_decode", ["states"], ["files"], segment | {"reference": "era5"}),
        planned("states_statistics_part", ["moments"], ["states"], segment),
        planned("states_truth", ["true states"], ["truth"], segment),
    ]
    items = budget.items_of(TEST, jobs)
    remaining = budget.remaining_seconds(items)
    cost = {item.job.outputs[0]: item.cost.seconds for item in items}
    assert remaining["true states"] == cost["true states"]
    longest = ["truth", "files", "states", "moments"]
    assert remaining["truth"] == pytest.approx(sum(cost[name] for name in longest))
