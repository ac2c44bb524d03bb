"""Documentation names what there is."""

import re

import numpy as np
import pytest
import xarray as xr

from fuxiflow import ROOT
from fuxiflow.channels import channel_table
from fuxiflow.states.store import write_states
from tests.support import tiny

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_requirement_has_its_reason():
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text().lower()
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if "==" in line:
            name = line.split("==")[0].lower()
            assert re.search(rf"[| ,]{re.escape(name)}[ ,;|]", text), (
                f"docs/explanation/architecture.md gives no reason for {name}"
            )


def test_the_readmes_commands_are_targets_of_make():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^make ([\w-]+)", (ROOT / "README.md").read_text(), re.M)) <= targets


def test_continuous_integration_runs_the_readmes_test_command():
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(), re.M)


def test_the_guides_reduction_over_a_year_runs_lazily_and_is_right(tmp_path, monkeypatch):
    text = (ROOT / "docs" / "guides" / "one-stage.md").read_text(encoding="utf-8")
    (snippet,) = (
        code for code in re.findall(r"```python\n(.*?)```", text, re.S) if "season" in code
    )
    fields = tiny.states(8)
    times = np.datetime64("2022-02-27", "ns") + np.arange(8) * np.timedelta64(12, "h")
    folder = tmp_path / "results" / "demo" / "states" / "era5"
    folder.mkdir(parents=True)
    for label, part in (("2022-02", slice(0, 4)), ("2022-03", slice(4, 8))):
        path = folder / f"{label}.zarr"
        write_states(path, times[part], channel_table(), tiny.GRID, fields[part])
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(snippet, "one-stage.md", "exec"), names)
    # a chunk is one time: nothing but what a task needs is in memory
    assert names["year"].chunks[0] == (1,) * 8
    place = channel_table().names.index("T850")
    xr.testing.assert_allclose(
        names["zonal"]
        .sel(season="DJF", channel="T850", drop=True)
        .drop_vars(["unit", "variable"], errors="ignore"),
        xr.DataArray(fields[:4, place].mean(axis=(0, 2)), {"lat": tiny.GRID.lat}, "lat"),
        rtol=1e-5,
    )
