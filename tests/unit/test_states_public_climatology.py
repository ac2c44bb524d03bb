"""A public climatology stands for that of training where it has the channel, for scores alone."""

import logging
from datetime import datetime, timedelta

import numpy as np
import pytest
import zarr

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.states.climatology import HOURS, Climatology, create_climatology, day_of_year
from fuxiflow.states.public_climatology import PublicClimatology, write_scored_climatology
from fuxiflow.states.public_stores import PublicStoreError
from fuxiflow.states.public_writer import PublicLayout, PublicStoreWriter, public_fields
from fuxiflow.storage.zarr_stores import consolidate
from tests.support.wb2_stores import climatology_field, climatology_store

GRID = Grid(8, 16)
CHANNELS = channel_table().select(["Z500", "T850", "R850", "U850", "T2M", "TP"])
OF_TRAINING = 17.0
DOWNWARDS = range(366, 0, -1)
LOG = logging.getLogger("test")


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    path = tmp_path_factory.mktemp("training") / "climatology.zarr"
    group = create_climatology(path, CHANNELS, GRID, 61)
    group["climatology"][...] = OF_TRAINING
    consolidate(path)
    return path


def scored(tmp_path, training, **layout):
    store = climatology_store(tmp_path / "store.zarr", **layout)
    write_scored_climatology(tmp_path / "scored.zarr", store, training, LOG)
    return Climatology.read(tmp_path / "scored.zarr")


def expected(name, time, scale=1.0):
    day, lat, lon = day_of_year(time), GRID.lat, GRID.lon
    return scale * climatology_field(name, day, time.hour, lat, lon)


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"order": ("dayofyear", "hour", "level", "latitude", "longitude"), "chunk_days": 366},
        {"order": ("hour", "level", "longitude", "dayofyear", "latitude"), "days": DOWNWARDS},
    ],
)
def test_it_is_read_whatever_its_order(tmp_path, training, caplog, layout):
    with caplog.at_level(logging.INFO):
        climatology = scored(tmp_path, training, **layout)
    # 1 and 6 January are nodes, what is between is linear; 29 February has a day of its own
    for day in (datetime(2020, 1, 6), datetime(2021, 1, 9), datetime(2020, 2, 29)):
        for hour in HOURS:
            state = climatology.at(time := day + timedelta(hours=hour))
            of_channel = dict(zip(CHANNELS.names, state, strict=True))
            for channel, field in (
                ("Z500", expected("geopotential", time)[0]),
                ("T850", expected("temperature", time)[1]),
                ("T2M", expected("2m_temperature", time)),
                ("TP", expected("total_precipitation_6hr", time, 1000.0)),
            ):
                np.testing.assert_allclose(of_channel[channel], field, rtol=1e-5, atol=1e-4)
    # what it lacks, and humidity, are of training
    for name, values in of_channel.items():
        assert (values == OF_TRAINING).all() == (name in ("R850", "U850"))
    assert "of the training period for R850, U850" in caplog.text
    attributes = zarr.open_group(tmp_path / "scored.zarr", mode="r").attrs
    assert attributes["public_channels"] == ["Z500", "T850", "T2M", "TP"]


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({"hours": (0, 12)}, "no climatology at 06, 18 UTC, its hours are 0, 12"),
        ({"days": range(1, 361)}, "day 361 of the year cannot be used.*no such time"),
        ({"names": {"specific_humidity": "kg kg**-1"}}, "it has none of Z500"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, training, layout, words):
    with pytest.raises(PublicStoreError, match=words):
        scored(tmp_path, training, **layout)


@pytest.mark.parametrize("value", [np.nan, 1e11])
def test_a_field_that_is_not_whole_or_credible_is_refused(tmp_path, training, value):
    names = {"2m_temperature": "K"}
    store = climatology_store(tmp_path / "store.zarr", names=names)
    zarr.open_group(store, mode="r+")["2m_temperature"][2, 10, 3, 3] = value
    with pytest.raises(PublicStoreError, match=r"day 11 of the year cannot be used.*T2M"):
        write_scored_climatology(tmp_path / "scored.zarr", store, training, LOG)


def test_what_is_published_comes_back(tmp_path):
    days = [datetime(2000, 1, 1) + timedelta(days=day) for day in range(4)]
    channels = channel_table().select(["Z500", "T2M"])
    means = np.random.default_rng(1).uniform(250, 300, (4, 4, 2, *GRID.shape)).astype(np.float32)
    layout = PublicLayout(chunk_times=2, climatology=True)
    with PublicStoreWriter(
        tmp_path / "store.zarr", GRID, days, [500], list(HOURS), layout, ""
    ) as writer:
        for first in (0, 2):
            writer.write(first, public_fields(means[first : first + 2], channels))
    group = zarr.open_group(tmp_path / "store.zarr", mode="r", zarr_format=2)
    assert group["geopotential"].attrs["_ARRAY_DIMENSIONS"][:2] == ["hour", "dayofyear"]
    fields = PublicClimatology(tmp_path / "store.zarr", channels, GRID)
    assert fields.lead_hours == list(HOURS)
    block = fields._block("2m_temperature", 3, [1])
    np.testing.assert_array_equal(block[0, 0], means[3, 1, 1])
