"""satpy readers of formats that satpy lacks: FY-3 MWTS-III and MWHS-II, AAPP AMSU-A level 1c.

satpy finds them when the environment variable ``SATPY_CONFIG_PATH`` names :data:`DIRECTORY`, or
after ``satpy.config.set(config_path=[...])`` with it; then ``Scene(files, reader="fy3_mwts3_l1")``
works as with its own.
"""

from pathlib import Path

DIRECTORY = Path(__file__).parent
