"""The files of figures: the same bytes twice, with provenance, and drawn again from the CSV."""

import json
import zlib

import pandas as pd
import pytest
from matplotlib import image
from PIL import Image

from fuxiflow.cli import main
from fuxiflow.figures import files, style, system
from fuxiflow.storage import provenance
from tests.support.figure_tables import SETTINGS, all_tables, texts


def outputs(folder, name="a"):
    return {kind: folder / f"{name}.{kind}" for kind in ("pdf", "png", "csv")}


def figure():
    fig = style.new_figure(3, 2)
    ax = fig.add_subplot()
    ax.plot([0, 1], [1, 0])
    ax.set_ylabel("RMSE (m² s⁻²)")
    return fig


def test_same_table_gives_the_same_bytes_without_a_date(tmp_path):
    table = pd.DataFrame({"time": pd.to_datetime(["2023-01-01T06:00"]), "value": [1 / 3]})
    first, second = outputs(tmp_path, "a"), outputs(tmp_path, "b")
    for output in (first, second):
        files.save_figure(figure(), table, **output, world="embedded synthetic world")
    for kind in ("pdf", "png", "csv"):
        assert first[kind].read_bytes() == second[kind].read_bytes(), kind
    assert b"CreationDate" not in first["pdf"].read_bytes()
    assert first["csv"].read_text() == "time,value\n2023-01-01T06:00:00,0.3333333\n"


def test_files_carry_their_provenance(tmp_path):
    provenance.use({"rule": "figure_test", "code": "0123"})
    try:
        files.save_figure(figure(), pd.DataFrame({"a": [1]}), **outputs(tmp_path))
    finally:
        provenance.use(None)
    assert json.loads(Image.open(tmp_path / "a.png").text["provenance"])["code"] == "0123"
    assert b"figure_test" in (tmp_path / "a.pdf").read_bytes()


def test_fonts_are_embedded_as_truetype(tmp_path):
    files.save_figure(figure(), pd.DataFrame({"a": [1]}), **outputs(tmp_path))
    text = (tmp_path / "a.pdf").read_bytes()
    assert b"FontFile2" in text or any(
        b"FontFile2" in _inflate(part) for part in text.split(b"stream\n")[1:]
    )


def _inflate(part: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(part)
    except zlib.error:
        return b""


def test_only_the_embedded_world_is_labelled(tmp_path):
    pictures = {}
    for world in ("archive", "embedded synthetic world"):
        fig = figure()
        files.save_figure(
            fig, pd.DataFrame({"a": [1]}), **outputs(tmp_path, world.split()[0]), world=world
        )
        pictures[world] = [text.get_text() for text in fig.texts]
    assert pictures == {"archive": [], "embedded synthetic world": ["embedded synthetic world"]}
    corner = image.imread(tmp_path / "embedded.png")[-20:, -150:, :3]
    assert corner.min() < 0.9


def test_the_table_of_a_figure_gives_times_back(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("time,value\n2023-01-01T06:00:00,1\n")
    assert files.read_figure_table(path)["time"].iloc[0] == pd.Timestamp("2023-01-01T06")


@pytest.mark.parametrize("name", files.FIGURE_IDS)
def test_the_csv_alone_draws_the_same_labels(figure_stores, tmp_path, name):
    table = all_tables(figure_stores)[name]
    module = files.figure_module(name)
    table.to_csv(
        tmp_path / "t.csv", index=False, float_format="%.7g", date_format="%Y-%m-%dT%H:%M:%S"
    )
    assert texts(module.draw(table)) == texts(
        module.draw(files.read_figure_table(tmp_path / "t.csv"))
    )


def test_command_line_redraws_from_a_csv(tmp_path):
    system.table(SETTINGS).to_csv(tmp_path / "t.csv", index=False)
    assert main(["redraw", "system", *map(str, (tmp_path / "t.csv", tmp_path / "again.png"))]) == 0
    assert (tmp_path / "again.png").read_bytes().startswith(b"\x89PNG")
