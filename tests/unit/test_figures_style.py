"""The common style: labels, letters, and files that come out the same twice."""

import json
import zlib
from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib import image
from PIL import Image

from fuxiflow import channels
from fuxiflow.figures import files, style
from fuxiflow.storage import provenance


def outputs(folder, name="a"):
    return SimpleNamespace(**{kind: folder / f"{name}.{kind}" for kind in ("pdf", "png", "csv")})


def figure():
    fig = style.new_figure(3, 2)
    ax = fig.add_subplot()
    ax.plot([0, 1], [1, 0])
    ax.set_ylabel("RMSE (m² s⁻²)")
    return fig


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Z500", "m² s⁻²"), ("T2M", "K"), ("U10", "m s⁻¹"), ("R850", "%"), ("TP", "mm")],
)
def test_units_are_written_out(name, expected):
    assert style.channel_unit(name) == expected


def test_every_channel_has_a_unit_without_carets():
    assert not [
        c.name
        for c in channels.channel_table()
        if "-2" in style.channel_unit(c.name) or "^" in style.channel_unit(c.name)
    ]


def test_letters_go_on_after_z():
    fig = style.new_figure(3, 3)
    axes = [fig.add_subplot(6, 5, i + 1) for i in range(28)]
    axes[0].set_title("Z500", loc="left")
    style.letter_panels(axes)
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles[0] == "(a) Z500"
    assert titles[25:28] == ["(z)", "(aa)", "(ab)"]


def test_colours_of_systems_differ_and_experiments_take_spare_ones():
    colours = [line.color for line in style.SYSTEMS.values()]
    assert len(set(colours)) == len(colours)
    assert style.experiment_line("full", "full") is style.SYSTEMS["fuxiflow"]
    assert style.experiment_line("no_observations", "full").label == "no observations"
    assert style.experiment_line("real_only", "full", 2).color not in colours[:2]


def test_names_of_references():
    assert style.reference_name("era5") == "ERA5"
    assert style.reference_name("something") == "something"
    assert style.short_name("gfs") == "GFS"


def test_same_table_gives_the_same_bytes_without_a_date(tmp_path):
    table = pd.DataFrame({"time": pd.to_datetime(["2023-01-01T06:00"]), "value": [1 / 3]})
    first, second = outputs(tmp_path, "a"), outputs(tmp_path, "b")
    for output in (first, second):
        files.save_figure(figure(), table, output, "embedded synthetic world")
    for kind in ("pdf", "png", "csv"):
        assert getattr(first, kind).read_bytes() == getattr(second, kind).read_bytes(), kind
    assert b"CreationDate" not in first.pdf.read_bytes()
    assert first.csv.read_text() == "time,value\n2023-01-01T06:00:00,0.3333333\n"


def test_files_carry_their_provenance(tmp_path):
    provenance.use({"rule": "figure_test", "code": "0123"})
    try:
        files.save_figure(figure(), pd.DataFrame({"a": [1]}), outputs(tmp_path))
    finally:
        provenance.use(None)
    assert json.loads(Image.open(tmp_path / "a.png").text["provenance"])["code"] == "0123"
    assert b"figure_test" in (tmp_path / "a.pdf").read_bytes()


def test_fonts_are_embedded_as_truetype(tmp_path):
    files.save_figure(figure(), pd.DataFrame({"a": [1]}), outputs(tmp_path))
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
        files.save_figure(fig, pd.DataFrame({"a": [1]}), outputs(tmp_path, world.split()[0]), world)
        pictures[world] = [text.get_text() for text in fig.texts]
    assert pictures == {"archive": [], "embedded synthetic world": ["embedded synthetic world"]}
    corner = image.imread(tmp_path / "embedded.png")[-20:, -150:, :3]
    assert corner.min() < 0.9


def test_read_csv_gives_times_back(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("time,value\n2023-01-01T06:00:00,1\n")
    assert files.read_figure_table(path)["time"].iloc[0] == pd.Timestamp("2023-01-01T06")


def test_missing_says_where_what_and_the_remedy():
    assert str(style.missing_rows("no rows", "a.parquet", "run it")) == "a.parquet: no rows; run it"
