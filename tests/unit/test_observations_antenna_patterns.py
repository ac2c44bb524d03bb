"""Antenna temperatures are corrected by the coefficients of published files."""

from datetime import date

import netCDF4
import numpy as np
import pytest
from numpy.testing import assert_allclose

from fuxiflow.observations import footprint_table, ingest
from fuxiflow.observations.antenna_patterns import (
    COSMIC_BACKGROUND,
    corrected_for_antenna,
    read_antenna_pattern,
    read_antenna_patterns,
)
from fuxiflow.observations.footprint_table import column_values
from fuxiflow.observations.readers import nnja_ai
from tests.support import nnja_ai_files

CHANNELS = [str(i) for i in range(1, 16)]


def write_pattern(path, satellite=209, turned=False, scale=1.0):
    """A file as NOAA-EMC/spoc has them: parts of the view by channel and position."""
    rng = np.random.default_rng(0)
    space, platform = rng.uniform(0.0017, 0.0107, (15, 30)), rng.uniform(0, 0.003, (15, 30))
    parts = {"A_space": space, "A_platform": platform, "A_earth": 1 - space - platform}
    dimensions = ("n_FOVs", "n_Channels") if turned else ("n_Channels", "n_FOVs")
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("n_Channels", 15)
        file.createDimension("n_FOVs", 30)
        file.Sensor_Id, file.WMO_Satellite_Id = "amsua_n18", np.int32(satellite)
        file.WMO_Sensor_Id = np.int32(570)
        file.createVariable("Sensor_Channel", "i4", ("n_Channels",))[:] = np.arange(1, 16)
        for name, values in parts.items():
            variable = file.createVariable(name, "f8", dimensions)
            variable[:] = scale * (values.T if turned else values)
    return parts


@pytest.mark.parametrize("turned", [False, True])
def test_antenna_temperatures_become_those_of_the_scene(tmp_path, turned):
    raw, folder = tmp_path / "raw", tmp_path / "patterns"
    raw.mkdir()
    folder.mkdir()
    parts = write_pattern(folder / "amsua_n18.ACCoeff.nc", turned=turned)
    table = nnja_ai_files.amsua(scans=3)
    content = nnja_ai_files.content(table)
    (raw / "gdas.20220701.NC021023.parquet").write_bytes(content)
    ledger = ingest.ingest(
        raw,
        "*.parquet",
        "nnja_ai.amsua",
        "amsua_corrected",
        ["NOAA-18"],
        CHANNELS[:3],
        date(2022, 7, 1),
        tmp_path / "table.parquet",
        ingest.logging.getLogger(),
        [folder / "amsua_n18.ACCoeff.nc"],
    )
    footprints = footprint_table.read_footprints(tmp_path / "table.parquet")
    place = column_values(footprints, "scan_position").astype(int) - 1
    for i in range(3):
        scene = column_values(footprints, f"channel_{i + 1}").astype(float)
        antenna = (parts["A_earth"] + parts["A_platform"])[i, place] * scene
        antenna += parts["A_space"][i, place] * COSMIC_BACKGROUND
        measured = table[f"BRITCSTC.TMBR_{i + 1:05d}"].to_numpy()
        assert_allclose(antenna, measured, atol=1e-3)
        assert 0.2 < (scene - measured).mean() < 3
    messages = set(ledger["message"])
    assert "antenna temperatures, corrected by amsua_n18.ACCoeff.nc" in messages
    assert nnja_ai.UNCORRECTED not in messages


def test_what_has_no_position_has_no_temperature(tmp_path):
    write_pattern(tmp_path / "a.ACCoeff.nc")
    patterns = read_antenna_patterns([tmp_path / "a.ACCoeff.nc"])
    values = np.full((2, 1), 250.0)
    columns = {name: np.zeros(2) for name in ("lat", "lon", "zenith", "azimuth", "rejected")}
    columns |= {"time": np.zeros(2, "datetime64[ns]"), "scan_position": np.array([0, 5], np.int16)}
    table = footprint_table.build_footprints(["5"], values, columns, "NOAA-18", "file")
    corrected, _ = corrected_for_antenna(table, patterns)
    assert np.isnan(footprint_table.values_of(corrected)[:, 0]).tolist() == [True, False]
    other = footprint_table.build_footprints(["16"], values, columns, "NOAA-18", "file")
    with pytest.raises(ValueError, match=r"no coefficients of channel 16"):
        corrected_for_antenna(other, patterns)
    other = footprint_table.build_footprints(["5"], values, columns, "Metop-B", "file")
    with pytest.raises(ValueError, match=r"no file of Metop-B, only of NOAA-18; bring its"):
        corrected_for_antenna(other, patterns)


def test_files_that_are_no_coefficients_are_named(tmp_path):
    path = tmp_path / "a.ACCoeff.nc"
    path.write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"a\.ACCoeff\.nc: no coefficients of an antenna"):
        read_antenna_pattern(path)
    write_pattern(path, scale=250.0)
    with pytest.raises(ValueError, match=r"its coefficients \(15, 30\) are not those of"):
        read_antenna_pattern(path)
    write_pattern(path, satellite=999)
    with pytest.raises(ValueError, match=r"WMO_Satellite_Id 999 is no satellite"):
        read_antenna_pattern(path)
    write_pattern(path)
    write_pattern(tmp_path / "b.ACCoeff.nc")
    with pytest.raises(ValueError, match=r"b\.ACCoeff\.nc: of NOAA-18, as a\.ACCoeff\.nc is"):
        read_antenna_patterns([path, tmp_path / "b.ACCoeff.nc"])
