"""The configuration as Pydantic models, one a section; :mod:`.configuration` has the whole."""
