"""Structure of made-up states: power, errors and residuals of cases, joined and averaged."""

import logging

import numpy as np
import pytest

from fuxiflow import channels
from fuxiflow.grids import Grid
from fuxiflow.states.store import StateSeries, write_states
from fuxiflow.verification import structure
from fuxiflow.verification.case_counts import read_counts

GRID = Grid(8, 16)
LOG = logging.getLogger("test")
NAMES = structure.needed_channels()
TIMES = np.array(["2023-01-01T00", "2023-01-01T12", "2023-01-02T00"], "datetime64[ns]")
WAVE = np.sin(2 * np.deg2rad(GRID.lon))[None] * np.cos(np.deg2rad(GRID.lat))[:, None] ** 2
"""Of degree and order 2."""


def fields(factor=1.0, names=NAMES):
    """A state whose scalars are waves; the temperature of all layers is one, and dry."""
    table = channels.channel_table()
    state = np.zeros((len(names), *GRID.shape), np.float32)
    for i, name in enumerate(names):
        level = table[name].level
        if name[0] == "T":
            state[i] = 250.0
        elif name[0] == "Z":
            state[i] = 287.0597 * 250 * np.log(1000 / level) + 100 * factor * WAVE
        elif name[0] == "U":
            state[i] = factor * np.cos(np.deg2rad(GRID.lat))[:, None]
    return state


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "reference.zarr"
    table = channels.channel_table().select(NAMES)
    write_states(path, list(TIMES), table, GRID, [fields()] * 3)
    return StateSeries([path])


def halved(init, lead):
    return NAMES, fields(0.5)


def winds_alone(init, lead):
    names = [name for name in NAMES if name in ("U850", "V850")]
    return (names, fields(2.0, names)) if lead else None


@pytest.fixture
def cases(reference):
    systems = {"full": halved, "other": winds_alone}
    return structure.collect_structure(systems, reference, TIMES[:2], [0, 12], LOG)


def test_half_the_amplitude_is_a_quarter_of_the_power(cases):
    data, counts = cases
    table = structure.spectra_table(data, "truth")
    full = table[(table["system"] == "full") & (table["quantity"] == "geopotential")]
    wave = full[(full["wavenumber"] == 2) & (full["lead_time"] == 0)].iloc[0]
    assert wave["n"] == 2
    assert wave["power"] == pytest.approx(wave["reference_power"] / 4, rel=1e-4)
    assert wave["error_power"] == pytest.approx(wave["reference_power"] / 4, rel=1e-4)
    others = full[~full["wavenumber"].isin([0, 2])]
    assert others["power"].max() < 1e-4 * wave["power"]
    # the kinetic energy of u = cos(phi) m/s is half of the area mean of its square, 2/3
    wind = table[(table["quantity"] == "kinetic_energy") & (table["system"] == "full")]
    first = wind[wind["wavenumber"] == 1].iloc[0]
    assert first["reference_power"] == pytest.approx(1 / 3, rel=1e-4)
    assert first["unit"] == "m2 s-2"
    assert [count.present for count in counts] == [4]


def test_a_system_has_what_its_channels_and_leads_allow(cases):
    table = structure.spectra_table(cases[0], "truth")
    other = table[table["system"] == "other"]
    assert set(zip(other["quantity"], other["level"], other["lead_time"], strict=True)) == {
        ("kinetic_energy", 850, 12)
    }
    balance = structure.balance_table(cases[0], "truth")
    assert set(balance["system"]) == {"full"}


def test_residuals_stand_beside_those_of_the_reference(cases):
    table = structure.balance_table(cases[0], "truth")
    assert len(table) == 2 * (3 + 12)
    layers = table[table["relation"] == "hydrostatic"]
    assert layers["residual"].max() < 0.01  # K: no layer is out of balance
    assert set(zip(layers["top"], layers["bottom"], strict=True)) >= {(500, 600), (925, 1000)}
    winds = table[table["relation"] == "geostrophic"]
    # all is linear: half a state has half of what is out of balance
    np.testing.assert_allclose(winds["residual"], winds["reference_residual"] / 2, rtol=1e-3)
    np.testing.assert_allclose(winds["difference"], winds["residual"], rtol=1e-3)
    assert winds["unit"].unique().tolist() == ["m s-1"]


def test_parts_are_joined_in_order_of_time(tmp_path, reference):
    paths = []
    for number in (1, 0):
        data, counts = structure.collect_structure(
            {"full": halved}, reference, TIMES[[number]], [0, 12], LOG
        )
        paths.append(tmp_path / f"{number}.zarr")
        structure.write_structure(paths[-1], data, counts)
    joined = structure.join_structure(paths)
    assert joined["time"].values.tolist() == TIMES[:2].tolist()
    whole, _ = structure.collect_structure({"full": halved}, reference, TIMES[:2], [0, 12], LOG)
    np.testing.assert_array_equal(joined["spectra"], whole["spectra"])
    assert [count.expected for count in read_counts(paths[0])] == [2]
    other, counts = structure.collect_structure(
        {"another": halved}, reference, TIMES[[2]], [0, 12], LOG
    )
    structure.write_structure(tmp_path / "other.zarr", other, counts)
    with pytest.raises(ValueError, match=r"other\.zarr: another system"):
        structure.join_structure([*paths, tmp_path / "other.zarr"])


def test_a_case_without_a_state_or_a_reference_is_counted(reference):
    late = np.append(TIMES, np.datetime64("2023-02-01", "ns"))
    systems = {"full": lambda init, lead: None if init == TIMES[0] else halved(init, lead)}
    data, (count,) = structure.collect_structure(systems, reference, late, [0], LOG)
    assert (count.present, count.expected) == (2, 4)
    assert count.missing == ["2023-01-01T00", "2023-02-01T00"]
    assert structure.balance_table(data, "era5")["n"].unique().tolist() == [2]
