"""Real files, harmed in seeded ways: an error that names folder and remedy, or a ledger entry."""

import bz2
import gzip
import lzma
import os
import re
import zipfile
import zlib
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.observations import footprint_table, ledger
from fuxiflow.observations.ingest import NoUsableFileError, ingest
from fuxiflow.observations.readers.bufr_instruments import INSTRUMENTS
from fuxiflow.states.assembly import Assembler, Ledger
from fuxiflow.states.decoding import decode_analyses, list_grib_files
from fuxiflow.states.grib import GribReader
from tests.support.helpers import realdata
from tests.unit.test_faulty_inputs import LOG

# more of them with FUXIFLOW_MUTATIONS=20
MUTATIONS = int(os.environ.get("FUXIFLOW_MUTATIONS", "1"))
LAND = ["T2M", "R2M", "U10", "V10", "PS", "MSL"]
# reader, platforms, channels
FILES = {
    "bufr/amsa_55.bufr": ("bufr_sounder.amsua", ["Metop-A"], ["1", "5", "15"]),
    "bufr/syno_4.bufr": ("surface.land", ["land"], LAND),
    "bufr/rado_250.bufr": ("gnssro", ["GRACE-A"], ["refractivity_5000", "refractivity_10000"]),
    "gnssro": ("gnssro", ["COSMIC-1"], ["refractivity_5000", "refractivity_10000"]),
    "atms_sdr": ("atms_sdr", ["Suomi-NPP"], ["1", "10", "22"]),
}
PACKERS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def originals(name):
    path = realdata(name)
    if path.is_file():
        return [path]
    if name == "atms_sdr":
        return sorted(path.glob("*npp_d20181022*"))
    return sorted(item for item in path.iterdir() if item.is_file())[:1]


def ingested(folder, reader, platforms, channels):
    """The table and the ledger of a folder."""
    table = folder.parent / "table.parquet"
    accounts = ingest(
        folder, "*", reader, "case", platforms, channels, date(2020, 1, 1), table, LOG
    )
    ledger.write_ledger(folder.parent / "ledger.parquet", accounts)
    return footprint_table.read_footprints(table), accounts


def rows(footprints):
    """The used rows as texts, whatever the order and the name of their file."""
    frame = footprints.to_pandas()
    frame = frame[frame["rejected"] == 0].drop(columns=["file", "rejected"])
    return set(map(str, frame.itertuples(index=False, name=None)))


def harmed(rng, data, kind):
    """The octets of a file after some damage."""
    if kind == "truncate":
        return data[: int(rng.integers(len(data)))]
    if kind == "flip":
        spoiled = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            spoiled[place] ^= 1 << int(rng.integers(8))
        return bytes(spoiled)
    if kind == "zero":
        start = int(rng.integers(len(data)))
        return data[:start] + bytes(min(512, len(data) - start)) + data[start + 512 :]
    if kind == "page":
        return b"<!DOCTYPE html><html><title>Log in</title></html>"
    if kind == "text":
        return b"429 Too Many Requests\n"
    if kind == "empty":
        return b""
    raise KeyError(kind)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["truncate", "flip", "zero", "page", "text", "empty"])
def test_damage_is_told_and_the_rest_is_read(tmp_path, name, kind):
    rng = np.random.default_rng(zlib.crc32(f"{name} {kind}".encode()))
    source = FILES[name]
    told = []
    for number in range(MUTATIONS):
        folder = tmp_path / f"{number}" / "files"
        folder.mkdir(parents=True)
        for path in originals(name):
            (folder / path.name).write_bytes(path.read_bytes())
        victim = originals(name)[int(rng.integers(len(originals(name))))]
        content = harmed(rng, victim.read_bytes(), kind)
        (folder / victim.name).write_bytes(content)
        try:
            found, accounts = ingested(folder, *source)
        except NoUsableFileError as error:
            told.append((str(folder), victim.name, str(error)))
            continue
        whole = accounts[accounts["channel"] == ""]
        assert (whole["reason"] == ledger.READ).any()
        assert whole.loc[whole["reason"] == ledger.READ, "count"].sum() == len(found) + (
            whole.loc[~whole["reason"].isin([ledger.READ]), "count"].sum()
        )
        values = footprint_table.values_of(found)
        assert not np.isinf(values).any()
    for folder, file, message in told:
        assert folder in message
        assert file in message
        assert re.search("check file_pattern .* and the download", message)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("suffix", [*PACKERS, ".zip", "renamed", "twice"])
def test_what_is_packed_renamed_or_there_twice_gives_the_same(tmp_path, name, suffix):
    if suffix == "renamed" and name == "atms_sdr":
        pytest.skip("names tell which files are a pair")
    plain, folder = tmp_path / "plain" / "files", tmp_path / "changed" / "files"
    for place in (plain, folder):
        place.mkdir(parents=True)
    for path in originals(name):
        data = path.read_bytes()
        (plain / path.name).write_bytes(data)
        if suffix in PACKERS:
            (folder / f"{path.name}{suffix}").write_bytes(PACKERS[suffix](data))
        elif suffix == ".zip":
            with zipfile.ZipFile(folder / f"{path.name}.zip", "w") as archive:
                archive.writestr(path.name, data)
        elif suffix == "renamed":
            (folder / "data.bin").write_bytes(data)
        else:
            for place in ("a", "b"):
                (folder / place).mkdir(exist_ok=True)
                (folder / place / path.name).write_bytes(data)
    expected, _ = ingested(plain, *FILES[name])
    found, _ = ingested(folder, *FILES[name])
    assert rows(found) == rows(expected)


@pytest.mark.parametrize("name", ["bufr/amsa_55.bufr", "bufr/mhsa_55.bufr", "bufr/atms_201.bufr"])
@pytest.mark.parametrize("reader", ["amsua", "mhs", "hirs4", "ssmis", "ssmi", "iasi", "atms"])
def test_a_sounder_is_never_read_as_another(tmp_path, name, reader):
    own = {"amsa": "amsua", "mhsa": "mhs", "atms": "atms"}[Path(name).name[:4]]
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "x.bufr").write_bytes(realdata(name).read_bytes())
    channels = list(INSTRUMENTS[reader].channels[:3])
    if own == reader:
        assert len(ingested(folder, f"bufr_sounder.{reader}", ["Metop-A", "Suomi-NPP"], channels))
        return
    with pytest.raises(NoUsableFileError, match="instrument"):
        ingested(folder, f"bufr_sounder.{reader}", ["Metop-A", "Suomi-NPP"], channels)


@pytest.mark.parametrize("kind", ["truncate", "flip", "zero", "page", "text", "empty"])
def test_damage_of_fields_is_told(tmp_path, kind):
    channels = channel_table().select(["Z500", "T500", "T850", "Z850"])
    rng = np.random.default_rng(zlib.crc32(kind.encode()))
    data = realdata("era5/ekd_test4.grib").read_bytes()
    times = [datetime(2007, 1, 1, 12)]
    for number in range(MUTATIONS):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        (folder / "x.grib").write_bytes(harmed(rng, data, kind))
        assembler = Assembler(GribReader(channels, "era5"), Grid(19, 36), Ledger())
        (state,) = decode_analyses(assembler, list_grib_files(folder), times)
        assembler.ledger.summary()
        if state is None:
            assert assembler.ledger.rows
        else:
            assert np.isfinite(state).all()
