"""h5py, for modules whose process may load netCDF4 too.

The wheels of the two bring a library each; with h5py's loaded first the interpreter crashes when it ends (h5py 3.16,
netCDF4 1.7.5). Import it from here, and netCDF4's comes first.
"""

import netCDF4  # noqa: F401, I001
import h5py

__all__ = ["h5py"]
