"""HDF5, NetCDF, binary and text files as other platforms and machines would have made them.

Real files are written anew; each reader is compared with h5py or netCDF4 on the same file, and
every footprint is read, used or refused.
"""

import csv
from collections import Counter

import h5py
import netCDF4
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from fuxiflow import physics
from fuxiflow.cyclones import best_tracks
from fuxiflow.observations import footprint_table, readers
from fuxiflow.observations.rejection_codes import Reason
from tests.support.helpers import realdata
from tests.support.level1_files import mutations

HEIGHTS = ["refractivity_8000", "refractivity_12345", "refractivity_20000"]


def write(path, *parts):
    path.write_bytes(b"".join(parts))
    return path


def codes(granule):
    return footprint_table.column_values(granule.footprints, "rejected")


SDR = "npp_d20181022_t0022213_e0022529_b36187_c20181022014936"


def sdr(
    directory,
    change=lambda name, array: array,
    platform="NPP",
    short="npp",
    order=">",
    compression=None,
):
    """Write the real granule anew, in a byte order, compressed or not.

    Data sets go through ``change``.
    """
    paths = []
    for product, tail in (("SATMS", "019618"), ("GATMO", "013060")):
        paths.append(directory / f"{product}_{SDR}{tail}_noac_ops.h5".replace("npp", short))
        with (
            h5py.File(realdata(f"atms_sdr/{product}_{SDR}{tail}_noac_ops.h5")) as real,
            h5py.File(paths[-1], "w") as file,
        ):
            real.copy("Data_Products", file)
            file.attrs.update(real.attrs)
            file.attrs["Platform_Short_Name"] = np.array([[platform.encode()]])
            for group, members in real["All_Data"].items():
                for name, data in members.items():
                    array = change(name, data[()])
                    target = file.create_dataset(
                        f"All_Data/{group}/{name}",
                        compression=compression,
                        data=array.astype(array.dtype.newbyteorder(order)),
                    )
                    target.attrs.update(data.attrs)
    return paths


def sdr_by_h5py(paths):
    """Latitude, longitude, zenith angle, temperatures of a pair of files, as stored."""
    with h5py.File(paths[0]) as data, h5py.File(paths[1]) as geolocation:
        places = [
            geolocation[f"All_Data/ATMS-SDR-GEO_All/{name}"][()].ravel()
            for name in ("Latitude", "Longitude", "SatelliteZenithAngle")
        ]
        counts, (scale, offset) = (
            data[f"All_Data/ATMS-SDR_All/BrightnessTemperature{word}"][()]
            for word in ("", "Factors")
        )
        return *places, np.where(counts < 65528, counts * scale + offset, np.nan).reshape(-1, 22)


@pytest.mark.parametrize(
    ("platform", "short", "name", "order", "compression"),
    [
        ("NPP", "npp", "Suomi-NPP", ">", None),
        ("J01", "j01", "NOAA-20", "<", None),
        ("J02", "j02", "NOAA-21", ">", "gzip"),
    ],
)
def test_sensor_data_records_of_every_platform_and_machine(
    tmp_path, platform, short, name, order, compression
):
    paths = sdr(tmp_path, platform=platform, short=short, order=order, compression=compression)
    (granule,) = readers.read("atms_sdr", paths, [name], [str(i) for i in range(1, 23)])
    lat, lon, zenith, temperature = sdr_by_h5py(paths)
    found = granule.footprints
    assert set(found["platform"].to_pylist()) == {name}
    assert not codes(granule).any()
    for column, expected in (("lat", lat), ("lon", lon), ("zenith", zenith)):
        assert np.array_equal(footprint_table.column_values(found, column), expected)
    assert_allclose(footprint_table.values_of(found), temperature, rtol=1e-6)


def first_scans(*values):
    """A change of the first three scans' places."""

    def change(name, array):
        if name in ("Latitude", "Longitude"):
            array[:3] = values[name == "Longitude"]
        return array

    return change


def missing_counts(name, array):
    return np.full_like(array, 65535) if name == "BrightnessTemperature" else array


def displaced(name, array):
    """One footprint 1.5 degrees off, one zenith angle wrong by 10."""
    if name == "Latitude":
        array[5, 40] += 1.5
    if name == "SatelliteZenithAngle":
        array[7, 30] += 10
    return array


def hot(name, array):
    return np.array([0.012, 0], "f4") if name == "BrightnessTemperatureFactors" else array


@pytest.mark.parametrize(
    ("change", "rejected"),
    [
        (first_scans(0, 0), {Reason.LOCATION: 3 * 96, 0: 9 * 96}),
        (first_scans(-999.3, -999.3), {1: 3 * 96, 0: 9 * 96}),
        (missing_counts, {Reason.MISSING: 12 * 96}),
        (displaced, {Reason.LOCATION: 2, 0: 12 * 96 - 2}),
        (hot, {Reason.MISSING: 12 * 96}),
    ],
)
def test_sensor_data_records_without_values_or_places(tmp_path, change, rejected):
    (granule,) = readers.read("atms_sdr", sdr(tmp_path, change), ["Suomi-NPP"], ["1", "22"])
    assert Counter(codes(granule).tolist()) == rejected


def atmprf(path, change, form="NETCDF3_CLASSIC", endian="native"):
    """Write the real atmPrf file anew.

    ``change`` edits its attributes and its variables' values.
    """
    with (
        netCDF4.Dataset(realdata("gnssro/atmPrf_C002.2007.274.03.02.G13_2007.3200_nc")) as real,
        netCDF4.Dataset(path, "w", format=form) as file,
    ):
        real.set_auto_mask(False)
        attributes = {name: real.getncattr(name) for name in real.ncattrs()}
        values = {name: real[name][:].astype(float) for name in ("MSL_alt", "Lat", "Lon", "Ref")}
        units = {name: real[name].units for name in values}
        change(attributes, values, units)
        file.createDimension("MSL_alt", len(values["Ref"]))
        for name, array in values.items():
            options = {"endian": endian, "compression": "zlib"} if form == "NETCDF4" else {}
            kind = ">f4" if endian == "big" else "f4"
            variable = file.createVariable(name, kind, ("MSL_alt",), fill_value=-999.0, **options)
            variable[:] = array
            variable.units = units[name]
        file.setncatts(attributes)
    return path


def missing_swath(attributes, values, units):
    values["Ref"][:] = -999.0


def metres(attributes, values, units):
    values["MSL_alt"] = np.where(values["MSL_alt"] > -999, values["MSL_alt"] * 1000, -999.0)
    units["MSL_alt"] = "m"


def reversed_levels(attributes, values, units):
    values.update({name: array[::-1] for name, array in values.items()})


def of_satellite(stamp):
    return lambda attributes, values, units: attributes.update(
        fileStamp=f"{stamp}.2007.274.03.02.G13"
    )


def without_place(attributes, values, units):
    attributes.update(lat=0.0, lon=0.0)
    values["Lat"][:] = values["Lon"][:] = 0.0


def without_levels(attributes, values, units):
    values.update({name: array[:0] for name, array in values.items()})


def test_occultations_in_every_netcdf(tmp_path):
    stamps = {
        "C2E1": "COSMIC-2",
        "C006": "COSMIC-1",
        "META": "Metop-A",
        "METB": "Metop-B",
        "METC": "Metop-C",
        "FY3C": "FY-3C",
        "FY3D": "FY-3D",
        "FY3E": "FY-3E",
        "TSRX": "TerraSAR-X",
        "S117": "S117",
    }
    same = {
        "classic": {},
        "offset64": {"form": "NETCDF3_64BIT_OFFSET"},
        "five": {"form": "NETCDF3_64BIT_DATA"},
        "four": {"form": "NETCDF4"},
        "big": {"form": "NETCDF4", "endian": "big"},
    }
    paths = [atmprf(tmp_path / name, lambda *_: None, **options) for name, options in same.items()]
    paths += [atmprf(tmp_path / "metres", metres), atmprf(tmp_path / "reversed", reversed_levels)]
    paths += [atmprf(tmp_path / stamp, of_satellite(stamp)) for stamp in stamps]
    odd = {
        "hollow": (missing_swath, Reason.MISSING),
        "nowhere": (without_place, Reason.LOCATION),
        "short": (without_levels, Reason.MISSING),
    }
    paths += [atmprf(tmp_path / name, change) for name, (change, _) in odd.items()]
    granules = list(
        readers.read(
            "gnssro", [*paths, write(tmp_path / "nothing")], list(stamps.values()), HEIGHTS
        )
    )
    (refused,) = [granule for granule in granules if granule.footprints is None]
    assert (refused.file, refused.reason, refused.message) == (
        "nothing",
        Reason.EMPTY,
        "zero bytes",
    )
    (granule,) = [granule for granule in granules if granule.footprints is not None]
    found = granule.footprints.to_pandas().set_index("file")
    assert len(found) == granule.count == len(paths)
    with netCDF4.Dataset(paths[0]) as file:
        height, refractivity = (
            np.ma.filled(file[name][:].astype(float), np.nan) for name in ("MSL_alt", "Ref")
        )
    good = np.isfinite(height) & np.isfinite(refractivity)
    order = np.argsort(height[good])
    at = [float(name.removeprefix("refractivity_")) / 1000 for name in HEIGHTS]
    expected = np.exp(np.interp(at, height[good][order], np.log(refractivity[good][order])))
    for name in (*same, "metres", "reversed", *stamps):
        assert_allclose(
            found.loc[name, [f"channel_{one}" for one in HEIGHTS]].to_numpy(float),
            expected,
            rtol=1e-5,
        )
        assert found.at[name, "rejected"] == 0
    assert {name: found.at[name, "platform"] for name in stamps} == stamps
    assert {name: found.at[name, "rejected"] for name in odd} == {
        name: reason for name, (_, reason) in odd.items()
    }


@pytest.mark.slow
def test_no_damage_to_sensor_data_records_gives_impossible_footprints(tmp_path):
    """300 flips and cuts of either file of the real granule.

    It is as the archive has it, big-endian and not compressed.
    """
    whole = sdr(tmp_path)
    names = [str(i) for i in range(1, 23)]
    (true,) = readers.read("atms_sdr", whole, ["Suomi-NPP"], names)
    places = [footprint_table.column_values(true.footprints, name) for name in ("lat", "lon")]
    outcomes = Counter()
    for which, seed in ((0, 5), (1, 6)):
        content = whole[which].read_bytes()
        for changed in mutations(content, 150, seed):
            whole[which].write_bytes(changed)
            for granule in readers.read("atms_sdr", whole, ["Suomi-NPP"], names):
                outcomes[granule.reason] += 1
                if granule.footprints is None:
                    assert granule.message
                    continue
                found, used = granule.footprints, codes(granule) == 0
                outcomes["rejected"] += len(used) - used.sum()
                off = physics.great_circle(
                    *(footprint_table.column_values(found, name) for name in ("lat", "lon")),
                    *places,
                )
                assert (off[used] < 40).all()
                elapsed = footprint_table.column_values(
                    found, "time"
                ) - footprint_table.column_values(true.footprints, "time")
                assert (np.abs(elapsed[used]) < np.timedelta64(60, "s")).all()
                values = footprint_table.values_of(found)
                assert not ((values < 2.7) | (values > 350)).any()
        whole[which].write_bytes(content)
    assert outcomes[Reason.UNREADABLE] > 30
    assert outcomes[Reason.USED] > 100
    assert outcomes["rejected"] > 0


ORBIT = "noaa_klm/NSS.AMAX.NK.D11171.S1811.E1941.B6812425.WI"
RECORD = 2560
# octets 73-74 of the header and the letters of file names: NOAA KLM User's Guide, section 8.3.1.6.2
SPACECRAFT = {
    2: ("NL", "NOAA-16"),
    4: ("NK", "NOAA-15"),
    6: ("NM", "NOAA-17"),
    7: ("NN", "NOAA-18"),
    8: ("NP", "NOAA-19"),
    11: ("M1", "Metop-B"),
    12: ("M2", "Metop-A"),
    13: ("M3", "Metop-C"),
}


def test_level_1b_of_every_spacecraft_and_machine(tmp_path):
    """The header's number says which.

    A file whose octets a machine of the other order has swapped has none.
    """
    content = realdata(ORBIT).read_bytes()[: RECORD * 13]
    paths = []
    for number, (letters, _) in SPACECRAFT.items():
        header = content[:72] + number.to_bytes(2) + content[74:RECORD]
        archive = (
            bytes(512) if number % 2 else b""
        )  # the archive's own header, which some orders keep
        paths.append(
            write(
                tmp_path / f"NSS.AMAX.{letters}.D11171.S1811.E1941.B6812425.WI",
                archive,
                header,
                content[RECORD:],
            )
        )
    swapped = np.frombuffer(content, ">u2").astype("<u2").tobytes()
    paths.append(write(tmp_path / "NSS.AMAX.XX.D11171.S1811.E1941.B6812425.WI", swapped))
    names = [name for _, name in SPACECRAFT.values()]
    found = {
        granule.file[9:11]: granule
        for granule in readers.read("noaa_klm.amsua", paths, names, [str(i) for i in range(1, 16)])
    }
    refused = found.pop("XX")
    assert (refused.reason, refused.count) == (Reason.UNREADABLE, 0)
    assert "no header of AMSU-A level 1b" in refused.message
    assert len(found) == len(SPACECRAFT)
    values = footprint_table.values_of(found["NK"].footprints)
    assert np.isfinite(values).any(axis=1).all()
    for letters, name in SPACECRAFT.values():
        assert set(found[letters].footprints["platform"].to_pylist()) == {name}
        assert np.array_equal(
            footprint_table.values_of(found[letters].footprints), values, equal_nan=True
        )


def test_level_1b_without_counts(tmp_path):
    content = bytearray(realdata(ORBIT).read_bytes()[: RECORD * 13])
    for scan in range(1, 13):
        start = RECORD * scan
        content[start + 904 : start + 904 + 1020] = bytes(1020)  # the earth views of A1 and A2
        content[start + 2192 : start + 2192 + 240] = bytes(240)
    path = write(tmp_path / ORBIT.split("/")[1], bytes(content))
    (granule,) = readers.read("noaa_klm.amsua", [path], ["NOAA-15"], ["5"])
    assert codes(granule).tolist() == [Reason.MISSING] * 360


def tracks_csv(path, change):
    """Write the real list with its rows changed by a function that returns them.

    Rows are dictionaries; the first holds units.
    """
    with open(realdata("tracks/ibtracs.SA.list.v04r00.csv"), encoding="utf-8", newline="") as file:
        rows = change(list(csv.DictReader(file)))
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def without(*names):
    return lambda rows: [
        {key: value for key, value in row.items() if key not in names} for row in rows
    ]


def of_basin(basin):
    return lambda rows: [rows[0], *({**row, "BASIN": basin, "SUBBASIN": "MM"} for row in rows[1:])]


@pytest.mark.parametrize("basin", ["NA", "SA", "EP", "WP", "NI", "SI", "SP"])
def test_best_tracks_of_every_basin(tmp_path, basin):
    found = best_tracks.read_best_tracks(tracks_csv(tmp_path / "x.csv", of_basin(basin)))
    real = best_tracks.read_best_tracks(realdata("tracks/ibtracs.SA.list.v04r00.csv"))
    assert len(found) == len(real) == 119
    assert set(found["basin"]) == {basin}
    pd.testing.assert_frame_equal(found.drop(columns="basin"), real.drop(columns="basin"))


def test_best_tracks_without_some_columns(tmp_path):
    real = best_tracks.read_best_tracks(realdata("tracks/ibtracs.SA.list.v04r00.csv"))
    found = best_tracks.read_best_tracks(
        tracks_csv(tmp_path / "x.csv", without("USA_WIND", "USA_PRES", "USA_LAT", "SUBBASIN"))
    )
    assert found[["storm", "time", "lat", "lon"]].equals(real[["storm", "time", "lat", "lon"]])
    assert (found["intensity"] == np.where(real["intensity"] == "wmo", "wmo", "")).all()
    assert found["wind"].equals(real["wind"].where(real["intensity"] == "wmo"))
    reordered = best_tracks.read_best_tracks(
        tracks_csv(tmp_path / "y.csv", lambda rows: [dict(reversed(row.items())) for row in rows])
    )
    pd.testing.assert_frame_equal(reordered, real)
    for name in ("SID", "LAT", "ISO_TIME", "WMO_PRES"):
        with pytest.raises(
            ValueError, match=rf"z\.csv: not IBTrACS, it lacks {name.removeprefix('ISO_').lower()}"
        ):
            best_tracks.read_best_tracks(tracks_csv(tmp_path / "z.csv", without(name)))
    assert best_tracks.read_best_tracks(
        tracks_csv(tmp_path / "none.csv", lambda rows: rows[:1])
    ).empty
    with pytest.raises(ValueError, match=r"empty\.csv: not IBTrACS, it has no columns"):
        best_tracks.read_best_tracks(write(tmp_path / "empty.csv"))
