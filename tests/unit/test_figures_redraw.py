"""Every figure is drawn again from its table alone."""

import importlib

import pytest

from fuxiflow.cli import main
from fuxiflow.figures import files, system
from tests.figure_tables import SETTINGS, all_tables, texts


@pytest.mark.parametrize("name", files.FIGURE_IDS)
def test_the_csv_alone_draws_the_same_labels(figure_stores, tmp_path, name):
    table = all_tables(figure_stores)[name]
    module = importlib.import_module(f"fuxiflow.figures.{name}")
    table.to_csv(
        tmp_path / "t.csv", index=False, float_format="%.7g", date_format="%Y-%m-%dT%H:%M:%S"
    )
    assert texts(module.draw(table)) == texts(module.draw(files.read_figure_table(tmp_path / "t.csv")))


def test_command_line_redraws_from_a_csv(tmp_path):
    system.table(SETTINGS).to_csv(tmp_path / "t.csv", index=False)
    assert main(["redraw", "system", *map(str, (tmp_path / "t.csv", tmp_path / "again.png"))]) == 0
    assert (tmp_path / "again.png").read_bytes().startswith(b"\x89PNG")
