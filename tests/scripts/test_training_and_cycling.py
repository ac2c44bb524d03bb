"""The scripts of training and cycling on a tiny record, one after the other, as the workflow runs
them.
"""

import json
import logging
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from fuxiflow.cycling.response import Response
from fuxiflow.models import checkpoint
from fuxiflow.models.background_filter import BackgroundFilter
from fuxiflow.models.error_covariances import BackgroundErrors
from fuxiflow.models.spectral_basis import load_fitted
from fuxiflow.observations import ledger
from fuxiflow.observations.sparse_grids import SparseWriter
from fuxiflow.states.climatology import Climatology
from fuxiflow.states.forecasts import Forecasts
from fuxiflow.states.store import StateSeries
from fuxiflow.storage import provenance
from fuxiflow.training.cycles import CycleObjective
from tests.support import tiny
from tests.support.helpers import asked, load_script

LOG = logging.getLogger("test")
DATES = ["2022-01-01", "2022-01-08"]
CYCLE = ["2022-01-09", "2022-01-10"]


def params(directory, **values):
    shared = {
        "options": tiny.OPTIONS,
        "model": tiny.MODEL,
        "grid": {"nlat": 8, "nlon": 16},
        "dates": DATES,
        "reach": DATES[0],
        "seed": 3,
        "sources": [tiny.SOURCE],
        "windows": {tiny.SOURCE: [-3, 5]},
        "simulated": {},
        "accelerator": "cpu",
        "execution": {},
        "variational": None,
        "assimilator": "networks",
        "first_guess": {},
        "saving": SimpleNamespace(),
        "completeness": asked(),
        "from_climatology": False,
        "compression": "packed",
        "state": directory / "state",
        "tensorboard": directory / "tensorboard",
    }
    return SimpleNamespace(**{**shared, **values})


def train(directory, record):
    optimisation = {"updates": 3, "batch": 2, "learning_rate": 1e-3}
    stages = {
        "forecaster": (
            {**optimisation, "rollout": 2, "rollout_fraction": 0.5},
            {"statistics": record.statistics},
        ),
        "assimilator": (
            {**optimisation, "max_lead_hours": 12},
            {"forecaster": directory / "forecaster.ckpt"},
        ),
        "joint": (
            {**optimisation, "max_lead_hours": 12, "cycles": 2},
            {"assimilator": directory / "assimilator.ckpt"},
        ),
        "autoregressive": (
            {**optimisation, "steps": 3, "truncation": 2},
            {"joint": directory / "joint.ckpt"},
        ),
    }
    for stage, (settings, before) in stages.items():
        input = SimpleNamespace(
            states=record.states,
            climatology=record.climatology,
            grids=record.grids,
            grid_statistics=record.grid_statistics,
            simulated=[],
            **before,
        )
        output = SimpleNamespace(
            checkpoint=directory / f"{stage}.ckpt", losses=directory / f"{stage}.parquet"
        )
        load_script(f"training_{stage}").main(input, output, params(directory, stage=settings), LOG)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return tiny.record(tmp_path_factory.mktemp("record"))


@pytest.fixture(scope="module")
def trained(record, tmp_path_factory):
    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("trained")
    provenance.use({"rule": "test", "configuration": "c"})
    train(directory, record)
    provenance.use(None)
    return directory


def test_a_checkpoint_tells_its_history_and_provenance(trained):
    found = checkpoint.load_checkpoint(trained / "joint.ckpt")
    assert [entry["stage"] for entry in found.history] == ["forecaster", "assimilator", "joint"]
    assert found.history[2]["updates"] == 3
    assert found.history[0]["period"][1] <= "2022-01-08T18"
    assert json.loads(found.provenance["json"])["rule"] == "test"
    assert list(found.networks.design.sources) == [tiny.SOURCE]
    assert not (trained / "state").exists()


def test_long_forecasts_train_the_forecaster_alone(trained):
    before, after = (
        checkpoint.load_checkpoint(trained / f"{name}.ckpt") for name in ("joint", "autoregressive")
    )
    assert after.history[:3] == before.history
    assert [entry["stage"] for entry in after.history[3:]] == ["autoregressive"]
    weights = after.networks.state_dict()
    changed = {
        name
        for name, value in before.networks.state_dict().items()
        if not torch.equal(value, weights[name])
    }
    assert changed
    assert all(name.startswith("forecaster.") for name in changed)
    losses = pd.read_parquet(trained / "autoregressive.parquet")
    assert list(losses["step"]) == [0, 1, 2]
    assert np.isfinite(losses["loss"]).all()


def fit_filter(directory, record, trained):
    """A filter of backgrounds, fitted to the small record."""
    output = SimpleNamespace(
        filter=directory / "background_filter.pt", response=directory / "background_filter.parquet"
    )
    settings = {"waves": 3, "vertical_modes": 6, "rows": 4, "rank": 8, "samples": 16}
    load_script("training_background_filter").main(
        SimpleNamespace(
            forecaster=trained / "forecaster.ckpt",
            states=record.states,
            climatology=record.climatology,
        ),
        output,
        SimpleNamespace(settings=settings, seed=3, accelerator="cpu"),
        LOG,
    )
    return output


def test_stage_2_takes_the_filter_and_the_cycle_applies_it(record, trained, tmp_path):
    fitted = fit_filter(tmp_path, record, trained)
    response = pd.read_parquet(fitted.response)
    assert set(response["sample"]) == {"fitted", "independent"}
    stage = {"updates": 2, "batch": 2, "learning_rate": 1e-3, "max_lead_hours": 12}
    load_script("training_assimilator").main(
        SimpleNamespace(
            forecaster=trained / "forecaster.ckpt",
            states=record.states,
            climatology=record.climatology,
            grids=record.grids,
            grid_statistics=record.grid_statistics,
            simulated=[],
            background_filter=fitted.filter,
        ),
        SimpleNamespace(checkpoint=tmp_path / "a.ckpt", losses=tmp_path / "a.parquet"),
        params(tmp_path, stage=stage),
        LOG,
    )
    # as the cycle reads it
    networks = checkpoint.load_checkpoint(tmp_path / "a.ckpt", drawn=False).networks.eval()
    layer = load_fitted(fitted.filter, BackgroundFilter)
    assert all(
        torch.equal(value, layer.state_dict()[name])
        for name, value in networks.background_filter.state_dict().items()
    )
    states = StateSeries(record.states)
    climatology = Climatology.read(record.climatology)
    time = states.times[5]
    with torch.no_grad():
        previous, background, normal = (
            networks.normaliser(torch.from_numpy(field[None, : networks.analysed]))
            for field in (states.read(time - tiny.STEP), states.read(time), climatology.at(time))
        )
        guess = networks.guess(previous, background, normal, np.array([time]))
        torch.testing.assert_close(guess[:, 1], layer(background, normal))
        assert not torch.equal(guess[:, 1], background)


def test_3d_var_is_fitted_starts_the_assimilator_and_makes_analyses_alone(
    record, trained, tmp_path
):
    fitted = tmp_path / "background_errors.pt"
    fit = {"waves": 3, "vertical_modes": 6, "rows": 8, "rank": 8, "samples": 8}
    load_script("training_background_errors").main(
        SimpleNamespace(forecaster=trained / "forecaster.ckpt", states=record.states),
        SimpleNamespace(errors=fitted),
        params(tmp_path, settings=fit),
        LOG,
    )
    stage = {"updates": 1, "batch": 2, "learning_rate": 1e-3, "max_lead_hours": 12}
    load_script("training_assimilator").main(
        SimpleNamespace(
            forecaster=trained / "forecaster.ckpt",
            states=record.states,
            climatology=record.climatology,
            grids=record.grids,
            grid_statistics=record.grid_statistics,
            simulated=[],
            background_errors=fitted,
        ),
        SimpleNamespace(checkpoint=tmp_path / "joint.ckpt", losses=tmp_path / "a.parquet"),
        params(tmp_path, stage=stage, variational={"fit": fit}),
        LOG,
    )
    networks = checkpoint.load_checkpoint(tmp_path / "joint.ckpt", drawn=False).networks
    layer = load_fitted(fitted, BackgroundErrors)
    assert torch.equal(networks.variational.background.real_root, layer.real_root)
    assert (
        networks.variational.observation_errors[tiny.SOURCE]
        .covariance.diagonal(dim1=1, dim2=2)
        .min()
        > 0
    )
    made = {}
    for name in ("networks", "variational"):
        (tmp_path / name).mkdir()
        made[name] = cycle(tmp_path / name, record, tmp_path, assimilator=name)
    first = np.datetime64("2022-01-09T00", "ns")
    backgrounds, analyses = (
        [StateSeries([one.analyses], name=array).read(first) for one in made.values()]
        for array in ("background", "analysis")
    )
    np.testing.assert_array_equal(*backgrounds)
    assert np.abs(analyses[0] - analyses[1]).max() > 0
    assert np.abs(analyses[1] - backgrounds[1]).max() > 0


def test_the_first_guess_is_checked_where_departures_were_fitted(record, trained, tmp_path):
    fitted = tmp_path / "first_guess.parquet"
    load_script("training_first_guess").main(
        SimpleNamespace(
            assimilator=trained / "assimilator.ckpt",
            observed=record.states,
            climatology=record.climatology,
            grids=record.grids,
        ),
        SimpleNamespace(errors=fitted),
        params(tmp_path, settings={"windows": 8, "lead_hours": 12}),
        LOG,
    )

    def run(name, **settings):
        folder = tmp_path / name
        folder.mkdir()
        given = {"first_guess": fitted} if settings else {}
        output = {"ledger": folder / "ledger.parquet"} if settings else {}
        made = cycle(folder, record, trained, settings=settings, output=output, **given)
        analyses = StateSeries([made.analyses], name="analysis")
        counts = ledger.read_ledgers(output.values())["count"].sum() if output else 0
        return analyses.read_many(analyses.times), counts

    off, _ = run("off")
    wide, nothing = run("wide", limit=1e6)
    np.testing.assert_array_equal(wide, off)
    assert nothing == 0
    narrow, rejected = run("narrow", limit=0.5)
    values = 8 * 8 * 20 * 22
    assert 0.2 * values < rejected < 0.9 * values
    assert np.abs(narrow - off).max() > 0


def bank(directory, record, trained, **values):
    """A bank of backgrounds of the observation days."""
    directory.mkdir(exist_ok=True)
    output = SimpleNamespace(backgrounds=directory / "2022-01.zarr")
    settings = {
        "dates": ["2022-01-03", "2022-01-08"],
        "max_lead_hours": 24,
        "every_hours": 18,
        "batch": 2,
        "compression": "none",
        **values,
    }
    load_script("training_backgrounds").main(
        SimpleNamespace(forecaster=trained / "forecaster.ckpt", states=record.states),
        output,
        params(directory, **settings),
        LOG,
    )
    return output.backgrounds


def test_a_bank_holds_forecasts_of_random_lead(record, trained, tmp_path, monkeypatch):
    from fuxiflow.training.bank import Bank, background_times, forecast_groups

    made = Bank([bank(tmp_path / "a", record, trained)])
    first, last = np.datetime64("2022-01-03", "ns"), np.datetime64("2022-01-08T18", "ns")
    times = background_times(first, last, 18)
    assert (made.times == times).all()
    assert set(times.astype("datetime64[h]").astype(int) % 24) == {0, 6, 12, 18}
    drawn = forecast_groups(times, 2, 24, 3)
    assert len({lead for _, lead in drawn}) > 1
    time, lead = drawn[1][0][1], drawn[1][1]
    networks = checkpoint.load_checkpoint(trained / "forecaster.ckpt").networks.eval()
    begin = time - lead * tiny.STEP
    states = StateSeries(record.states)
    with torch.no_grad():
        previous, current = (
            networks.normaliser(torch.from_numpy(states.read(t)[None, :69]))
            for t in (begin - tiny.STEP, begin)
        )
        for i in range(lead):
            following = networks.forecast(previous, current, np.array([begin + i * tiny.STEP]))
            previous, current = current, following[:, :69]
    out = np.full((2, 70, 8, 16), np.nan, np.float32)
    made.read_into(time, out)
    np.testing.assert_allclose(
        out[1, :69], networks.normaliser.physical(current)[0], rtol=1e-4, atol=1e-2
    )
    np.testing.assert_allclose(
        out[0, :69], networks.normaliser.physical(previous)[0], rtol=1e-4, atol=1e-2
    )
    assert (out[:, 69] == 0).all()


def test_a_cut_bank_goes_on_and_ends_the_same(record, trained, tmp_path, monkeypatch):
    whole = bank(tmp_path / "a", record, trained)
    script = load_script("training_backgrounds")
    real, calls = script.bank.forecast_backgrounds, []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(script.bank, "forecast_backgrounds", killed)
    with pytest.raises(KeyboardInterrupt):
        bank(tmp_path / "b", record, trained)
    again = bank(tmp_path / "b", record, trained)
    assert len(calls) == 1 + len(
        script.bank.forecast_groups(
            script.bank.background_times(
                np.datetime64("2022-01-03", "ns"), np.datetime64("2022-01-08T18", "ns"), 18
            ),
            2,
            24,
            3,
        )
    )
    for name in ("background", "previous"):
        stores = [StateSeries([path], name) for path in (whole, again)]
        np.testing.assert_array_equal(*[store.read_many(store.times) for store in stores])


def test_stage_two_draws_from_the_bank(record, trained, tmp_path):
    stored = bank(tmp_path / "a", record, trained)
    input = SimpleNamespace(
        states=record.states,
        climatology=record.climatology,
        grids=record.grids,
        grid_statistics=record.grid_statistics,
        forecaster=trained / "forecaster.ckpt",
        backgrounds=[stored],
        simulated=[],
    )
    output = SimpleNamespace(
        checkpoint=tmp_path / "assimilator.ckpt", losses=tmp_path / "losses.parquet"
    )
    stage = {"updates": 2, "batch": 2, "learning_rate": 1e-3, "max_lead_hours": 24}
    load_script("training_assimilator").main(
        input, output, params(tmp_path, stage=stage, dates=DATES), LOG
    )
    found = checkpoint.load_checkpoint(output.checkpoint)
    assert found.history[-1]["period"] == ["2022-01-03T06", "2022-01-08T12"]
    assert found.history[-1]["updates"] == 2


REPLAY = {
    "observations": ["2022-01-01", "2022-01-04"],
    "cycle": ["2022-01-05", "2022-01-08"],
    "fresh": ["2022-01-07", "2022-01-08"],
}


def replay(directory, record, before, **values):
    """An update of ``before``, on what is known at the end of 8 January."""
    directory.mkdir(exist_ok=True)
    stage = {
        "updates": 6,
        "batch": 2,
        "learning_rate": 1e-3,
        "max_lead_hours": 12,
        "cycles": 2,
        "chain": 2,
        "background_weight": 1.0,
        "fresh_days": 2,
        "checkpoint_every": 2,
    }
    input = SimpleNamespace(
        before=before,
        states=record.states,
        climatology=record.climatology,
        grids=record.grids,
        simulated=[],
    )
    output = SimpleNamespace(
        checkpoint=directory / "replay.ckpt", losses=directory / "replay.parquet"
    )
    script = load_script("training_replay")
    script.main(input, output, params(directory, **{"stage": stage, **REPLAY, **values}), LOG)
    return checkpoint.load_checkpoint(output.checkpoint)


def weights_differ(one, other):
    weights = other.networks.state_dict()
    return {
        name
        for name, value in one.networks.state_dict().items()
        if not torch.equal(value, weights[name])
    }


def test_replay_trains_the_assimilator_alone_and_goes_on_from_itself(record, trained, tmp_path):
    joint = checkpoint.load_checkpoint(trained / "joint.ckpt")
    first = replay(tmp_path / "a", record, trained / "joint.ckpt")
    changed = weights_differ(joint, first)
    assert changed
    assert all(name.startswith("assimilator.") for name in changed)
    assert not {name for name in changed if "equivalent" in name}
    second = replay(tmp_path / "b", record, tmp_path / "a" / "replay.ckpt", seed=4)
    assert second.history[:-2] == joint.history
    assert [entry["stage"] for entry in second.history[-2:]] == ["replay", "replay"]
    assert second.history[-1]["period"] == ["2022-01-01T18", "2022-01-07T18"]
    assert weights_differ(first, second)
    made = cycle(tmp_path, record, tmp_path / "b", checkpoint="replay.ckpt")
    assert len(StateSeries([made.analyses], name="analysis").times) == 8


def test_what_comes_later_is_not_seen(record, trained, tmp_path):
    changed = record.fields.copy()
    changed[32:] += 50
    later = SimpleNamespace(**vars(record))
    later.states = [tiny.write_states(tmp_path / "states.zarr", changed)]
    later.grids = [tiny.write_grids(tmp_path / "grids", len(changed) // 4, silent=(8, 9))]
    one, other = (
        replay(tmp_path / name, given, trained / "joint.ckpt")
        for name, given in (("a", record), ("b", later))
    )
    assert not weights_differ(one, other)
    # where the later days may be known, it matters what they hold
    known = {"cycle": ["2022-01-05", "2022-01-10"], "fresh": ["2022-01-09", "2022-01-10"]}
    one, other = (
        replay(tmp_path / name, given, trained / "joint.ckpt", **known)
        for name, given in (("c", record), ("d", later))
    )
    assert weights_differ(one, other)


def test_a_killed_replay_ends_as_an_undisturbed_one(record, trained, tmp_path, monkeypatch):
    whole = replay(tmp_path / "a", record, trained / "joint.ckpt")
    real = CycleObjective.loss
    begun = []

    def killed(self, *arguments):
        begun.append(arguments)
        if len(begun) == 6:
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(CycleObjective, "loss", killed)
    with pytest.raises(KeyboardInterrupt):
        replay(tmp_path / "b", record, trained / "joint.ckpt")
    monkeypatch.undo()
    calls = []
    monkeypatch.setattr(
        CycleObjective, "loss", lambda *arguments: calls.append(0) or real(*arguments)
    )
    again = replay(tmp_path / "b", record, trained / "joint.ckpt")
    assert len(calls) == 2
    assert not weights_differ(whole, again)
    assert pd.read_parquet(tmp_path / "a" / "replay.parquet").equals(
        pd.read_parquet(tmp_path / "b" / "replay.parquet")
    )


def test_losses_are_logged(trained):
    losses = pd.read_parquet(trained / "joint.parquet")
    assert list(losses["step"]) == [0, 1, 2]
    assert np.isfinite(losses["loss"]).all()
    assert list((trained / "tensorboard").glob("events*"))


def test_stage_3_learns_from_points_too(record, trained, tmp_path):
    names = ["T2M", "R2M", "U10", "V10", "PS", "MSL"]
    store = tmp_path / "land_stations" / "2022-01.zarr"
    with SparseWriter(
        store, "land_stations", names, ["?"] * 6, tiny.GRID, tiny.START, 24 * 8
    ) as out:
        for hour in range(24 * 8):
            out.write(
                hour,
                np.array([40]),
                np.full((1, 6), 280, np.float32),
                np.zeros(1, np.float32),
                np.zeros((1, 2), np.float32),
                np.ones(1, np.int32),
            )
    settings = {
        "updates": 2,
        "batch": 2,
        "learning_rate": 1e-3,
        "max_lead_hours": 12,
        "cycles": 2,
        "observation_loss": {"sources": ["land_stations"]},
    }
    input = SimpleNamespace(
        states=record.states,
        climatology=record.climatology,
        grids=record.grids,
        assimilator=trained / "assimilator.ckpt",
        simulated=[],
        compared=[store],
    )
    output = SimpleNamespace(checkpoint=tmp_path / "joint.ckpt", losses=tmp_path / "joint.parquet")
    load_script("training_joint").main(input, output, params(tmp_path, stage=settings), LOG)
    losses = pd.read_parquet(output.losses)
    assert (losses[["observed_analysis", "observed_background"]] > 0).all(axis=None)
    assert "observed_analysis" not in pd.read_parquet(trained / "joint.parquet")
    with pytest.raises(ValueError, match="not of the training period"):
        load_script("training_joint").main(
            input, output, params(tmp_path, stage=settings, dates=["2022-01-01"] * 2), LOG
        )


def test_the_same_seed_trains_the_same_networks(record, trained, tmp_path):
    torch.manual_seed(0)
    train(tmp_path, record)
    first, second = (
        checkpoint.load_checkpoint(d / "joint.ckpt").networks.state_dict()
        for d in (trained, tmp_path)
    )
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_stage_3_without_backgrounds_leaves_a_frozen_forecaster_alone(record, trained, tmp_path):
    stage = {
        "updates": 2,
        "batch": 2,
        "learning_rate": 1e-3,
        "cycles": 2,
        "frozen_forecaster": True,
        "forecast_steps": 2,
    }
    before = checkpoint.load_checkpoint(trained / "assimilator.ckpt").networks.state_dict()
    input = SimpleNamespace(
        assimilator=trained / "assimilator.ckpt",
        states=record.states,
        climatology=record.climatology,
        grids=record.grids,
        simulated=[],
    )
    output = SimpleNamespace(checkpoint=tmp_path / "joint.ckpt", losses=tmp_path / "losses.parquet")
    given = params(tmp_path, stage=stage, from_climatology=True)
    load_script("training_joint").main(input, output, given, LOG)
    after = checkpoint.load_checkpoint(output.checkpoint).networks.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed
    assert all(name.startswith("assimilator.") for name in changed)
    assert "forecasts" in pd.read_parquet(output.losses).columns
    made = cycle(tmp_path, record, tmp_path, from_climatology=True)
    climatology = Climatology.read(record.climatology)
    backgrounds = StateSeries([made.analyses], name="background")
    for time in backgrounds.times:
        expected = climatology.at(time)[:69]
        np.testing.assert_allclose(backgrounds.read(time), expected, rtol=1e-3, atol=0.5)


def cycle(
    directory,
    record,
    trained,
    dates=CYCLE,
    checkpoint="joint.ckpt",
    assimilator="networks",
    from_climatology=False,
    settings=None,
    output=None,
    **input,
):
    """Cycle with ``settings`` of the first-guess check, and further ``output``."""
    output = SimpleNamespace(
        analyses=directory / "analyses.zarr", carry=directory / "carry.pt", **(output or {})
    )
    given = SimpleNamespace(
        checkpoint=trained / checkpoint, grids=record.grids, climatology=record.climatology, **input
    )
    values = params(
        directory,
        dates=dates,
        assimilator=assimilator,
        first_guess=settings or {},
        from_climatology=from_climatology,
    )
    load_script("cycling_analyses").main(given, output, values, LOG)
    return output


def test_cycle_and_forecasts(record, trained, tmp_path):
    made = cycle(tmp_path, record, trained)
    analyses, backgrounds = (
        StateSeries([made.analyses], name=name) for name in ("analysis", "background")
    )
    assert len(analyses.times) == 8
    assert len(analyses.channels) == 69
    time = analyses.times[3]
    assert np.abs(analyses.read(time) - backgrounds.read(time)).max() > 0
    assert not (tmp_path / "state").exists()

    output = SimpleNamespace(forecasts=tmp_path / "forecasts.zarr")
    load_script("cycling_forecasts").main(
        SimpleNamespace(checkpoint=trained / "joint.ckpt", analyses=[made.analyses]),
        output,
        params(
            tmp_path,
            dates=["2022-01-10"] * 2,
            init_hours=[0, 12],
            max_lead_hours=18,
            batch=1,
            kept=None,
        ),
        LOG,
    )
    forecasts = Forecasts([output.forecasts])
    assert forecasts.lead_hours == [6, 12, 18]
    assert len(forecasts.init_times) == 2
    field = forecasts.read(forecasts.init_times[0], 6)
    # the background of the cycle is the six-hour forecast from the same analyses
    np.testing.assert_allclose(
        field[:69], backgrounds.read(forecasts.init_times[0] + tiny.STEP), rtol=1e-3, atol=0.5
    )
    assert field[69].min() >= 0


def test_one_observation_is_perturbed_in_an_analysis_of_the_cycle(
    record, trained, tmp_path, monkeypatch
):
    made = cycle(tmp_path, record, trained)
    script, controls = load_script("cycling_response"), []
    input = SimpleNamespace(
        checkpoint=trained / "joint.ckpt",
        analyses=[made.analyses],
        grids=record.grids,
        climatology=record.climatology,
        statistics=record.statistics,
    )
    output = SimpleNamespace(response=tmp_path / "response.zarr")
    given = params(
        tmp_path, case="2022-01-10T06:00:00", source=tiny.SOURCE, channel="7", kelvin=5.0, places=2
    )
    analysis = script.Case.analysis

    def seen(case, **changed):
        found = analysis(case, **changed)
        if not changed:
            controls.append(case.networks.normaliser.physical(found).numpy())
        return found

    with monkeypatch.context() as patched:
        patched.setattr(script.Case, "analysis", seen)
        script.main(input, output, given, LOG)
    # the analysis without perturbation is that of the cycle
    stored = StateSeries([made.analyses], name="analysis").read(
        np.datetime64("2022-01-10T06", "ns")
    )
    np.testing.assert_allclose(controls[0], stored, rtol=1e-4, atol=0.02)
    found = Response.read(output.response)
    assert (found.source, found.channel, found.analysis_time) == (
        tiny.SOURCE,
        "7",
        "2022-01-10T06:00:00",
    )
    assert len(found) == 2
    assert np.isfinite(found.response).all()
    assert np.abs(found.response).max() > 0
    # in an outage there is nothing to perturb
    sources = SimpleNamespace(**{**vars(given), "sources": []})
    with_nothing = SimpleNamespace(**{**vars(input), "grids": []})
    script.main(with_nothing, SimpleNamespace(response=tmp_path / "none.zarr"), sources, LOG)
    assert len(Response.read(tmp_path / "none.zarr")) == 0


def test_segments_make_one_chain(record, trained, tmp_path):
    whole = cycle(tmp_path, record, trained)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = cycle(tmp_path / "a", record, trained, ["2022-01-09", "2022-01-09"])
    second = cycle(tmp_path / "b", record, trained, ["2022-01-10", "2022-01-10"], carry=first.carry)
    time = np.datetime64("2022-01-10T18", "ns")
    np.testing.assert_array_equal(
        StateSeries([second.analyses], name="analysis").read(time),
        StateSeries([whole.analyses], name="analysis").read(time),
    )


def test_a_killed_cycle_goes_on_where_it_was(record, trained, tmp_path, monkeypatch):
    whole = cycle(tmp_path, record, trained)
    again = tmp_path / "again"
    again.mkdir()
    script = load_script("cycling_analyses")
    monkeypatch.setattr(script, "states_per_file", lambda channels, grid: 2)
    input = SimpleNamespace(
        checkpoint=trained / "joint.ckpt", grids=record.grids, climatology=record.climatology
    )
    output = SimpleNamespace(analyses=again / "analyses.zarr", carry=again / "carry.pt")
    real = script.cycle

    def killed(*arguments):
        for i, result in enumerate(real(*arguments)):
            if i == 5:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(script, "cycle", killed)
    with pytest.raises(KeyboardInterrupt):
        script.main(input, output, params(again, dates=CYCLE), LOG)
    done = []
    monkeypatch.setattr(script, "cycle", lambda *a: (done.append(r) or r for r in real(*a)))
    script.main(input, output, params(again, dates=CYCLE), LOG)
    assert len(done) == 8 - 4
    for name in ("analysis", "background"):
        np.testing.assert_array_equal(
            StateSeries([output.analyses], name=name).read_many(tiny.times(40)[32:]),
            StateSeries([whole.analyses], name=name).read_many(tiny.times(40)[32:]),
        )


def test_nothing_assimilated_is_a_free_run(record, trained, tmp_path):
    output = SimpleNamespace(analyses=tmp_path / "analyses.zarr", carry=tmp_path / "carry.pt")
    input = SimpleNamespace(
        checkpoint=trained / "joint.ckpt", grids=[], climatology=record.climatology
    )
    load_script("cycling_analyses").main(
        input, output, params(tmp_path, dates=CYCLE, sources=[]), LOG
    )
    (tmp_path / "fed").mkdir()
    with_observations = cycle(tmp_path / "fed", record, trained)
    time = np.datetime64("2022-01-09T06", "ns")
    free, fed = (
        StateSeries([o.analyses], name="analysis").read(time) for o in (output, with_observations)
    )
    assert np.abs(free - fed).max() > 0
