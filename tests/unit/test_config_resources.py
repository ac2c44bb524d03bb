"""Requests of jobs: never below what was measured; training by hand, and true to its loaders."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fuxiflow import ROOT
from fuxiflow.config import network_sizes, resources, work
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.network_sizes import Model
from fuxiflow.config.variational import Variational
from fuxiflow.models import device_memory
from fuxiflow.states import climatology
from fuxiflow.states.climatology import Climatology
from fuxiflow.training import samples
from tests.support import tiny

CONFIGURATIONS = {
    name: load_configuration(ROOT / "config" / f"{name}.yaml") for name in ("demo", "paper", "test")
}


def job(name, stage, **changes):
    """Megabytes of a stage of a configuration, with other options of training."""
    config = CONFIGURATIONS[name]
    training = config.experiment.training.model_copy(update=changes)
    return resources.training_job_mb(
        config.experiment.model, training, stage, config.grid.nlat * config.grid.nlon
    )


@pytest.mark.parametrize("stage", ["forecaster", "assimilator", "joint", "autoregressive"])
def test_the_demonstration_asks_for_about_6_gb(stage):
    # its largest stage took 3.9 GB
    for name, most in (("demo", 6800), ("test", 6000)):
        cost = resources.job_cost(CONFIGURATIONS[name], f"training_{stage}", {"experiment": "full"})
        assert 5800 <= resources.request_of(cost).mem_mb <= most
        # 3D-Var's errors and sums by cell come on top
        assert job(name, stage) <= cost.mb < job(name, stage) + 700


def test_3d_var_asks_for_its_minimisation_and_its_errors():
    def with_3d_var(settings):
        config = CONFIGURATIONS["test"]
        training = config.experiment.training.model_copy(update={"variational": settings})
        experiment = config.experiment.model_copy(update={"training": training})
        return config.model_copy(update={"experiment": experiment})

    def cost(rule, settings):
        wildcards = {"experiment": "full", "segment": "2022-02"}
        return resources.job_cost(with_3d_var(settings), rule, wildcards)

    some, more = Variational(iterations=3), Variational(iterations=6)
    for rule in ("cycling_analyses", "training_assimilator", "training_joint"):
        without, once, twice = (cost(rule, settings) for settings in (None, some, more))
        assert without.seconds < once.seconds < twice.seconds
        assert once.mb > without.mb + 2 * some.fit.megabytes(8, 16)
    assert cost("training_background_errors", some).seconds > 30
    # an increment of the demonstration took 0.3 s of a core in bfloat16
    assert 0.5 < Variational().seconds(32, 64) < 1.0


def test_a_first_guess_check_asks_for_the_forecasts_of_its_fit():
    config = CONFIGURATIONS["demo"]
    check = {"weights": "full", "first_guess_check": {}}
    more = {**check, "first_guess_check": {"fit": {"windows": 120}}}
    experiments = {**config.experiments, "checked": check, "more": more}
    config = config.model_copy(update={"experiments": experiments})
    one, twice = (
        resources.job_cost(config, "training_first_guess", {"experiment": name})
        for name in ("checked", "more")
    )
    assert one.seconds < twice.seconds < 2 * one.seconds
    assert one.threads == twice.threads == 2


def test_the_papers_stages_by_hand():
    field, weights = 290.304, 6.08e3  # 70 channels of 720 x 1440 numbers; 1.52 billion weights
    # weights and two moments of a restart file; 17 batches of one sample, eight workers and their
    # climatologies
    expected = 4500 + 3 * weights + 17 * (2 + 5 + 4) * field + 8 * 16 * field + 8 * 500
    assert job("paper", "joint") == pytest.approx(expected, rel=0.01)
    expected = 4500 + 3 * weights + 17 * (2 + 20) * field + 8 * 500
    assert job("paper", "autoregressive") == pytest.approx(expected, rel=0.01)


def test_what_is_shared_out_and_what_is_not():
    model = Model(forecaster="fuxi")
    weights = network_sizes.forecaster_weights_mb(model.forecaster.model_dump())
    options = {"workers": 0, "devices": 2, "nodes": 2}

    def both(**changes):
        stage = CONFIGURATIONS["paper"].experiment.training.forecaster.model_copy(
            update={"batch": 4}
        )
        training = CONFIGURATIONS["paper"].experiment.training.model_copy(
            update={**options, "forecaster": stage, **changes}
        )
        return resources.training_job_mb(model, training, "forecaster", 0) - resources.PROGRAM_MB

    # two processes on each machine: on GPUs a restart file each, on processors four copies more; by
    # fsdp a quarter of all that, beside the weights of the stage before
    assert both(accelerator="cuda") == pytest.approx(2 * 3 * weights, abs=1)
    assert both(accelerator="cpu") == pytest.approx(2 * 7 * weights, abs=1)
    assert both(accelerator="auto", strategy="fsdp") == pytest.approx(
        2 * (1 + 3 / 4 + 4 / 4) * weights, abs=1
    )
    mean = CONFIGURATIONS["paper"].experiment.training.forecaster.model_copy(
        update={"batch": 4, "ema": 0.99}
    )
    assert both(accelerator="cuda", forecaster=mean) == pytest.approx(2 * 4 * weights, abs=1)


def test_parts_of_a_batch_and_devices_share_it():
    stage = CONFIGURATIONS["demo"].experiment.training.joint
    whole = job("demo", "joint") - resources.PROGRAM_MB
    parts = (
        job("demo", "joint", joint=stage.model_copy(update={"accumulate": stage.batch}))
        - resources.PROGRAM_MB
    )
    field = 4 * 70 * 32 * 64 / 1e6
    assert whole - parts == pytest.approx((stage.batch - 1) * (2 * stage.cycles + 3) * field, abs=1)


def test_a_job_asks_for_the_devices_that_its_batch_can_be_shared_by():
    experiment = CONFIGURATIONS["paper"].experiment
    joint = experiment.training.joint.model_copy(update={"batch": 4})
    training = experiment.training.model_copy(update={"devices": 8, "nodes": 2, "joint": joint})
    experiment = experiment.model_copy(update={"training": training})
    config = CONFIGURATIONS["paper"].model_copy(update={"experiment": experiment})
    alone = resources.job_cost(CONFIGURATIONS["paper"], "training_joint", {"experiment": "full"})
    shared = resources.job_cost(config, "training_joint", {"experiment": "full"})
    assert (alone.gpus, shared.gpus) == (1, 4)
    # four processes on one machine, each with a sample as one alone has
    process = alone.mb - resources.PROGRAM_MB
    assert shared.mb == pytest.approx(resources.PROGRAM_MB + 4 * process, abs=1)
    assert resources.job_cost(config, "training_assimilator", {"experiment": "full"}).gpus == 1


def test_loaders_hold_what_is_counted(tmp_path):
    made = tiny.record(tmp_path)
    archive = samples.Archive(made.states, {}, Climatology.read(made.climatology))
    plan = lambda step: [samples.Request(tiny.times(40)[8], 1, 2)]  # noqa: E731
    batches = samples.Batches(archive, plan, {}, None)
    assert samples.load_batches(batches, 0, 4, 1).prefetch_factor == resources.AHEAD
    for day in range(0, 300, 3):
        archive.climatology.at(tiny.START + np.timedelta64(day, "D"))
    assert len(archive.climatology._cache) == resources.CLIMATOLOGY_FIELDS
    batch = batches[0]
    training = CONFIGURATIONS["demo"].experiment.training
    training = training.model_copy(
        update={"joint": training.joint.model_copy(update={"cycles": 2})}
    )
    counted = sum(tensor.numel() for tensor in (batch.first, batch.targets, batch.climatology))
    assert counted == resources.fields_per_sample(training, "joint") * resources.CHANNELS * 8 * 16


MEASUREMENTS = pd.read_csv(ROOT / "benchmarks" / "durations.csv")
WHOLE_JOBS = MEASUREMENTS[MEASUREMENTS["configuration"].notna()]
RULES = {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}


def costs(row, **changes):
    """The cost of a measured amount of work, at the size at which it was measured."""
    cells = math.prod(map(int, row.grid.split("x")))
    rule = resources.COSTS[row.rule]
    if isinstance(rule, resources.Linear):
        return rule.at(row.amount, cells)
    # of networks the host's side was measured
    count = rule.states + rule.batch_states * 3
    mb = rule.mb + resources.states_mb(count, cells)
    return resources.Cost(row.amount * rule.seconds, mb)


def test_every_measurement_says_where_it_is_from():
    assert set(MEASUREMENTS["basis"]) == {"measured", "estimated"}
    assert set(MEASUREMENTS["rule"]) <= RULES
    assert MEASUREMENTS.loc[MEASUREMENTS["basis"] == "measured", "source"].notna().all()


@pytest.mark.parametrize(
    "row",
    MEASUREMENTS[
        (MEASUREMENTS["basis"] == "measured") & MEASUREMENTS["configuration"].isna()
    ].itertuples(),
    ids=lambda row: f"{row.rule}-{row.grid}-{row.amount}",
)
def test_no_request_is_below_what_was_measured(row):
    cost = costs(row)
    request = resources.request_of(cost)
    if not math.isnan(row.mb):
        assert request.mem_mb >= 1.3 * row.mb
        assert cost.mb <= max(2 * row.mb, 1000)
    if not math.isnan(row.seconds):
        # a short job's limit is the least there is: what grows with work is compared
        assert cost.seconds >= 0.95 * row.seconds
        most = 1.3 * row.seconds
        assert costs(SimpleNamespace(**(row._asdict() | {"amount": 0}))).seconds + most >= (
            cost.seconds
        )


def check_whole_job(row):
    """Compare the measurement of a job of a rehearsal with what the job asks for."""
    config = load_configuration(ROOT / "config" / f"{row.configuration}.yaml")
    pairs = [] if pd.isna(row.wildcards) else str(row.wildcards).split(";")
    wildcards = dict(pair.split("=") for pair in pairs)
    request = resources.request_of(resources.job_cost(config, row.rule, wildcards))
    assert row.basis == "measured"
    if not math.isnan(row.mb):
        assert request.mem_mb >= 1.3 * row.mb
    assert 60 * request.runtime >= 1.5 * row.seconds


@pytest.mark.parametrize(
    "row", WHOLE_JOBS.itertuples(), ids=lambda row: f"{row.rule}-{row.wildcards}"
)
def test_jobs_of_a_rehearsal_took_less_than_they_ask_for(row):
    check_whole_job(row)


def test_jobs_of_the_demonstration_take_about_what_was_measured():
    rows = WHOLE_JOBS[WHOLE_JOBS["configuration"] == "demo"]
    estimated = []
    for row in rows.itertuples():
        pairs = [] if pd.isna(row.wildcards) else row.wildcards.split(";")
        wildcards = dict(pair.split("=") for pair in pairs)
        estimated.append(resources.job_cost(CONFIGURATIONS["demo"], row.rule, wildcards).seconds)
    assert len(rows) > 20
    assert 0.5 < sum(estimated) / rows["seconds"].sum() < 2


def test_a_job_that_took_more_is_found():
    row = SimpleNamespace(
        configuration="test",
        rule="states_decode",
        wildcards="reference=era5;segment=2022-01",
        basis="measured",
        seconds=600.0,
        mb=700.0,
    )
    check_whole_job(row)
    for change in ({"seconds": 1300.0}, {"mb": 1000.0}):
        with pytest.raises(AssertionError):
            check_whole_job(SimpleNamespace(**(vars(row) | change)))


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(("name", "grid"), [("paper", (720, 1440)), ("rehearsal", (720, 1440))])
def test_what_gradients_keep_is_as_counted_on_the_meta_device(name, grid, recompute):
    model = load_configuration(ROOT / "config" / f"{name}.yaml").experiment.model
    counts, cells = device_memory.count_networks(model, grid), 4 * grid[0] * grid[1]
    forecaster, assimilator = (getattr(model, key).model_dump() for key in vars(model))
    step = network_sizes.step_values(forecaster, recompute)
    assert step == pytest.approx(counts.step[recompute] / cells, rel=0.25)
    kept = counts.analysis[recompute] + 9 * counts.source[recompute]
    analysis = network_sizes.analysis_values(assimilator, 9, recompute)
    assert analysis == pytest.approx(kept / cells, rel=0.1)
    source = network_sizes.source_values(assimilator)
    assert source == pytest.approx(counts.source[0] / cells, rel=0.1)


def test_a_processor_holds_what_gradients_keep():
    config = load_configuration(ROOT / "config" / "rehearsal.yaml")
    training, cells = config.experiment.training, 720 * 1440
    kept = resources.gradient_mb(config.experiment.model, training, "joint", cells, 9)
    # two cycles of an analysis and a forecast, and a source that is made again
    assert kept == pytest.approx(4.15 * (2 * (400 + 147) + 487), rel=0.02)
    on_gpu = training.model_copy(update={"accelerator": "cuda"})
    here, there = (
        resources.training_job_mb(config.experiment.model, one, "joint", cells, 9)
        for one in (training, on_gpu)
    )
    weights = network_sizes.forecaster_weights_mb(config.experiment.model.forecaster.model_dump())
    assert here - there == pytest.approx(
        resources.LIBRARIES_MB + kept - resources.PROGRAM_MB + 4 * weights, abs=2
    )


def test_every_rule_has_an_entry():
    figures = {name for name in RULES if name.startswith("figure_")}
    assert RULES - figures <= set(resources.COSTS)
    with pytest.raises(KeyError, match="rule states_new has no entry in COSTS"):
        resources.job_cost(CONFIGURATIONS["test"], "states_new", {})


def test_what_a_job_asks_for():
    request = resources.request_of(resources.Cost(seconds=8000, mb=10_000, threads=3, gpus=2))
    assert request == resources.JobRequest(mem_mb=13_000, runtime=200, threads=3, gpu=2)
    assert 2 / 3 * 60 * request.runtime >= 8000
    small = resources.request_of(resources.Cost(1, 1))
    assert (small.mem_mb, small.runtime) == (1000, 30)
    large = resources.Cost(1, 100_000)
    assert [resources.request_of(large, attempt).mem_mb for attempt in (1, 2, 3)] == [
        130_000,
        162_000,
        194_000,
    ]


def test_time_grows_with_work_and_grid():
    rule = resources.Linear(lambda config, wildcards: 0, 8.0, states=2, mb=100, least=1, start=5)
    full = rule.at(10, 720 * 1440)
    assert full.seconds == 5 + 10 * 9
    assert full.mb == pytest.approx(100 + 2 * 290.304)
    assert rule.at(10, 720 * 360).seconds == 5 + 10 * 3


def test_updates_take_the_arithmetic_of_their_steps():
    experiment = CONFIGURATIONS["paper"].resolve("full")
    step = network_sizes.forecast_flop(experiment.model.forecaster.model_dump(), 720 * 1440)
    flop, _ = resources.update_flop(experiment, "forecaster", 720 * 1440, 12)
    assert flop == pytest.approx(3 * step)
    # 1 to 20 steps, made again for their gradients
    flop, _ = resources.update_flop(experiment, "autoregressive", 720 * 1440, 12)
    assert flop == pytest.approx(4 * 10.5 * step)
    # the bank has the backgrounds: a first guess, an analysis with gradients, a forecast
    analysis = network_sizes.analysis_flop(
        experiment.model.assimilator.model_dump(), 720 * 1440, 12
    )
    flop, _ = resources.update_flop(experiment, "assimilator", 720 * 1440, 12)
    assert flop == pytest.approx(step + 4 * analysis + step)
    # FuXi Weather: ten forecasts with gradients from each analysis
    experiment = load_configuration(ROOT / "config" / "fuxiweather.yaml").resolve("full")
    analysis = network_sizes.analysis_flop(experiment.model.assimilator.model_dump(), 720 * 1440, 6)
    flop, _ = resources.update_flop(experiment, "assimilator", 720 * 1440, 6)
    assert flop == pytest.approx(step + 4 * analysis + 4 * 10 * step)
    single = experiment.training.assimilator.model_copy(update={"forecast_steps": 1})
    training = experiment.training.model_copy(update={"assimilator": single})
    experiment = experiment.model_copy(update={"training": training})
    flop, _ = resources.update_flop(experiment, "assimilator", 720 * 1440, 6)
    assert flop == pytest.approx(step + 4 * analysis + 4 * step)


def test_amounts_of_work_are_those_of_the_modules_that_do_it():
    """Configuration knows no module above it, so it has these numbers of its own."""
    assert len(climatology.NODES) == work.YEAR_NODES
    assert work.NODE_DAYS == climatology.NODE_DAYS
    assert len(climatology.HOURS) == work.HOURS_A_DAY
