"""Whether this machine may ask the Climate Data Store; checked before any job starts."""

import os
from pathlib import Path


class CredentialsError(RuntimeError):
    """No key for the Climate Data Store."""


def check() -> None:
    """Raise :class:`CredentialsError`, saying what to do, where the client would find no key.

    As the client ``cdsapi``: the variables CDSAPI_URL and CDSAPI_KEY, else the file CDSAPI_RC, by default ~/.cdsapirc.
    """
    if os.environ.get("CDSAPI_URL") and os.environ.get("CDSAPI_KEY"):
        return
    file = Path(os.environ.get("CDSAPI_RC", "~/.cdsapirc")).expanduser()
    lines = file.read_text().splitlines() if file.exists() else []
    if not {"url", "key"} <= {line.partition(":")[0].strip() for line in lines}:
        raise CredentialsError(
            f"no key for the Climate Data Store: set CDSAPI_URL and CDSAPI_KEY, or write the lines 'url: …' and "
            f"'key: …' of your profile page there to {file}, and accept the licences of both ERA5 data sets"
        )
