"""One real run of config/test.yaml, what a finished run looks like, and the same from a mirror."""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
import yaml

from fuxiflow.config import volumes
from fuxiflow.config.archives import load_archives
from fuxiflow.config.configuration import load_configuration
from fuxiflow.config.resources import job_cost, request_of
from fuxiflow.runtime.job_benchmarks import read_benchmarks
from fuxiflow.runtime.snakemake_internals import plan_jobs, restore_memory
from fuxiflow.world import public_archives, public_states
from fuxiflow.world.public_server import FolderServer, running
from tests.workflow.changes import edit_definition

pytestmark = pytest.mark.slow

# what the world is observed with where it is published: a source of each public layout
OBSERVED = {
    "experiment": {
        "sources": [
            "noaa20_atms",
            "nnja_amsua",
            "gnssro",
            "nnja_land_stations",
            "nnja_radiosondes",
        ]
    },
    # without packing, states are the same to the rounding of floats
    "states": {"compression": "none"},
    "world": {
        "swaths": {
            "nnja_amsua": {
                "scan_stride": 24,
                "field_of_view_stride": 6,
                "platforms": ["Metop-B"],
            }
        },
        "networks": {
            "nnja_land_stations": {"stations": 60},
            "nnja_radiosondes": {"stations": 20, "interval_hours": 12},
        },
        "occultations": {"gnssro": {"daily": 20, "platforms": ["Metop-B"]}},
    },
}
SOURCES = OBSERVED["experiment"]["sources"]
SEGMENTS = ("2022-01", "2022-02")


def mirrored(url):
    """What is laid over the configuration to run from a mirror at an address."""
    archives = load_archives()

    def store(path):
        return f"{url}/{public_archives.place_of(public_archives.DATA_SETS)}/{path}".format(
            grid="32x16"
        )

    sources = {
        name: {"url": f"{url}/{public_archives.place_of(archives.sources[name].url)}"}
        for name in SOURCES
    }
    sources["gnssro"]["missions"] = ["metop/ucar"]
    return {
        "name": "mirrored",
        "kind": "archive",
        "synthetic_archives": True,
        "check_space": False,
        # this world's GFS, the mirror's HRES, makes a forecast every other day
        "completeness": {"forecasts": 0.4, "cases": 0.4},
        "archives": {
            "era5": {"provider": "wb2", "wb2": {"url": store(public_states.ERA5)}},
            "sources": sources,
        },
        "verification": {
            "references": ["era5", "own"],
            "baselines": ["persistence", "climatology"],
            "systems": {
                "hres": {
                    "forecasts": store(public_states.HRES),
                    "analyses": store(public_states.HRES_ANALYSES),
                }
            },
        },
    }


@pytest.fixture(scope="module")
def rehearsed(finished, checkout, tmp_path_factory):
    """Two runs of one world: results of the embedded run, and of one from a mirror of it."""
    folder = tmp_path_factory.mktemp("rehearsed")
    embedded, real = finished.clone(folder / "embedded"), checkout.clone(folder / "real")
    for copy in (embedded, real):
        (copy.folder / "config/observed.yaml").write_text(yaml.safe_dump(OBSERVED))
    products = [f"states/era5/{label}.zarr" for label in SEGMENTS]
    products += [f"observations/{name}/{label}.parquet" for name in SOURCES for label in SEGMENTS]
    targets = [f"results/test/{product}" for product in [*products, "states/gfs/2022-02.zarr"]]
    embedded.snakemake("--cores", "2", *targets, configuration="test+observed")
    config = load_configuration(
        *(embedded.folder / f"config/{name}.yaml" for name in ("test", "observed"))
    )
    results, mirror = embedded.folder / "results/test", folder / "mirror"
    public_archives.publish_world(config, results / "raw", mirror)
    with running(FolderServer(mirror)) as server:
        (real.folder / "config/mirrored.yaml").write_text(yaml.safe_dump(mirrored(server.url)))
        products += ["states/hres/2022-02.zarr", "forecasts/hres/2022-02.zarr"]
        targets = [f"results/mirrored/{product}" for product in products]
        real.snakemake("--cores", "2", *targets, configuration="test+observed+mirrored")
    return results, real.folder / "results/mirrored"


def test_a_finished_run_has_nothing_to_do(finished):
    assert finished.pending() == set()


def test_records_give_snakemake_the_memory_that_it_has(finished, tmp_path):
    """The same parameters and inputs for every product, so that ``.snakemake`` may be deleted."""
    own, restored = finished.folder / ".snakemake/metadata", tmp_path / "metadata"
    count = restore_memory(finished.folder / "results/test", tmp_path, finished.folder)
    files = [path for path in own.rglob("*") if path.is_file()]
    assert count == len(files)
    for path in files:
        mine = json.loads((restored / path.relative_to(own)).read_text())
        theirs = json.loads(path.read_text())
        for key in ("rule", "input", "params", "record_format_version"):
            assert mine[key] == theirs[key], (theirs["rule"], key)


def test_reasons_resolve_the_code_of_a_finished_run(finished, tmp_path):
    copy = finished.clone(tmp_path / "fuxiflow")
    assert copy.explain().startswith("nothing would run")
    edit_definition(copy, "fuxiflow/observations/quality.py", "check_footprints")
    reason = "code fuxiflow/observations/quality.py: check_footprints() changed"
    assert reason in copy.explain().splitlines()


def test_every_product_is_there_and_nothing_half_written(finished, plans):
    for job in plans("test"):
        for name in job.outputs:
            assert (finished.folder / name).exists(), name
    results = finished.folder / "results" / "test"
    assert not list(results.rglob(".tmp-*"))


def test_scores_have_their_columns_and_systems(finished):
    import pandas as pd

    scores = pd.read_parquet(finished.folder / "results/test/scores/scores.parquet")
    assert list(scores.columns) == [
        "experiment",
        "system",
        "reference",
        "metric",
        "channel",
        "region",
        "lead_time",
        "value",
        "n",
        "n_effective",
        "ci_low",
        "ci_high",
        "p_value",
    ]
    assert set(scores["system"]) == {"fuxiflow", "gfs", "persistence", "climatology"}
    assert set(scores["reference"]) >= {"era5", "own", "truth"}
    assert set(scores["experiment"].dropna()) >= {"full", "no_observations"}
    analyses = scores[scores["metric"].isin(["rmse", "bias"])]
    assert analyses["value"].notna().all()
    assert (scores["n"] > 0).all()


def test_every_figure_has_its_table(finished):
    figures = finished.folder / "results/test/figures"
    for figure in (
        "system",
        "coverage",
        "cycling",
        "analysis_error",
        "surface_error",
        "skill_vs_lead",
        "region_africa",
        "activity",
        "scorecard_era5",
        "scorecard_own",
        "scorecard_era5_acc",
        "scorecard_own_acc",
        "increment_case",
        "error_maps",
        "costs",
    ):
        for suffix in (".pdf", ".png", ".csv"):
            assert (figures / f"{figure}{suffix}").stat().st_size > 0


def test_products_say_where_they_came_from(finished):
    import xarray as xr

    results = finished.folder / "results/test"
    for name in (
        "states/statistics.zarr",
        "states/climatology.zarr",
        "states/era5/2022-01.zarr",
        "analyses/full/2022-02.zarr",
        "forecasts/full/2022-02.zarr",
        "forecasts/gfs/2022-02.zarr",
    ):
        with xr.open_zarr(results / name) as data:
            stamp = json.loads(data.attrs["provenance"])
        assert stamp["world"] == "embedded synthetic world", name
        assert len(stamp["code"]) == 16, name
        assert stamp["inputs"], name


def check_balance(path):
    """Each footprint that was read is used or rejected, and the table has as many."""
    import pandas as pd

    from fuxiflow.observations.ledger import READ, USED, check_ledger

    ledger = pd.read_parquet(path)
    check_ledger(ledger)
    whole = ledger[ledger["channel"] == ""].groupby("reason")["count"].sum()
    rejected = pd.read_parquet(path.parents[1] / path.name, columns=["rejected"])["rejected"]
    assert whole[READ] == len(rejected) > 0, path
    assert whole[USED] == (rejected == 0).sum() > 0, path


def test_the_ledger_balances(finished):
    ledgers = list((finished.folder / "results/test/observations").glob("*/ledger/*.parquet"))
    assert ledgers
    for path in ledgers:
        check_balance(path)


def test_a_report_can_be_made(finished):
    finished.snakemake("--report", "report.html")
    assert (finished.folder / "report.html").stat().st_size > 1_000_000


def test_a_run_leaves_its_last_account(finished):
    page = (finished.folder / "results/test/status.html").read_text()
    assert ">finished</span>" in page
    assert "http-equiv" not in page
    assert "training_joint full: loss" in page
    assert "Z500 RMSE of analyses against truth" in page


def test_every_job_has_its_costs_beside_what_it_asked_for(finished, plans):
    import pandas as pd

    costs = pd.read_parquet(finished.folder / "results/test/costs.parquet")
    assert set(costs["rule"]) == {job.rule for job in plans("test") if job.outputs} - {
        "figure_costs"
    }
    assert len(costs) == len({job.outputs for job in plans("test") if job.outputs}) - 1
    for column in ("seconds", "requested_mb", "requested_seconds", "threads", "gpus"):
        assert costs[column].notna().all(), column
    assert set(costs["experiment"]) == {"", "full", "no_observations"}


def test_planning_takes_what_is_there_into_account(finished):
    done = subprocess.run(
        [sys.executable, "-m", "fuxiflow", "plan", "config/test.yaml"],
        cwd=finished.folder,
        env=os.environ | {"PYTHONPATH": str(finished.folder)},
        text=True,
        capture_output=True,
        check=True,
    )
    assert re.match(r"test: 0 of \d+ jobs to run", done.stdout)


def test_a_finished_run_took_no_more_than_was_asked_for_and_about_the_space(finished):
    config = load_configuration(finished.folder / "config" / "test.yaml")
    results = finished.folder / "results" / "test"
    estimated, files = defaultdict(float), 0.0
    for job in plan_jobs(finished.folder / "config" / "test.yaml", everything=True):
        volume = volumes.product_volume(config, job.rule, job.wildcards)
        estimated[volumes.product_stage(job.rule)] += volume.mb
        files += volume.files
        stem = "/".join(dict.fromkeys(job.wildcards.values())) or "all"
        request = request_of(job_cost(config, job.rule, job.wildcards))
        for one in read_benchmarks(results / "benchmarks"):
            if (one.rule, one.wildcards) == (job.rule, stem) and one.peak_mb == one.peak_mb:
                assert one.peak_mb <= request.mem_mb, f"{one.rule} {one.wildcards}"
                assert one.seconds <= 60 * request.runtime, f"{one.rule} {one.wildcards}"
    taken = {
        stage: sum(size(results / folder) for folder in folders)
        for stage, folders in {
            "raw": ["raw"],
            "states": ["states"],
            "observations": ["observations", "grids"],
            "forecasts": ["forecasts"],
            "analyses": ["analyses"],
        }.items()
    }
    for stage, mb in taken.items():
        assert mb / 2 <= estimated[stage] <= 2 * mb, f"{stage}: {estimated[stage]:.1f}, {mb:.1f}"
    counted = sum(len(names) for _, _, names in os.walk(results))
    assert counted / 2.5 <= files <= 2.5 * counted


def size(folder):
    """Megabytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def assert_same_fields(here, there, channels, share=1e-6):
    """Fields ``(…, channel, lat, lon)`` are the same to a share of the largest value."""
    assert here.shape == there.shape
    for position, channel in enumerate(channels.names):
        one, other = here[..., position, :, :], there[..., position, :, :]
        # humidity goes by way of specific humidity
        allowed = (10 if channel.startswith("R") else 1) * share * np.abs(one).max()
        assert np.abs(one - other).max() <= allowed, channel


def test_states_from_a_mirror_are_those_of_the_embedded_run(rehearsed):
    from fuxiflow.states.store import StateSeries

    results, real = rehearsed
    for label in SEGMENTS:
        embedded, mirrored = (
            StateSeries(folder / f"states/era5/{label}.zarr") for folder in (results, real)
        )
        assert len(embedded)
        assert (embedded.times == mirrored.times).all()
        here, there = (series.read_many(embedded.times) for series in (embedded, mirrored))
        assert_same_fields(here, there, embedded.channels)


def test_forecasts_and_analyses_from_a_mirror_are_those_of_the_embedded_gfs(rehearsed):
    from fuxiflow.states.forecasts import Forecasts
    from fuxiflow.states.store import StateSeries

    results, real = rehearsed
    embedded = StateSeries(results / "states/gfs/2022-02.zarr")
    mirrored = StateSeries(real / "states/hres/2022-02.zarr")
    names = mirrored.channels.names
    here = embedded.read_many(mirrored.times)[:, [embedded.channels.index(n) for n in names]]
    assert_same_fields(here, mirrored.read_many(mirrored.times), mirrored.channels)
    embedded = Forecasts([results / "forecasts/gfs/2022-02.zarr"])
    mirrored = Forecasts([real / "forecasts/hres/2022-02.zarr"])
    assert mirrored.lead_hours == embedded.lead_hours[1:]
    assert len(embedded.init_times) > 1
    # forecasts are stored in integers
    for init in embedded.init_times:
        for lead in mirrored.lead_hours:
            here, there = embedded.read(init, lead), mirrored.read(init, lead)
            assert_same_fields(here, there, mirrored.channels, share=1e-4)


@pytest.mark.parametrize("label", SEGMENTS)
@pytest.mark.parametrize("source", SOURCES)
def test_observations_from_a_mirror_are_those_of_the_embedded_run(rehearsed, source, label):
    from fuxiflow.observations.footprint_table import column_values, read_footprints, values_of

    embedded, mirrored = (
        read_footprints(folder / f"observations/{source}/{label}.parquet") for folder in rehearsed
    )
    assert len(embedded) > 0
    rounding = {"gnssro": 1e-5}.get(source, 0)
    orders = [
        np.lexsort([column_values(table, name) for name in ("station", "lon", "lat", "time")])
        for table in (embedded, mirrored)
    ]
    embedded, mirrored = embedded.take(orders[0]), mirrored.take(orders[1])
    for name in ("platform", "station", "scan_position", "rejected"):
        one, other = (column_values(table, name) for table in (embedded, mirrored))
        np.testing.assert_array_equal(one, other, name)
    seconds = np.abs(column_values(embedded, "time") - column_values(mirrored, "time"))
    assert seconds.max() <= np.timedelta64(1, "ms")
    for name in ("lat", "lon", "zenith", "azimuth"):
        one, other = (column_values(table, name) for table in (embedded, mirrored))
        np.testing.assert_allclose(one, other, rounding, rounding, err_msg=name)
    np.testing.assert_allclose(values_of(embedded), values_of(mirrored), rounding)
