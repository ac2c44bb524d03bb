"""Gas absorption at microwave frequencies, needed only to build and to test the committed tables.

The model is Rosenkranz's of 2019 (``R19``) with the line lists that pyrtlib 1.2.0 carries: oxygen
with line mixing, water vapour lines and continuum, nitrogen. That of 2020 (``R20``) has the same
formulas with other lists. pyrtlib evaluates oxygen and nitrogen
for arrays, water vapour one state at a time, so that the formula of the latter is written out here
and tested against pyrtlib.
"""

import numpy as np

MODEL = "R19"
_NEPER_PER_DB = 0.1 * np.log(10.0)
_GAS_CONSTANT = 0.01 * 8.31451 / 18.01528


def use_absorption_model(name: str = MODEL) -> None:
    """Select a model, R19 or R20, in pyrtlib's classes, which keep it as a class attribute."""
    from pyrtlib.absorption_model import H2OAbsModel, LiqAbsModel, N2AbsModel, O2AbsModel

    for model in (H2OAbsModel, O2AbsModel, N2AbsModel, LiqAbsModel):
        model.model = name
    H2OAbsModel.set_ll()
    O2AbsModel.set_ll()


def vapour_absorption(pressure, temperature, vapour, frequency) -> np.ndarray:
    """Compute the absorption by water vapour (Rosenkranz, 2017, 2019).

    As in pyrtlib: lines with pressure shift, cut off at 750 GHz, and a foreign and a self
    continuum.

    Parameters
    ----------
    pressure : np.ndarray or float
        Pressure of the moist air in hPa.
    temperature : np.ndarray or float
        In K.
    vapour : np.ndarray or float
        Vapour pressure in hPa.
    frequency : np.ndarray or float
        In GHz; all arguments broadcast.

    Returns
    -------
    np.ndarray
        Absorption in Np/km, of the broadcast shape.
    """
    from pyrtlib.absorption_model import H2OAbsModel

    lines = H2OAbsModel().h2oll
    density = vapour / (_GAS_CONSTANT * temperature)
    partial = density * temperature / 216.68
    dry = pressure - partial
    theta = lines.reftcon / temperature
    continuum = (
        (lines.cf * dry * theta**lines.xcf + lines.cs * partial * theta**lines.xcs)
        * partial
        * frequency**2
    )
    theta = lines.reftline / temperature
    log_theta = np.log(theta)
    total = 0.0
    for i in range(len(lines.fl)):
        width = (
            lines.w0[i] * dry * theta ** lines.x[i] + lines.w0s[i] * partial * theta ** lines.xs[i]
        )
        shift = lines.sh[i] * dry * (1.0 - lines.aair[i] * log_theta) * theta ** lines.xh[i]
        shift = (
            shift
            + lines.shs[i] * partial * (1.0 - lines.aself[i] * log_theta) * theta ** lines.xhs[i]
        )
        # the line shape at the cut-off of 750 GHz, which the continuum takes account of
        base = width / (562500.0 + width**2)
        strength = lines.s1[i] * theta**2.5 * np.exp(lines.b2[i] * (1.0 - theta))
        for distance in (frequency - lines.fl[i] - shift, frequency + lines.fl[i] + shift):
            shape = width / (distance**2 + width**2) - base
            near = np.abs(distance) < 750.0
            total = total + near * strength * shape * (frequency / lines.fl[i]) ** 2
    return 3.1831e-05 * 3.344e16 * density * total + continuum


def air_absorption(pressure, temperature, vapour, frequency) -> np.ndarray:
    """Compute the absorption by moist air: oxygen, nitrogen and water vapour.

    :func:`use_absorption_model` must have been called, as pyrtlib keeps the model in its classes.

    Parameters
    ----------
    pressure : np.ndarray or float
        Pressure of the moist air in hPa.
    temperature : np.ndarray or float
        In K.
    vapour : np.ndarray or float
        Vapour pressure in hPa.
    frequency : np.ndarray or float
        In GHz; all arguments broadcast.

    Returns
    -------
    np.ndarray
        Absorption in Np/km, of the broadcast shape.
    """
    from pyrtlib.absorption_model import N2AbsModel, O2AbsModel

    pressure, temperature, vapour, frequency = np.broadcast_arrays(
        pressure, temperature, vapour, frequency
    )
    # pyrtlib takes kPa here
    dry = 0.1 * (pressure - vapour)
    lines, continuum = O2AbsModel().o2_absorption(dry, 300.0 / temperature, 0.1 * vapour, frequency)
    oxygen = 0.182 * frequency * (lines + continuum) * _NEPER_PER_DB
    nitrogen = N2AbsModel.n2_absorption(temperature, 10.0 * dry, frequency)
    return vapour_absorption(pressure, temperature, vapour, frequency) + oxygen + nitrogen


def afgl_profiles(pressure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate the six AFGL profiles to ``pressure`` in hPa, ``(level,)``.

    Returns temperature in K and specific humidity in kg/kg, ``(6, level)`` each. Anderson et al.
    (1986), AFGL-TR-86-0110: tropical, mid-latitude summer and winter, subarctic summer and winter,
    US standard 1976. They are linear in log pressure (humidity in its logarithm) and constant
    outside.
    """
    from pyrtlib.climatology import AtmosphericProfiles
    from pyrtlib.utils import ppmv2gkg

    temperatures, humidities = [], []
    for index in range(6):
        _, p, _, t, gases = AtmosphericProfiles.gl_atm(index)
        ratio = 1e-3 * ppmv2gkg(gases[:, AtmosphericProfiles.H2O], AtmosphericProfiles.H2O)
        # np.interp needs rising abscissae, the profiles rise in height
        log_p = np.log(p[::-1])
        temperatures.append(np.interp(np.log(pressure), log_p, t[::-1]))
        humidity = np.log((ratio / (1.0 + ratio))[::-1])
        humidities.append(np.exp(np.interp(np.log(pressure), log_p, humidity)))
    return np.array(temperatures), np.array(humidities)
