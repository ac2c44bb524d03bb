"""Satellites by their number in WMO's messages, with their names in WMO OSCAR."""

BUFR_SATELLITES = {
    3: "Metop-B", 4: "Metop-A", 5: "Metop-C", 41: "CHAMP", 42: "TerraSAR-X", 43: "TanDEM-X", 44: "PAZ",
    66: "Sentinel-6A", 67: "Sentinel-6B", 206: "NOAA-15", 207: "NOAA-16", 208: "NOAA-17", 209: "NOAA-18",
    223: "NOAA-19", 224: "Suomi-NPP", 225: "NOAA-20", 226: "NOAA-21", 246: "DMSP-F13", 247: "DMSP-F14",
    248: "DMSP-F15", 249: "DMSP-F16", 265: "CICERO", 266: "CICERO", 267: "GNOMES", 268: "GNOMES", 269: "Spire",
    285: "DMSP-F17", 286: "DMSP-F18", 287: "DMSP-F19", 421: "OceanSat-2", 520: "FY-3A", 521: "FY-3B", 522: "FY-3C",
    523: "FY-3D", 524: "FY-3E", 525: "FY-3F", 526: "FY-3G", 722: "GRACE-A", 723: "GRACE-B", 784: "Aqua",
    786: "C/NOFS", 803: "GRACE-FO", 804: "GRACE-FO", 820: "SAC-C", 825: "KOMPSAT-5",
    **{740 + i: "COSMIC-1" for i in range(6)}, **dict.fromkeys((*range(724, 730), *range(750, 756)), "COSMIC-2")}
"""Satellite identifier, 0-01-007: WMO-No. 306, Volume I.2, common code table C-5. COSMIC's, GRACE-FO's and those
of the companies GeoOptics, PlanetiQ and Spire go by their mission."""
