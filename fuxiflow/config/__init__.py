"""Sections of the configuration that scripts build from their parameters; the whole is in :mod:`fuxiflow.config.configuration`."""
