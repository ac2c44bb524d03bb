"""Bi-weight statistics from histograms: the formulas, resistance to outliers, merging, bands."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.observations.biweight import (
    BANDS,
    BINS,
    CUTOFF,
    BiweightLimits,
    Histograms,
    biweight,
    latitude_band,
)


def direct(x):
    """The formulas of Lanzante (1996) on the values themselves."""
    median = np.median(x)
    u = np.minimum(np.abs((x - median) / (CUTOFF * np.median(np.abs(x - median)))), 1)
    mean = median + ((x - median) * (1 - u**2) ** 2).sum() / ((1 - u**2) ** 2).sum()
    std = np.sqrt(len(x) * ((x - median) ** 2 * (1 - u**2) ** 4).sum()) / abs(
        ((1 - u**2) * (1 - 5 * u**2)).sum()
    )
    return mean, std


def filled(values, lat, channels=("1",)):
    histograms = Histograms(list(channels), [(50, 350)] * len(channels))
    histograms.add(np.asarray(values, "f4").reshape(-1, len(channels)), np.asarray(lat))
    return histograms


def test_hand_computed():
    # median 3, deviations 2 1 0 1 97, median deviation 1: u = -2/7.5, -1/7.5, 0, 1/7.5, 1
    values = np.array([1.0, 2, 3, 4, 100])
    w = 1 - np.array([4, 1, 0, 1]) / 56.25
    assert biweight(values, np.ones(5, int), 0.01)[0] == pytest.approx(
        3 + (-2 * w[0] ** 2) / (w**2).sum()
    )
    assert biweight(values, np.ones(5, int), 0.01) == pytest.approx(direct(values))


@given(st.lists(st.floats(200, 290), min_size=5, max_size=60), st.integers(1, 3))
@settings(max_examples=60)
def test_repeated_values_equal_the_formulas(values, times):
    x = np.repeat(np.sort(values), times)
    if np.median(np.abs(x - np.median(x))) > 0.1:
        assert biweight(*np.unique(x, return_counts=True), 0.01) == pytest.approx(
            direct(x), rel=1e-9
        )


def test_histograms_reach_the_formulas_to_a_bin():
    x = np.random.default_rng(0).normal(250, 3, 20_000)
    limits = filled(x, np.zeros(len(x))).limits()
    mean, std = direct(x)
    assert limits.mean[0, 0] == pytest.approx(mean, abs=0.01)
    assert limits.std[0, 0] == pytest.approx(std, rel=0.005)


def test_a_tenth_of_bad_values_hardly_matters():
    generator = np.random.default_rng(1)
    x = np.concatenate([generator.normal(250, 3, 9000), generator.uniform(50, 350, 1000)])
    limits = filled(x, np.zeros(len(x))).limits()
    assert limits.mean[0, 0] == pytest.approx(250, abs=0.3)
    assert limits.std[0, 0] == pytest.approx(3, rel=0.15)
    assert x.std() > 20


@given(st.integers(0, 2**16), st.integers(1, 4))
@settings(max_examples=20)
def test_merging_in_any_order_equals_one_pass(seed, parts):
    generator = np.random.default_rng(seed)
    x, lat = generator.normal(250, 5, (200, 2)), generator.uniform(-90, 90, 200)
    whole = filled(x, lat, ("1", "2"))
    cuts = np.sort(generator.integers(0, 200, parts))
    pieces = [
        filled(a, b, ("1", "2"))
        for a, b in zip(np.split(x, cuts), np.split(lat, cuts), strict=True)
    ]
    total = filled([], [], ("1", "2"))
    with tempfile.TemporaryDirectory() as folder:
        for number, piece in enumerate(reversed(pieces)):
            path = Path(folder, f"{number}.parquet")
            piece.write(path)
            total.add_stored(path)
    assert np.array_equal(total.counts, whole.counts)


def test_bands_by_latitude():
    assert latitude_band(np.array([0, 30, -30, 30.1, -60, 60.1, 90, -90])).tolist() == [
        0,
        0,
        0,
        1,
        1,
        2,
        2,
        2,
    ]
    limits = filled([200, 200, 250, 250, 280, 280], [10, -10, 40, -50, 70, -80]).limits()
    assert limits.mean[0] == pytest.approx([200, 250, 280], abs=0.03)


def test_missing_and_out_of_range_are_not_counted():
    assert filled([np.nan, 49, 351, 50, 350], np.zeros(5)).counts.sum() == 2


def test_a_band_without_data_has_no_limit_and_a_constant_channel_a_bin():
    limits = filled([200, 200, 200], np.zeros(3)).limits()
    assert np.isnan(limits.mean[0, 1:]).all()
    assert limits.std[0, 0] == pytest.approx(300 / BINS)
    assert np.isnan(limits.z(np.array([[200.0]]), np.array([80.0]))).all()


def test_z_uses_channel_and_band():
    mean, std = np.array([[200, 210, 220], [230, 240, 250]]), np.array([[1, 2, 4], [5, 10, 20]])
    limits = BiweightLimits(["1", "2"], mean, std, np.ones((2, 3), int))
    z = limits.z(np.array([[202.0, 230.0], [212.0, np.nan]]), np.array([0.0, -45.0]))
    assert z[0].tolist() == [2, 0]
    assert z[1, 0] == 1
    assert np.isnan(z[1, 1])


def test_round_trip(tmp_path):
    wrote = filled(
        np.random.default_rng(0).normal(250, 5, (300, 2)), np.linspace(-90, 90, 300), ("1", "22")
    ).limits()
    wrote.write(tmp_path / "limits.parquet")
    read = BiweightLimits.read(tmp_path / "limits.parquet")
    assert read.channels == ["1", "22"]
    for name in ("mean", "std", "count"):
        assert np.array_equal(getattr(read, name), getattr(wrote, name))
    assert read.mean.shape == (2, len(BANDS))


@pytest.mark.parametrize(
    "other",
    [
        Histograms(["1"], [(50, 300)]),
        Histograms(["2"], [(50, 350)]),
        Histograms(["1"], [(50, 350)], [True]),
    ],
)
def test_unlike_histograms_do_not_add(tmp_path, other):
    filled([200, 210], np.zeros(2)).write(tmp_path / "h.parquet")
    with pytest.raises(ValueError, match=r"h\.parquet: counts of other channels, ranges or scales"):
        other.add_stored(tmp_path / "h.parquet")


def test_channels_have_their_own_ranges_and_scales():
    generator = np.random.default_rng(0)
    wet, dry = (
        300 * np.exp(generator.normal(0, 0.1, 5000)),
        0.2 * np.exp(generator.normal(0, 0.02, 5000)),
    )
    histograms = Histograms(["N100", "N50000"], [(1, 500), (0.001, 5)], [True, True])
    histograms.add(np.stack([wet, dry], 1).astype("f4"), np.zeros(5000))
    limits = histograms.limits()
    assert limits.mean[:, 0] == pytest.approx(np.log([300, 0.2]), abs=0.005)
    assert limits.std[:, 0] == pytest.approx([0.1, 0.02], rel=0.05)
    z = limits.z(np.array([[300 * np.exp(0.3), 0.2 * np.exp(-0.1)], [-1, 0]]), np.zeros(2))
    assert z[0] == pytest.approx([3, -5], abs=0.3)
    assert np.isnan(z[1]).all()
