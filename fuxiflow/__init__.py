"""fuxiflow: from raw radiances and reanalysis to neural assimilation, forecasts, scores and figures."""

from pathlib import Path

__version__ = "0.1.0"

ROOT = Path(__file__).resolve().parent.parent
