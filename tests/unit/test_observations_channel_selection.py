"""Channel selection gives hand-checked answers on small tables.

On others it equals the formulas with whole matrices.
"""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxiflow.cli import main
from fuxiflow.observations import channel_selection as selection
from fuxiflow.observations.jacobians import (
    COLUMNS,
    JacobianTable,
    background_covariance,
    read_jacobians,
)


def make(jacobian, noise=None, background=None, pressure=None, variable=None):
    """A table of channels 101, 102, ...

    ``jacobian`` is ``(profile, channel, state)`` or ``(channel, state)``.
    """
    jacobian = np.array(jacobian, float)
    jacobian = jacobian[None] if jacobian.ndim == 2 else jacobian
    _, channels, state = jacobian.shape
    return JacobianTable(
        101 + np.arange(channels),
        650.0 + np.arange(channels),
        np.ones(channels) if noise is None else np.array(noise),
        np.exp(np.arange(state, dtype=float)) if pressure is None else np.array(pressure, float),
        np.array(["T"] * state if variable is None else variable),
        jacobian,
        np.eye(state) if background is None else np.array(background, float),
    )


def sounder(seed, profiles=2, channels=12, state=6):
    """Weighting functions about random levels, random noise, correlated background."""
    generator = np.random.default_rng(seed)
    pressure = np.geomspace(10, 1000, state)
    centre = generator.uniform(np.log(10), np.log(1000), (profiles, channels, 1))
    jacobian = np.exp(-((np.log(pressure) - centre) ** 2))
    background = background_covariance(
        generator.uniform(0.5, 2, state), pressure, np.array(["T"] * state), 0.5
    )
    return make(jacobian, generator.uniform(0.2, 1, channels), background, pressure)


def test_by_hand():
    # One level seen with signals 3 and 1, another with 1.5: 1 + k^2 is 10, 2 and 3.25 at first, of
    # which the entropy is 1/2 log2. Once the first is selected, A = 1/10 at its level, and the
    # second brings 1/2 log2(1 + 1/10) alone.
    table = make([[3, 0], [1, 0], [0, 1.5]])
    selected = selection.most_informative(table, 3)
    assert selected.index.tolist() == [0, 2, 1]
    assert selected.entropy == pytest.approx(0.5 * np.log2([10, 3.25, 1.1]))
    assert selected.freedom == pytest.approx([0.9, 2.25 / 3.25, (1 / 10) ** 2 / 1.1])
    # whole: 1 - 1/11 at the first level, 1 - 1/3.25 at the second
    assert selected.freedom.sum() == pytest.approx(10 / 11 + 2.25 / 3.25)


def test_a_second_channel_of_the_same_kind_brings_what_is_left():
    # signals of 1 each: of one level known by 1/2 after the first, 2/3 after both
    selected = selection.most_informative(make([[1], [1]]), 2)
    assert selected.freedom == pytest.approx([1 / 2, 2 / 3 - 1 / 2])


def test_noise_and_background_scale_the_signal():
    table = make([[1, 0], [1, 0], [0, 1]], noise=[2.0, 1.0, 1.0], background=[[1, 0], [0, 4]])
    selected = selection.most_informative(table, 2)
    assert selected.index.tolist() == [2, 1]
    assert selected.entropy == pytest.approx(0.5 * np.log2([5, 2]))
    assert selected.freedom == pytest.approx([0.8, 0.5])


def test_the_criteria_differ():
    # Signals k^2 of 100 and 0 in two profiles, against 4 in both:
    # entropies log2(101) / 4 = 1.66, log2(5) / 2 = 1.16,
    # degrees of freedom 1/2 * 100/101 and 4/5
    table = make([[[10], [2]], [[0], [2]]])
    entropy, freedom = (
        selection.most_informative(table, 1, criterion) for criterion in selection.CRITERIA
    )
    assert (entropy.index.tolist(), freedom.index.tolist()) == ([0], [1])
    assert entropy.entropy[0] == pytest.approx(np.log2(101) / 4)
    assert entropy.freedom[0] == pytest.approx(50 / 101)
    assert (freedom.entropy[0], freedom.freedom[0]) == pytest.approx((np.log2(5) / 2, 0.8))


def test_a_correlated_background():
    # k'Bk = 14, and one channel alone has k'Bk / (1 + k'Bk) degrees of freedom,
    # whatever the correlation
    selected = selection.most_informative(make([[1, 1]], background=[[4, 3], [3, 4]]), 1)
    assert (selected.entropy[0], selected.freedom[0]) == pytest.approx((0.5 * np.log2(15), 14 / 15))


def test_the_mean_over_profiles_decides():
    # 101 is best in one profile, 102 in the other, 103 second in both and best on the mean
    table = make([[[7, 0], [0, 0], [4, 0]], [[0, 0], [7, 0], [4, 0]]])
    selected = selection.most_informative(table, 1)
    assert selected.index.tolist() == [2]
    assert selected.entropy[0] == pytest.approx(0.5 * np.log2(17))


@pytest.mark.parametrize("criterion", selection.CRITERIA)
@given(seed=st.integers(0, 2**16), number=st.integers(1, 8))
@settings(max_examples=12)
def test_equals_whole_matrices(criterion, seed, number):
    table = sounder(seed, channels=8)
    selected = selection.most_informative(table, number, criterion)
    precision = np.linalg.inv(table.background)

    def information(channels):
        """Mean entropy reduction and degrees of freedom of a set of channels."""
        analyses = [
            np.linalg.inv(precision + (k := profile[channels] / table.noise[channels, None]).T @ k)
            for profile in table.jacobian
        ]
        logs = [np.linalg.slogdet(table.background)[1] - np.linalg.slogdet(a)[1] for a in analyses]
        return (
            0.5 * np.mean(logs) / np.log(2),
            np.mean([len(precision) - np.trace(a @ precision) for a in analyses]),
        )

    before, kind = (0.0, 0.0), selection.CRITERIA.index(criterion)
    for step, index in enumerate(selected.index):
        channels = list(selected.index[:step])
        now = information([*channels, index])
        assert (selected.entropy[step], selected.freedom[step]) == pytest.approx(
            np.subtract(now, before), abs=1e-7
        )
        others = [information([*channels, other])[kind] for other in set(range(8)) - set(channels)]
        assert now[kind] == pytest.approx(max(others), abs=1e-9)
        before = now
    assert len(set(selected.index)) == number


def test_peaks_by_hand():
    # ln p of the levels 0, 1, 2, 4: layers of 1, 1, 1.5, 2; the last sees the thick layer more in
    # all, less per ln p
    table = make([[0, 2, 1, 0], [0, 0, 1, -3], [1, 0, 0, 1.5]], pressure=np.exp([0.0, 1, 2, 4]))
    assert selection.peak_pressures(table) == pytest.approx(np.exp([1, 4, 0]))


def test_peaks_are_those_of_the_variable_seen_most():
    table = make(
        [[0, 1, 0, 30], [1, 0, 0, 0]],
        pressure=[10, 100, 10, 100],
        variable=["T", "T", "q", "q"],
        background=np.diag([1, 1, 0.01, 0.01]),
    )
    assert selection.peak_pressures(table).tolist() == [100, 10]
    assert selection.peak_pressures(make([[1.0]])).tolist() == [1]


def test_spacing_by_hand():
    # ln p: 5, 1, 4, 9, 5. The most informative, at 5; then 1 and 9, both 4 away, in order;
    # then 4; last the other at 5
    assert selection.spaced_channels(np.exp([5.0, 1, 4, 9, 5]), 5).tolist() == [0, 1, 3, 2, 4]
    assert selection.spaced_channels(np.exp([5.0, 1, 4, 9, 5]), 1).tolist() == [0]


@given(seed=st.integers(0, 2**16), number=st.integers(2, 12))
@settings(max_examples=30)
def test_spacing_is_within_twice_the_best(seed, number):
    """The bound of farthest-first traversal holds.

    A channel that is left is no farther from a kept peak than kept peaks are apart.
    """
    peak = np.random.default_rng(seed).uniform(1, 1000, 12)
    kept = selection.spaced_channels(peak, number)
    assert len(set(kept)) == number
    height = np.log(peak)
    gaps = np.abs(height[kept][:, None] - height[kept])[~np.eye(number, dtype=bool)]
    reach = np.abs(height[:, None] - height[kept]).min(axis=1)
    assert reach.max() <= gaps.min() + 1e-12


def test_both_steps():
    table = sounder(1, channels=30)
    table_of_channels = selection.select_channels(table, 10, 4)
    assert table_of_channels.columns.tolist() == [
        "channel",
        "wavenumber",
        "order",
        "entropy",
        "freedom",
        "peak",
        "spaced",
    ]
    assert table_of_channels["order"].tolist() == list(range(1, 11))
    assert sorted(table_of_channels["spaced"])[-4:] == [1, 2, 3, 4]
    assert (table_of_channels["spaced"] == 0).sum() == 6
    assert table_of_channels["spaced"][0] == 1
    assert (table_of_channels["wavenumber"] - table_of_channels["channel"] == 549).all()
    some = selection.select_channels(table, 5, 2, among=range(110, 120))
    assert set(some["channel"]) <= set(range(110, 120))


def test_channels_do_not_come_twice():
    assert len(set(selection.most_informative(make(np.ones((5, 2))), 5).index)) == 5
    assert len(set(selection.spaced_channels(np.full(5, 100.0), 5))) == 5


def test_what_cannot_be_selected_is_said():
    table = sounder(2)
    with pytest.raises(ValueError, match="13 informative channels: there are 12"):
        selection.most_informative(table, 13)
    with pytest.raises(ValueError, match="0 channels by their peaks"):
        selection.select_channels(table, 5, 0)
    with pytest.raises(ValueError, match="known: entropy, freedom"):
        selection.most_informative(table, 1, "dfs")
    with pytest.raises(ValueError, match="lacks channels 99, 200"):
        selection.select_channels(table, 1, 1, among=[200, 101, 99])


def as_netcdf(table, path, **extra):
    data = xr.Dataset(
        {
            "jacobian": (("profile", "channel", "state"), table.jacobian),
            "noise": ("channel", table.noise),
            "background_covariance": (("state", "state2"), table.background),
            **extra,
        },
        {
            "channel": table.channel,
            "wavenumber": ("channel", table.wavenumber),
            "pressure": ("state", table.pressure),
            "variable": ("state", table.variable.astype(object)),
        },
    )
    data.to_zarr(path, consolidated=False) if path.suffix == ".zarr" else data.to_netcdf(
        path, engine="netcdf4"
    )
    return path


def as_parquet(table, path, std):
    rows = [
        (
            profile,
            table.channel[c],
            table.wavenumber[c],
            table.noise[c],
            table.variable[s],
            table.pressure[s],
            std[s],
            table.jacobian[profile, c, s],
        )
        for profile, c, s in np.ndindex(*table.jacobian.shape)
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame.sample(frac=1, random_state=1).to_parquet(path)
    return frame


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_a_table_of_xarray(tmp_path, suffix):
    table = sounder(3)
    back = read_jacobians(as_netcdf(table, tmp_path / f"table{suffix}"))
    for name in JacobianTable.__dataclass_fields__:
        assert np.array_equal(getattr(back, name), getattr(table, name)), name


def test_a_table_of_parquet_in_any_order_of_rows(tmp_path):
    std = np.linspace(0.5, 2, 6)
    table = sounder(4)
    as_parquet(table, tmp_path / "t.parquet", std)
    back = read_jacobians(tmp_path / "t.parquet", correlation_length=0.5)
    assert np.array_equal(back.jacobian, table.jacobian)
    assert back.channel.tolist() == table.channel.tolist()
    assert back.background == pytest.approx(
        background_covariance(std, table.pressure, table.variable, 0.5)
    )
    assert read_jacobians(tmp_path / "t.parquet").background == pytest.approx(np.diag(std**2))


def test_covariance_by_hand():
    covariance = background_covariance(
        np.array([1.0, 2, 3]), np.array([1, np.e, 1]), np.array(["T", "T", "q"]), 2.0
    )
    assert covariance == pytest.approx(
        np.array([[1, 2 * np.exp(-0.5), 0], [2 * np.exp(-0.5), 4, 0], [0, 0, 9]])
    )
    with pytest.raises(ValueError, match="length"):
        background_covariance(np.ones(1), np.ones(1), np.array(["T"]), -1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": [1, 0]}, "noise must be positive"),
        ({"pressure": [-1, 2]}, "pressure must be positive"),
        ({"jacobian": [[1, np.nan], [0, 1]]}, "jacobian has values"),
        ({"background": [[1, 2], [2, 1]]}, "not positive"),
        ({"background": [[1, 0.5], [0, 1]]}, "not symmetric"),
        ({"background": [[1]]}, "background has shape"),
        ({"pressure": [5, 5]}, "neither increase nor decrease"),
        ({"variable": ["T"]}, "variable has shape"),
        ({"noise": [1, np.inf]}, "noise has values"),
    ],
)
def test_a_bad_table_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        make(**{"jacobian": [[1, 0], [0, 1]], **change})


def test_bad_files_are_refused(tmp_path):
    table = sounder(5)
    frame = as_parquet(table, tmp_path / "t.parquet", np.ones(6))
    for name, change, message in (
        ("twice", lambda f: pd.concat([f, f[:1]]), "expected one for each"),
        ("hole", lambda f: f[1:], "expected one for each"),
        ("column", lambda f: f.drop(columns="noise"), "lacks noise"),
        ("noise", lambda f: f.assign(noise=np.arange(len(f)) + 1.0), "expected one for each"),
    ):
        change(frame).to_parquet(tmp_path / f"{name}.parquet")
        with pytest.raises(ValueError, match=message):
            read_jacobians(tmp_path / f"{name}.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="not a readable Parquet"):
        read_jacobians(tmp_path / "broken.parquet")
    xr.Dataset({"x": 1}).to_netcdf(tmp_path / "x.nc", engine="netcdf4")
    with pytest.raises(ValueError, match=r"lacks channel, jacobian"):
        read_jacobians(tmp_path / "x.nc")
    with pytest.raises(ValueError, match="not one of"):
        read_jacobians(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_jacobians(tmp_path / "absent.nc")


def test_the_command_writes_the_list(tmp_path, capsys):
    path, output = as_netcdf(sounder(6, channels=20), tmp_path / "t.nc"), tmp_path / "list.csv"
    assert (
        main(["select-channels", str(path), str(output), "--informative", "8", "--spaced", "3"])
        == 0
    )
    assert "3 of 8 channels" in capsys.readouterr().out
    first, header = output.read_text().splitlines()[:2]
    assert json.loads(first.removeprefix("# provenance: "))["rule"] == "select-channels"
    assert header.startswith("channel,wavenumber,order")
    back = selection.read_channel_list(output)
    assert (back["spaced"] > 0).sum() == 3
    again = tmp_path / "again.csv"
    assert (
        main(
            [
                "select-channels",
                str(path),
                str(again),
                "--informative",
                "4",
                "--spaced",
                "2",
                "--criterion",
                "freedom",
                "--among",
                str(output),
            ]
        )
        == 0
    )
    assert set(selection.read_channel_list(again)["channel"]) <= set(back["channel"])


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    path = as_netcdf(sounder(7), tmp_path / "t.nc")
    (tmp_path / "bad.csv").write_text("number\n1\n")
    for words, message in (
        (["--informative", "99"], "99 informative"),
        (["--among", str(tmp_path / "bad.csv")], "no column channel"),
        (["--criterion", "none"], "known"),
    ):
        assert main(["select-channels", str(path), str(tmp_path / "l.csv"), *words]) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "l.csv").exists()
