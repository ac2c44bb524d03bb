"""The channel table."""

import pytest

from fuxiflow import channels


def test_the_papers_order():
    names = channels.channel_table().names
    levels = [50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000]
    assert names == [f"{v}{p}" for v in "ZTUVR" for p in levels] + [
        "T2M",
        "U10",
        "V10",
        "MSL",
        "TP",
    ]
    assert tuple(levels) == channels.PRESSURE_LEVELS


def test_pressure_levels_are_those_of_the_channels_that_are_left():
    assert channels.channel_table().select(["T850", "Z500", "U850", "MSL"]).pressure_levels == (
        500,
        850,
    )


def test_precipitation_is_not_analysed():
    assert len(channels.channel_table().analysed) == 69
    assert "TP" not in channels.channel_table().analysed.names


def test_rows_are_consistent():
    for channel in channels.channel_table():
        assert channel.valid_min < channel.valid_max
        assert 0 <= channel.observation_weight <= channel.loss_weight
        assert channel.level is None or channel.name.endswith(str(channel.level))
        if channel.level is not None:
            assert (channel.gfs_surface, channel.gfs_level) == (100, channel.level)


def test_geopotential_of_gfs_is_scaled_from_height():
    assert channels.channel_table()["Z500"].gfs_scale == pytest.approx(9.80665)
    assert channels.channel_table()["TP"].era5_scale == 1000  # m to mm


def test_look_up():
    table = channels.channel_table()
    assert table["T850"].unit == "K"
    assert table[table.index("T850")].name == "T850"
    assert table[:2].names == ["Z50", "Z100"]
    assert table.select(["MSL", "Z500"]).names == ["MSL", "Z500"]
    with pytest.raises(KeyError, match="unknown channel 'T999'; known: Z50, "):
        table.index("T999")


def write(path, change):
    lines = channels.TABLE.read_text().splitlines()
    path.write_text("\n".join(change(lines)) + "\n")
    return path


def test_a_malformed_row_is_named(tmp_path):
    path = write(
        tmp_path / "c.csv", lambda lines: [*lines[:2], lines[2].replace(",100,", ",low,", 1)]
    )
    with pytest.raises(ValueError, match=r"c\.csv, line 3: malformed"):
        channels.read_channels(path)


def test_names_are_unique(tmp_path):
    path = write(tmp_path / "c.csv", lambda lines: [lines[0], lines[1], lines[1]])
    with pytest.raises(ValueError, match="not unique"):
        channels.read_channels(path)
