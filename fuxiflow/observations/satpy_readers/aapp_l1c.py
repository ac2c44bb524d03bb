"""satpy file handlers of AAPP level 1c: AMSU-A, which satpy lacks, and MHS.

Files of either byte order and cut off anywhere are read. Format: AAPP documentation, data formats,
NWPSAF-MF-UD-003 (version 8.0): records of 4-byte integers in the byte order of the machine that ran
AAPP, one header and one record a scan; AMSU-A 768 words, MHS 1,152. Latitude and longitude in 1e-4
degrees, angles and temperatures in 1e-2 degrees and K.
"""

from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
from satpy.readers.aapp_l1b import create_xarray
from satpy.readers.aapp_mhs_amsub_l1c import (
    _HEADERTYPE,
    _SCANTYPE,
    HEADER_LENGTH,
    MHS_AMSUB_AAPPL1CFile,
)

AMSUA_CHANNELS = [str(i) for i in range(1, 16)]
AMSUA_RECORD = 768 * 4
AMSUA_HEADER = np.dtype(
    [
        *((name, _HEADERTYPE[name]) for name in _HEADERTYPE.names[:-3]),
        ("tempradcnv", "<i4", (3, 15)),
        ("wmosatid", "<i4"),
        ("filler", "<i4", (699,)),
    ]
)
AMSUA_SCAN = np.dtype(
    [
        ("scnlin", "<i4"),
        ("scnlinyr", "<i4"),
        ("scnlindy", "<i4"),
        ("scnlintime", "<i4"),
        ("qualind", "<i4"),
        ("scnlinqual", "<i4"),
        ("chanqual", "<i4", (15,)),
        ("instrtemp", "<i4", (2,)),
        ("spare1", "<i4", (2,)),
        ("latlon", "<i4", (30, 2)),
        ("angles", "<i4", (30, 4)),
        ("scalti", "<i4"),
        ("spare2", "<i4", (2,)),
        ("btemps", "<i4", (30, 15)),
        ("dataqual", "<i4", (30,)),
        ("filler", "<i4", (80,)),
    ]
)
MHS_HEADER, MHS_SCAN, MHS_RECORD = _HEADERTYPE, _SCANTYPE, HEADER_LENGTH
_INSTRUMENTS = {"amsua": 10, "mhs": 12}


class MHSFile(MHS_AMSUB_AAPPL1CFile):
    """MHS level 1c."""

    instrument = "mhs"

    def read(self):
        """Read the header and all whole scans.

        The byte order is the one in which the header's instrument number is right. ValueError when
        it is in neither: the file is not this instrument's.
        """
        content = Path(self.filename).read_bytes()
        for order in "<>":
            header_type, scan_type = (
                kind.newbyteorder(order) for kind in (self._header_type, self._scan_type)
            )
            header = np.frombuffer(
                content[: header_type.itemsize].ljust(header_type.itemsize, b"\0"), header_type
            )
            if header["instrument"][0] == _INSTRUMENTS[self.instrument]:
                break
        else:
            raise ValueError(f"no header of AAPP level 1c of {self.instrument}")
        whole = max(len(content) - self._header_offset, 0) // scan_type.itemsize
        scans = (
            np.frombuffer(content, scan_type, whole, self._header_offset)
            if whole
            else np.zeros(0, scan_type)
        )
        # satpy's code takes native arrays
        self._header, self._data = (
            array.astype(array.dtype.newbyteorder("=")) for array in (header, scans)
        )
        self.cut_off = (len(content) - self._header_offset) % scan_type.itemsize > 0

    @property
    def scans(self) -> np.ndarray:
        """The scans as a structured array ``(scan,)``."""
        return self._data

    @property
    def header(self) -> np.void:
        """The header."""
        return self._header[0]


class AMSUAFile(MHSFile):
    """AMSU-A level 1c."""

    instrument = "amsua"

    def _set_filedata_layout(self):
        self._channel_names = AMSUA_CHANNELS
        self._header_offset = AMSUA_RECORD
        self._header_type = AMSUA_HEADER
        self._scan_type = AMSUA_SCAN

    def _get_sensorname(self):
        self.sensor = "amsua"

    def calibrate(self, dataset_id) -> xr.DataArray:
        """Return one channel in K ``(y, x)``, NaN where missing (zero or negative)."""
        stored = self._data["btemps"][:, :, AMSUA_CHANNELS.index(dataset_id["name"])]
        temperature = create_xarray(
            da.from_array(np.where(stored > 0, stored / 100.0, np.nan), chunks=-1)
        )
        temperature.attrs["units"] = "K"
        temperature.attrs.update(dataset_id._asdict())
        return temperature
