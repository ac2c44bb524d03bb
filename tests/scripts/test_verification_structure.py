"""The scripts of spectra and balance, on stores of which analyses are the reference itself."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from fuxiflow.channels import channel_table
from fuxiflow.states.forecasts import ForecastWriter
from fuxiflow.storage.tables import read_parquet
from tests.support import tiny
from tests.support.helpers import asked, load_script

LOG = logging.getLogger("test")
LEADS = [12, 24]
# what a run keeps that stores the scored channels alone
KEPT = ["Z300", "U300", "V300", "Z500", "U500", "V500", "Z850", "U850", "V850", "MSL"]


def run(rule, inputs, output, **params):
    load_script(rule).main(
        SimpleNamespace(**inputs), SimpleNamespace(**output), SimpleNamespace(**params), LOG
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    root = tmp_path_factory.mktemp("structure")
    fields = tiny.states(9)
    for name in ("analyses/full", "states/truth", "states/gfs", "forecasts/full"):
        (root / name).mkdir(parents=True)
    analyses = tiny.write_states(root / "analyses/full/2022-01.zarr", fields, "analysis")
    gfs = tiny.write_states(root / "states/gfs/2022-01.zarr", fields * np.float32(1.01))
    truth = tiny.write_states(root / "states/truth/2022-01.zarr", fields)
    inits = tiny.times(8)[::2]
    forecasts = root / "forecasts/full/2022-01.zarr"
    with ForecastWriter(forecasts, inits, LEADS, channel_table(), tiny.GRID, kept=KEPT) as writer:
        for i in range(len(inits)):
            for j, lead in enumerate(LEADS):
                writer.write(i, j, fields[min(2 * i + lead // 6, 8)] + np.float32(2.0))
    run(
        "verification_structure_part",
        {"forecasts": [forecasts], "analyses": [analyses, gfs], "reference": [truth]},
        {"cases": root / "cases.zarr"},
        systems=["full", "gfs"],
        period=["2022-01-01", "2022-01-02"],
        init_hours=[0, 12],
        leads=[0, *LEADS],
    )
    output = {name: root / f"{name}.parquet" for name in ("spectra", "balance")}
    run(
        "verification_structure",
        {"parts": [root / "cases.zarr"]},
        output,
        reference="truth",
        completeness=asked(0.5),
    )
    return {name: read_parquet(path) for name, path in output.items()}


def test_an_analysis_that_is_the_reference_has_no_error(tables):
    spectra = tables["spectra"]
    analysis = spectra[(spectra["system"] == "full") & (spectra["lead_time"] == 0)]
    assert len(analysis) == 3 * tiny.GRID.nlat
    assert not analysis["error_power"].any()
    np.testing.assert_array_equal(analysis["power"], analysis["reference_power"])
    balance = tables["balance"]
    analysis = balance[(balance["system"] == "full") & (balance["lead_time"] == 0)]
    assert len(analysis) == 15
    assert not analysis["difference"].any()


def test_forecasts_that_lack_channels_lack_the_layers_alone(tables):
    balance = tables["balance"]
    later = balance[(balance["system"] == "full") & (balance["lead_time"] == 12)]
    assert later["relation"].unique().tolist() == ["geostrophic"]
    # the same on every cell: neither the gradient of the geopotential changes nor the spectrum
    spectra = tables["spectra"]
    later = spectra[(spectra["lead_time"] == 12) & (spectra["quantity"] == "geopotential")]
    assert later.loc[later["wavenumber"] > 0, "error_power"].max() < 1e-2
    assert later.loc[later["wavenumber"] == 0, "error_power"].iloc[0] == pytest.approx(4, rel=1e-2)


def test_a_system_without_forecasts_has_its_analyses(tables):
    gfs = tables["spectra"].query("system == 'gfs'")
    assert gfs["lead_time"].unique().tolist() == [0]
    np.testing.assert_allclose(gfs["power"], gfs["reference_power"] * 1.01**2, rtol=1e-2)
