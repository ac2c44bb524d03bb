"""Names of fields in ECMWF's open data, and what they are in WeatherBench2's stores."""

PARAMETERS: dict[str, tuple[str, float]] = {
    # geopotential height in gpm (WMO: standard gravity), or in some models geopotential
    "gh": ("geopotential", 9.80665),
    "z": ("geopotential", 1.0),
    "t": ("temperature", 1.0),
    "q": ("specific_humidity", 1.0),
    "u": ("u_component_of_wind", 1.0),
    "v": ("v_component_of_wind", 1.0),
    "2t": ("2m_temperature", 1.0),
    "10u": ("10m_u_component_of_wind", 1.0),
    "10v": ("10m_v_component_of_wind", 1.0),
    "msl": ("mean_sea_level_pressure", 1.0),
    "tp": ("total_precipitation_6hr", 1.0),
}
"""By name of ECMWF's parameter: variable of the stores, and what multiplies a value into its unit.

``tp`` is the sum since the start of a forecast."""


def parameters_of(variable: str) -> list[str]:
    """Return the parameters that a variable is made of, the likely one first; any will do."""
    return [name for name, (one, _) in PARAMETERS.items() if one == variable]
