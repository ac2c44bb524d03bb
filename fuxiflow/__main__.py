"""``python -m fuxiflow`` is the console script ``fuxiflow``."""

import sys

from fuxiflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
