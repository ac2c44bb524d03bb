"""Training knows neither the truth nor the test period; inference knows neither the truth nor a
state of its time.
"""

import re
from datetime import date
from itertools import pairwise

import pytest

from fuxiflow import ROOT
from fuxiflow.config import configuration
from tests.workflow.workbench import ancestors

CONFIGURATIONS = ["test", "demo", "rehearsal", "paper"]
LEARNING = {
    "states_statistics",
    "states_statistics_part",
    "states_climatology",
    "states_climatology_part",
    "observations_limits",
    "observations_limits_part",
    "observations_statistics",
    "observations_statistics_part",
    "training_forecaster",
    "training_assimilator",
    "training_joint",
    "training_autoregressive",
}
OPTIONAL = {
    "training_backgrounds": {"rehearsal", "paper"},
    "training_background_filter": {"test", "demo"},
}
TRUTH = re.compile(r"/truth/|/nature/")
LEARNT_OR_CARRIED = re.compile(
    r"/models/\w+/(joint|autoregressive)\.ckpt$|/states/climatology\.zarr$|/analyses/\w+/[\d-]+\.carry\.pt$"
)
SEGMENT = re.compile(r"/(\d{4}-\d{2})(?:\.|/|$)")


@pytest.fixture(params=CONFIGURATIONS)
def planned(request, plans):
    return configuration.load_configuration(ROOT / "config" / f"{request.param}.yaml"), plans(
        request.param
    )


def of(jobs, *rules):
    chosen = [job for job in jobs if job.rule in rules]
    assert {job.rule for job in chosen} == set(rules), (
        "the plan lacks a rule that this test is about"
    )
    return chosen


def segments(paths):
    return {match[1] for path in paths if (match := SEGMENT.search(path))}


def read_by(jobs, files):
    """Rules of the jobs in the past of something that read ``files`` directly."""
    return {job.rule for job in jobs if job and set(job.inputs) & files}


def check_truth_is_behind_raw_files(found):
    """Truth may be known to the rules of the world alone, which make the raw files of it."""
    truth = {path for path in found if TRUTH.search(path)}
    readers = read_by(found.values(), truth)
    assert all(rule.startswith("world_") for rule in readers), (
        f"the truth is read by {sorted(readers)}"
    )
    assert not any("/states/truth/" in path for path in found)


def test_what_is_learnt_is_learnt_from_training_alone(planned):
    settings, jobs = planned
    training = set(settings.segments(settings.periods.training))
    optional = {job.rule for job in jobs} & set(OPTIONAL)
    assert optional == {rule for rule, names in OPTIONAL.items() if settings.name in names}
    for job in of(jobs, *LEARNING, *optional):
        found = ancestors(jobs, job)
        assert segments(found) <= training, (
            f"{job.rule} reaches {sorted(segments(found) - training)}"
        )
        check_truth_is_behind_raw_files(found)
        foreign = [
            path for path in found if re.search(r"/(gfs|forecasts|analyses|scores|figures)/", path)
        ]
        assert not foreign, f"{job.rule} reaches {foreign[:3]}"


def test_observations_are_judged_by_limits_of_the_observation_period(planned):
    settings, jobs = planned
    allowed = set(settings.segments(settings.periods.observations))
    for job in of(jobs, "observations_limits", "observations_statistics"):
        observed = {
            path for path in ancestors(jobs, job) if "/observations/" in path or "/grids/" in path
        }
        assert segments(observed) <= allowed


def test_a_cycle_reads_observations_of_its_time_and_what_was_learnt(planned):
    settings, jobs = planned
    labels = settings.segments(settings.cycling_period)
    for job in of(jobs, "cycling_analyses"):
        position = labels.index(job.wildcards["segment"])
        near = set(labels[max(position - 1, 0) : position + 2])
        for path in job.inputs:
            if "/grids/" in path:
                assert segments([path]) <= near
            else:
                assert LEARNT_OR_CARRIED.search(path), f"a cycle reads {path}"
                assert "/analyses/" not in path or segments([path]) == {labels[position - 1]}


def test_a_forecast_reads_its_own_analyses(planned):
    _, jobs = planned
    for job in of(jobs, "cycling_forecasts"):
        for path in job.inputs:
            own = f"/analyses/{job.wildcards['experiment']}/" in path
            assert own or path.endswith("/autoregressive.ckpt"), f"a forecast reads {path}"
            assert not own or max(segments([path])) <= job.wildcards["segment"]


def test_inference_knows_no_state_of_its_time(planned):
    settings, jobs = planned
    training = set(settings.segments(settings.periods.training))
    for job in of(jobs, "cycling_analyses", "cycling_forecasts", "cycling_response"):
        found = ancestors(jobs, job)
        states = {path for path in found if "/states/" in path or "/era5/" in path}
        assert segments(states) <= training, f"{job.rule} reaches {sorted(states)[:3]}"
        assert not [path for path in found if "/gfs/" in path or "/scores/" in path]
        assert {path.split("/")[-2] for path in found if "/forecasts/" in path} <= {
            job.wildcards["experiment"]
        }
        check_truth_is_behind_raw_files(found)


def test_without_observations_nothing_is_assimilated(planned):
    _, jobs = planned
    blind = [
        job
        for job in of(jobs, "cycling_analyses")
        if job.wildcards["experiment"] == "no_observations"
    ]
    assert blind
    assert not [path for job in blind for path in job.inputs if "/grids/" in path]


VALIDATED = """
periods:
  cold_start: 2022-02-22
  validation: {start: 2022-02-23, end: 2022-02-25}
  test: {start: 2022-03-01, end: 2022-03-03}
"""


@pytest.fixture(scope="module")
def validated(checkout, tmp_path_factory):
    """A copy whose configuration has a validation before its test."""
    copy = checkout.clone(tmp_path_factory.mktemp("validated") / "copy")
    (copy.folder / "config/validated.yaml").write_text(VALIDATED)
    return copy


def test_what_is_scored_for_validation_sees_nothing_of_the_test(validated):
    jobs = validated.plan("validation", configuration="test+validated")
    assert {"cycling_analyses", "cycling_forecasts", "verification_scores"} <= {
        job.rule for job in jobs
    }
    reached = segments(path for job in jobs for path in (*job.inputs, *job.outputs))
    assert reached == {"2022-01", "2022-02"}
    tables = {path for job in jobs for path in job.outputs if path.endswith("scores.parquet")}
    assert tables == {"results/test/validation/scores.parquet"}
    learnt = of(jobs, *LEARNING)
    assert all(segments(ancestors(jobs, job)) <= {"2022-01"} for job in learnt)


def test_a_whole_run_scores_both_and_the_test_alone_is_drawn(validated):
    jobs = validated.plan(configuration="test+validated")
    (whole,) = of(jobs, "all")
    assert "results/test/validation/scores.parquet" in whole.inputs
    for job in of(jobs, "verification_scores", "verification_forecasts", "verification_departures"):
        parts = {path for path in job.inputs if SEGMENT.search(path)}
        of_validation = job.wildcards["scores"] == "validation"
        assert segments(parts) <= ({"2022-02"} if of_validation else {"2022-03"})
        folders = {path.split("/")[2] for path in {*job.inputs, *job.outputs} - parts}
        assert folders == {job.wildcards["scores"]}
    cycles = {job.wildcards["scores"]: job for job in of(jobs, "verification_analyses")}
    assert segments(cycles["validation"].inputs) == {"2022-02"}
    assert segments(cycles["scores"].inputs) == {"2022-02", "2022-03"}
    # costs wait for all that is made
    drawn = [
        job
        for job in jobs
        if (job.rule.startswith("figure_") and job.rule != "figure_costs") or "accept" in job.rule
    ]
    assert drawn
    assert not [path for job in drawn for path in job.inputs if "/validation/" in path]


HYBRID = """
simulation:
  noaa20_atms:
    period: {start: 2022-01-22, end: 2022-01-26}
    template: {start: 2022-01-27, end: 2022-01-31}
"""


@pytest.fixture(scope="module", params=[0, 31])
def replayed(request, checkout, tmp_path_factory):
    """The plan of a longer test with replay, for a delay of so many days."""
    copy = checkout.clone(tmp_path_factory.mktemp("replayed") / "copy")
    copy.edit("config/test.yaml", "end: 2022-02-05}\n\nworld", "end: 2022-04-10}\n\nworld")
    copy.edit(
        "config/test.yaml",
        "    autoregressive: {",
        "    replay: {updates: 4, batch: 1, learning_rate: 1.0e-4, fresh_days: 10, "
        f"max_lead_hours: 12, delay_days: {request.param}}}\n    autoregressive: {{",
    )
    return (
        configuration.load_configuration(copy.folder / "config" / "test.yaml"),
        copy.plan("--forceall"),
        request.param,
    )


def test_an_update_knows_what_ended_before_its_segment(replayed):
    settings, jobs, delay = replayed
    updates = of(jobs, "training_replay")
    assert {job.wildcards["segment"] for job in updates} == (
        {"2022-03", "2022-04"} if delay == 0 else {"2022-04"}
    )
    for job in updates:
        segment, found = job.wildcards["segment"], ancestors(jobs, job)
        assert max(segments(found)) < segment, (
            f"an update for {segment} reaches {sorted(segments(found))}"
        )
        period = settings.replayed("full")[segment]
        assert (date.fromisoformat(f"{segment}-01") - period.end).days == delay + 1
        data = {path for path in found if not re.search(r"/models/", path)}
        # what was learnt before knew no more; the cycle's part is of segments up to the last fresh
        # day alone
        assert max(segments(data)) == settings.segments(period)[-1]
        check_truth_is_behind_raw_files(found)
        foreign = [
            path for path in found if re.search(r"/(gfs|forecasts|analyses|scores|figures)/", path)
        ]
        assert not foreign, f"an update reaches {foreign[:3]}"


def test_updates_change_nothing_that_was_learnt_in_training(replayed):
    settings, jobs, _ = replayed
    training = set(settings.segments(settings.periods.training))
    for job in of(jobs, *LEARNING):
        assert segments(ancestors(jobs, job)) <= training
    (forecasts,) = {
        path for job in of(jobs, "cycling_forecasts") for path in job.inputs if "/models/" in path
    }
    assert forecasts.endswith("/autoregressive.ckpt")


def test_a_segment_is_cycled_with_the_update_before_it(replayed):
    _, jobs, _ = replayed
    updated = sorted(job.wildcards["segment"] for job in of(jobs, "training_replay"))
    chain = {job.wildcards["segment"]: job.inputs for job in of(jobs, "training_replay")}
    models = "results/test/models/full"
    assert f"{models}/joint.ckpt" in chain[updated[0]]
    assert all(
        f"{models}/replay/{before}.ckpt" in chain[label] for before, label in pairwise(updated)
    )
    for job in of(jobs, "cycling_analyses"):
        segment = job.wildcards["segment"]
        known = [label for label in updated if label <= segment]
        networks = f"{models}/replay/{known[-1]}.ckpt" if known else f"{models}/joint.ckpt"
        assert [path for path in job.inputs if "/models/" in path] == [networks]
        states = {path for path in ancestors(jobs, job) if "/states/" in path or "/era5/" in path}
        assert max(segments(states)) < segment


@pytest.fixture(scope="module")
def hybrid(checkout, tmp_path_factory):
    """The plan of a configuration with hybrid training."""
    copy = checkout.clone(tmp_path_factory.mktemp("hybrid") / "copy")
    shares = "noaa20_atms: [{start: 2022-01-22, end: 2022-01-24}]"
    copy.edit(
        "config/test.yaml",
        "\nexperiments:\n",
        f"{HYBRID}\nexperiments:\n  hybrid: {{training: {{simulated: {{{shares}}}}}}}\n",
    )
    return configuration.load_configuration(copy.folder / "config" / "test.yaml"), copy.plan(
        "--forceall"
    )


def test_simulated_observations_are_for_training_alone(hybrid):
    settings, jobs = hybrid
    training = set(settings.segments(settings.periods.observations))
    simulated = {path for job in jobs for path in job.outputs if "/simulated/" in path}
    assert simulated
    assert segments(simulated) <= training
    readers = {job.rule for job in jobs if set(job.inputs) & simulated}
    assert readers == {
        "simulation_observations",
        "simulation_grid",
        "training_assimilator",
        "training_joint",
    }
    users = {
        job.wildcards["experiment"]
        for job in jobs
        if job.rule.startswith("training") and set(job.inputs) & simulated
    }
    assert users == {"hybrid"}
    for job in of(jobs, "simulation_departures", "simulation_observations"):
        found = ancestors(jobs, job)
        assert segments(found) <= set(settings.segments(settings.periods.training))
        check_truth_is_behind_raw_files(found)


def test_points_of_the_loss_are_of_the_observation_period(checkout, tmp_path):
    copy = checkout.clone(tmp_path / "copy")
    settings = configuration.load_configuration(copy.folder / "config" / "paper.yaml")
    compared = settings.compared_sources("full")
    assert compared
    for name in settings.sources:
        for segment in [*settings.segments(settings.periods.observations), "2023-06", "2023-07"]:
            (copy.folder / "resources/archive" / name / segment).mkdir(parents=True, exist_ok=True)
    jobs = copy.plan("results/paper/models/full/joint.ckpt", configuration="paper")
    (job,) = of(jobs, "training_joint")
    for name in compared:
        read = {path for path in job.inputs if f"/grids/{name}/" in path}
        assert segments(read) == set(settings.segments(settings.periods.observations))
    cycles = copy.plan("results/paper/analyses/no_observations/2023-06.zarr", configuration="paper")
    (cycle,) = [
        job
        for job in of(cycles, "cycling_analyses")
        if job.wildcards["experiment"] == "no_observations"
    ]
    assert not [path for path in cycle.inputs if "/grids/" in path]
