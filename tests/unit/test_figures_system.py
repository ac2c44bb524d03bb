"""The diagram of the system shows the configuration."""

import numpy as np

from fuxiflow.figures import (
    system,
)
from tests.support.figure_tables import SETTINGS, texts


def test_system_shows_the_configuration():
    table = system.table(SETTINGS)
    boxes = table[table["part"] == "box"].set_index("id")
    assert {
        "nature",
        "noaa20_atms",
        "era5",
        "gfs",
        "assimilator",
        "forecaster",
        "forecasts",
    } <= set(boxes.index)
    text = texts(system.draw(table)).replace("\u00a0", " ").replace("\n", " ")
    for part in (
        "ATMS on NOAA-20",
        "[−3 h, +5 h)",
        "22 channels",
        "192",
        "to 10 days",
        "00 and 12 UTC",
        "700",
    ):
        assert part in text


def test_system_of_the_archive_has_no_nature_run_and_without_gfs_no_gfs():
    table = system.table({**SETTINGS, "world": "archive", "baselines": ["persistence"]})
    assert not {"nature", "gfs"} & set(table["id"].dropna())
    system.draw(table)


def test_many_sources_share_boxes_by_kind():
    atms, ships = (
        SETTINGS["sources"]["noaa20_atms"],
        {"long_name": "ships and buoys", "channels": 7, "kind": "in situ"},
    )
    table = system.table({**SETTINGS, "sources": {"a": atms, "b": atms, "c": ships, "d": atms}})
    boxes = table[(table["part"] == "box") & (table["kind"] == "data")].set_index("title")["text"]
    assert list(boxes.index) == ["sounders", "in situ", "ERA5", "GFS"]
    assert boxes["sounders"] == "ATMS, ATMS, ATMS\n66 channels"
    assert "7 channels" in boxes["in situ"]


def test_arrows_join_boxes_that_exist_and_boxes_do_not_overlap():
    for count in range(5):
        source = SETTINGS["sources"]["noaa20_atms"]
        table = system.table({**SETTINGS, "sources": {f"s{i}": source for i in range(count)}})
        boxes, arrows = table[table["part"] == "box"], table[table["part"] == "arrow"]
        assert set(arrows["start"]) | set(arrows["end"]) <= set(boxes["id"])
        for _, column in boxes.groupby("column"):
            rows = np.sort(column["row"].astype(float))
            assert np.all(np.diff(rows) >= system.HEIGHT / (system.HEIGHT + system.GAP_Y)), count
        system.draw(table)


def test_system_says_one_block():
    table = system.table({**SETTINGS, "assimilator": {"width": 48, "scales": 1, "blocks": 1}})
    text = table.set_index("id").loc["assimilator", "text"].replace("\u00a0", " ")
    assert "1 block" in text
    assert "1 blocks" not in text
    assert "1 scales" not in text
