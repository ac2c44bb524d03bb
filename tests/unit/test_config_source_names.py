"""Names that agencies give to files: each is among the patterns of its source."""

import pytest

from fuxiflow.config.sources import load_source, source_names
from fuxiflow.observations import readers

WMO = (
    "A_ISMI01EGRR181200_C_EGRR_20120718120000",
    "A_ISMD10RUMS031200CCA_C_RJTD_20191106050332_71.bufr",
    "WIGOS_0-20000-0-61052_20250121T060000.bufr4",
    "W_XX-EUMETSAT-Darmstadt,SURFACE+SATELLITE,METOPA+AMSUA_C_EUMP_20121102000000.bin",
    "gts_synop_2022070112.bfr",
    "report.bufr.gz",
    "report.bufr.bz2",
    "20220701_12.BUFR",
)
NAMES = {
    "land_stations": WMO,
    "ships_buoys": WMO,
    "radiosondes": WMO,
    "amsua": (
        *WMO,
        "amsual1_20121102_0000_noaa18_38476_l1c.bufr",
        "M02-AMSA-AMSxxx1B-NA-1.0-20181122114800.bufr",
        "AMSA_xxx_1B_M01_20220701000000Z_20220701010000Z_N_O_20220701000000Z.bfr",
    ),
    "atms_bufr": (*WMO, "ATMS_v1r0_npp_s202309060000000_e202309060000317_c202309060040000.bufr"),
    "gnssro": (
        "atmPrf_C002.2007.274.00.05.G02_2013.3520_nc",
        "wetPf2_C2E1.2022.182.00.01.R08_0001.0001_nc",
        "bfrPrf_C001.2007.274.00.05.G02_2013.3520_bufr",
        "bfrPrf_C2E6.2022.182.12.00.G30.BUFR",
        "refractivityRetrieval_cosmic1_ucar_2013.3520_G02-cosmic1c1-200710010005.nc",
        "A_IUTX01EGRR181200_C_EGRR_20220701120000.bin",
        "ropp_20220701.nc.gz",
    ),
    "noaa20_atms": (
        "SATMS_j01_d20220701_t1000000_e1000316_b23856_c20220701110000000000_oebc_ops.h5",
        "GATMO-SATMS_j01_d20220701_t1000000_e1000316_b23856_c20220701110000000000_oebc_ops.h5",
        "GATMO_j01_d20220701_t1000000_e1000316_b23856_c20220701110000000000_oebc_ops.h5.gz",
    ),
    "atms_l1b": ("SNDR.J1.ATMS.20220701T1000.m06.g101.L1B.std.v03_15.G.220701170000.nc",),
    "fy3e_mwts3": ("FY3E_MWTS-_ORBA_L1_20220701_1022_033KM_V0.HDF",),
    "fy3e_mwhs2": (
        "FY3E_MWHS-_ORBD_L1_20220701_1022_015KM_V0.HDF",
        "FY3E_MWHS-_ORBD_L1_20220701_1022_015KM_V0.hdf",
    ),
    "noaa15_amsua_l1b": (
        "NSS.AMAX.NK.D11171.S2050.E2244.B6813941.GC",
        "NSS.AMAX.NK.D11171.S2050.E2244.B6813941.GC.gz",
    ),
    "aapp_amsua": ("amsual1c_noaa19_20120718_1200_17777.l1c",),
    "aapp_mhs": ("mhsl1c_M02_20120718_1200_17777.l1c.gz",),
}
NAMES |= {
    f"nnja_{name}": tuple(f"gdas.20220701.{message}.parquet" for message in messages)
    for name, messages in {
        "amsua": ("NC021023",),
        "atms": ("NC021203",),
        "mhs": ("NC021027",),
        "metopc_amsua": ("NC021023",),
        "metopc_mhs": ("NC021027",),
        "land_stations": ("NC000001", "NC000002", "NC000007", "NC000101"),
        "radiosondes": ("NC002001",),
    }.items()
}
DUMPS = {"amsua": "1bamua", "mhs": "1bmhs", "atms": "atms", "gpsro": "gpsro", "iasi": "mtiasi"}
NAMES |= {
    f"ncep_{name}": (
        f"gdas.20220701.t12z.{dump}.tm00.bufr_d",
        f"gdas.20220701.t00z.{dump}.tm00.bufr_d.nr",
    )
    for name, dump in DUMPS.items()
}
NAMES |= {
    f"prepbufr_{name}": ("gdas.20220701.t12z.prepbufr.nr", "gdas.t12z.sfcshp.prepbufr")
    for name in ("land_stations", "ships_buoys", "radiosondes")
}
NAMES |= dict.fromkeys(("mhs", "hirs4", "iasi", "ssmis"), WMO)


def test_every_source_has_names():
    assert set(NAMES) == set(source_names())


@pytest.mark.parametrize("source", NAMES)
def test_usual_names_are_in_the_pattern(tmp_path, source):
    for name in NAMES[source]:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"x")
    matching, others = readers.find_files(tmp_path, load_source(source).file_pattern)
    assert {path.name for path in matching} == set(NAMES[source])
    assert [path.name for path in others] == ["notes.txt"]
