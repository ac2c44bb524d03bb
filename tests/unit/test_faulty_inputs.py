"""Real inputs that went wrong for others: each is of a kind of fault, with its right answer."""

import gzip
import logging
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zarr

from fuxiflow.config.sources import load_source
from fuxiflow.observations import footprint_table, ledger
from fuxiflow.observations.bufr_elements import element_matrix
from fuxiflow.observations.bufr_messages import read_messages
from fuxiflow.observations.ingest import NoUsableFileError, ingest
from fuxiflow.observations.readers import find_files
from fuxiflow.observations.readers.bufr_instruments import INSTRUMENTS
from fuxiflow.observations.rejection_codes import Reason
from fuxiflow.states.grib_messages import GribError
from tests.support.helpers import ROOT, load_script, realdata

CASES = ROOT.parent / "shared" / "cases"
LOG = logging.getLogger("test")


def case(name: str) -> Path:
    """A folder or file of the cases; skips the test where they are absent."""
    path = CASES / name
    if not path.exists():
        pytest.skip(f"no {path}: the collection of cases is not beside this checkout")
    return path


def read(tmp_path, folder, source="", day="2020-01-01", **changes):
    """Ingest a folder; the table of footprints and the ledger."""
    made = load_source(source) if source else None
    options = {
        "pattern": "*",
        "reader": made.reader if made else "",
        "platforms": made.platform_names if made else [],
        "channels": made.channel_names if made else [],
    } | changes
    table = tmp_path / "table.parquet"
    accounts = ingest(
        folder,
        source="case",
        start=date.fromisoformat(day),
        output=table,
        log=LOG,
        **options,
    )
    written = tmp_path / "ledger.parquet"
    ledger.write_ledger(written, accounts)
    return footprint_table.read_footprints(table), ledger.read_ledgers([written])


def codes(footprints):
    return footprint_table.column_values(footprints, "rejected")


def test_a_year_of_two_digits_takes_the_century_of_the_body(tmp_path):
    found, accounts = read(tmp_path, case("1_two_digit_year/amsua"), "amsua", platforms=["NOAA-18"])
    times = footprint_table.column_values(found, "time")
    assert len(found) == 420
    assert not codes(found).any()
    assert set(times.astype("datetime64[D]").astype(str)) == {"2012-11-02"}
    assert set(accounts["reason"]) == {"read"}


def test_all_buoys_of_a_file_that_mixes_both_are_used(tmp_path):
    found, _ = read(tmp_path, case("1_two_digit_year/buoys"), "ships_buoys")
    assert len(found) == 60
    assert not codes(found).any()
    assert set(
        footprint_table.column_values(found, "time").astype("datetime64[D]").astype(str)
    ) == {"2025-01-21"}


@pytest.mark.parametrize(
    ("folder", "code"), [("synop_nil", Reason.MISSING), ("synop_corrected", Reason.TIME)]
)
def test_a_folder_of_which_nothing_is_used_gives_reasons(tmp_path, folder, code):
    found, accounts = read(tmp_path, case(f"2_no_day_crash/{folder}"), "land_stations")
    assert codes(found).tolist() == [code]
    assert accounts.query("file != '' and reason == 'read'")["count"].tolist() == [1]


def test_quality_information_after_an_operator_is_passed_over(tmp_path):
    import eccodes

    folder = case("3_hirs_operator_222000/hirs")
    found, _ = read(tmp_path, folder, "hirs4", platforms=["Metop-A"])
    assert len(found) == 1848
    values, start = footprint_table.values_of(found), 0
    for message in read_messages(next(folder.iterdir())):
        handle = eccodes.codes_new_from_message(message.data)
        eccodes.codes_set(handle, "unpack", 1)
        for channel in range(19):
            expected = eccodes.codes_get_double_array(
                handle, f"#{channel + 1}#brightnessTemperature"
            )
            expected = np.where(expected > 0, expected, np.nan)
            part = values[start : start + len(expected), channel]
            np.testing.assert_allclose(part, expected, atol=1e-4)
        eccodes.codes_release(handle)
        start += message.subsets
    found_codes, _ = element_matrix(message.data)
    assert 33089 not in found_codes


def test_a_corrupt_granule_costs_itself_alone(tmp_path):
    folder = case("4_atms_corrupt_granule/folder")
    options = {
        "reader": "atms_sdr",
        "platforms": ["Suomi-NPP"],
        "channels": [str(i) for i in range(1, 23)],
    }
    found, accounts = read(tmp_path, folder, **options)
    assert len(found) == 3 * 12 * 96
    assert not codes(found).any()
    lost = accounts[accounts["reason"] == "unreadable"]
    assert lost["count"].tolist() == [12 * 96]
    assert "granule 3 of 4: its N_Number_Of_Scans is -993" in lost["message"].item()
    pair = tmp_path / "single"
    pair.mkdir()
    for product in ("SATMS", "GATMO"):
        original = next(realdata("atms_sdr").glob(f"{product}_npp*"))
        (pair / original.name).symlink_to(original)
    alone, _ = read(tmp_path, pair, **options)
    np.testing.assert_array_equal(
        footprint_table.values_of(found)[: 12 * 96], footprint_table.values_of(alone)
    )


def decode(tmp_path, folder, day):
    """Run the script that decodes states; its store and its ledger."""
    script = load_script("states_decode")
    output = SimpleNamespace(states=tmp_path / "states.zarr", ledger=tmp_path / "ledger.parquet")
    params = SimpleNamespace(
        dates=(day, day),
        reference="era5",
        grid={"nlat": 19, "nlon": 36, "poles": True},
        compression="none",
        completeness=SimpleNamespace(setting="completeness.states", least=0.0),
    )
    script.main(SimpleNamespace(raw=folder), output, params, LOG)
    return zarr.open_group(output.states, mode="r"), ledger.read_ledgers([output.ledger])


def test_era5_is_preferred_to_its_preliminary_version(tmp_path):
    store, _ = decode(tmp_path, case("5_expver_era5t_and_era5/folder"), "2022-01-01")
    (span,) = store.attrs["versions"]
    assert (span["version"], span["first"], span["times"]) == ("ERA5", "2022-01-01T12:00:00", 1)
    assert np.isfinite(store["state"][2]).all()


@pytest.mark.parametrize(
    ("name", "day", "words"),
    [
        ("other_dates", "2022-01-01", ("valid 2008-01-01 12 UTC", "not of the times wanted")),
        ("regional", "2017-01-01", ("latitude 60 .. 30", "not global")),
        ("netcdf_named_grib", "2022-01-01", ("it is NetCDF-4", "data_format: grib")),
        ("zip_named_grib", "2022-01-01", ("10u, 10v, 2t, msl, tp", "state is incomplete")),
    ],
)
def test_an_error_says_what_the_files_hold(tmp_path, name, day, words):
    with pytest.raises(GribError) as error:
        decode(tmp_path, case(f"7_unclear_messages/{name}"), day)
    for word in (name, *words):
        assert word in str(error.value)


def test_compressed_files_are_read(tmp_path):
    folder = case("7_unclear_messages/gz_l1b")
    packed, _ = read(tmp_path, folder, "noaa15_amsua_l1b")
    plain = tmp_path / "plain"
    plain.mkdir()
    (path,) = folder.iterdir()
    (plain / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    unpacked, _ = read(tmp_path, plain, "noaa15_amsua_l1b")
    np.testing.assert_array_equal(*map(footprint_table.values_of, (packed, unpacked)))
    pattern = load_source("noaa15_amsua_l1b").file_pattern
    assert find_files(folder, pattern) == ([path], [])


def test_tables_of_ncep_are_named(tmp_path):
    with pytest.raises(NoUsableFileError, match="NCEP's local tables"):
        read(tmp_path, case("7_unclear_messages/prepbufr"), "ships_buoys")


def test_a_date_of_the_header_alone_is_used_and_told(tmp_path):
    found, accounts = read(tmp_path, case("8_date_in_header_only/synop"), "land_stations")
    assert not codes(found).any()
    assert footprint_table.column_values(found, "time").astype("datetime64[h]").astype(
        str
    ).tolist() == ["2023-04-04T06", "2024-12-16T06", "2025-01-21T06"]
    told = accounts[accounts["reason"] == "header_date"]
    assert told["count"].sum() == 3
    assert set(told["channel"]) == {"time"}


def test_another_instrument_is_refused_by_its_channels(tmp_path):
    folder = case("9_ssmi_reads_ssmis/folder")
    options = {"reader": "bufr_sounder.ssmi", "channels": list(INSTRUMENTS["ssmi"].channels)}
    with pytest.raises(NoUsableFileError, match="those of another instrument"):
        read(tmp_path, folder, platforms=["DMSP-F16", "DMSP-F17"], **options)
    found, _ = read(tmp_path, folder, "ssmis", platforms=["DMSP-F16"])
    assert len(found) == 60
