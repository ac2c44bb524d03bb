"""Time RMSE, bias and ACC of forecasts on one core, ours against `scores` and WeatherBench2.

    python -m benchmarks.verification [--grid NLAT NLON] [--inits N] [--leads N] [--together N]
        [--rounds N] [--full]

By default 60 initial times of 40 leads and 70 channels on the demonstration's grid, globally. All
take the same float32 arrays from memory: the forecasts of an initial time, the states and the
climatology at their valid times. Making these is not timed.

- ours: fuxiflow.verification.collection, as the rules call it: cases against one reference, with
  everything else that is kept of them, and the means over cases;
- scores: `scores.continuous.mse` and `mean_error` with area weights. It has no anomaly correlation,
  so that is made of weighted means by xarray, as WeatherBench2 does;
- WeatherBench2: its classes MSE, Bias and ACC on data sets of one variable with a dimension
  channel, each called on a chunk. Its package is on no registry (pip install
  git+https://github.com/google-research/weatherbench2); without it that row is left out.

The peers get ``--together`` leads of an initial time in a call, by default all of them, so that
xarray's own costs count little; and one at 0.25 degrees, where more do not fit memory. The results
must agree to 1e-6, the bias relative to the RMSE, or the run fails. ``--full`` is 720 x 1440: a
case takes the peers seconds, so give fewer initial times and leads with it, such as ``--inits 2
--leads 3``.

Seconds are those of the processor, the least of ``--rounds`` rounds by turns.
"""

import argparse
import importlib
import importlib.util
import logging
import os
import time
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import xarray as xr
from scores.continuous import mean_error, mse

from fuxiflow.channels import channel_table
from fuxiflow.grids import Grid
from fuxiflow.verification.bootstrap import case_mean
from fuxiflow.verification.collection import collect_cases, valid_time
from fuxiflow.verification.references import prepare_references

START = np.datetime64("2022-07-01", "ns")
CHANNELS = channel_table()
AREA = ("latitude", "longitude")
DIMENSIONS = ("time", "channel", *AREA)
LOG = logging.getLogger("benchmark")
METRICS = ("rmse", "bias", "acc")


class MadeUp:
    """Fields that are made of noise; the processor's time for making them is kept apart."""

    channels = CHANNELS

    def __init__(self, grid: Grid):
        """Draw the noise that all fields are made of."""
        self.grid = grid
        self.paths = ["memory"]
        random = np.random.default_rng(0)
        shape = (len(CHANNELS), *grid.shape)
        self.climate = random.uniform(200, 300, shape).astype(np.float32)
        self.noise = random.standard_normal(shape, np.float32)
        self.making = 0.0

    def __contains__(self, when: np.datetime64) -> bool:
        """Tell that there is a state at every time."""
        return True

    def read(self, when: np.datetime64, error: int = 0) -> np.ndarray:
        """Make the state ``(channel, lat, lon)`` of a time, or a forecast that differs by it."""
        began = time.process_time()
        shift = int((when - START) / np.timedelta64(6, "h"))
        field = np.roll(self.noise, shift, axis=2)
        if error:
            field += np.float32(0.02 * error) * np.roll(self.noise, -7 * error - shift, axis=2)
            field += np.float32(0.001 * error)
        field *= 4
        field += self.climate
        self.making += time.process_time() - began
        return field

    def at(self, when: np.datetime64) -> np.ndarray:
        """Return the climatology ``(channel, lat, lon)``, which is the same at all times."""
        return self.climate


def ours(made: MadeUp, inits: np.ndarray, leads: list[int]) -> dict[str, np.ndarray]:
    """Score by the package.

    Parameters
    ----------
    made : MadeUp
        Makes the fields.
    inits : np.ndarray
        Initial times.
    leads : list of int
        Leads in hours.

    Returns
    -------
    dict of str to np.ndarray
        Each metric ``(lead, channel)``.
    """
    against = prepare_references({"era5": made}, made, CHANNELS.names, ["global"])

    def read(init: np.datetime64, lead: int) -> np.ndarray:
        return made.read(valid_time(init, lead), lead).reshape(len(CHANNELS), -1)

    collected = collect_cases({"forecasts": read}, inits, leads, against, LOG)
    cases = collected.cases["forecasts", "era5"]
    once = np.ones((1, len(inits)))
    names = {"square": "rmse", "error": "bias", "correlation": "acc"}
    values = {names[name]: case_mean(cases.values[name], once)[0, ..., 0] for name in names}
    values["rmse"] = np.sqrt(values["rmse"])
    return values


def chunks(
    made: MadeUp, inits: np.ndarray, leads: list[int], together: int
) -> Iterator[tuple[slice, xr.DataArray, xr.DataArray]]:
    """Yield the leads of a chunk, its forecasts and its states, as named arrays.

    Parameters
    ----------
    made : MadeUp
        Makes the fields.
    inits : np.ndarray
        Initial times.
    leads : list of int
        Leads in hours.
    together : int
        Leads in a chunk.

    Yields
    ------
    tuple
        Positions of the leads, forecasts and states ``(time, channel, latitude, longitude)`` at
        valid times, latitudes increasing as WeatherBench2 wants them.
    """
    for init in inits:
        for first in range(0, len(leads), together):
            part = leads[first : first + together]
            valid = [valid_time(init, lead) for lead in part]
            fields = (
                np.stack([made.read(when, lead) for when, lead in zip(valid, part, strict=True)]),
                np.stack([made.read(when) for when in valid]),
            )
            yield (slice(first, first + len(part)), *(named(made, valid, one) for one in fields))


def named(made: MadeUp, valid: list[np.datetime64], fields: np.ndarray) -> xr.DataArray:
    """Name the dimensions of fields.

    Parameters
    ----------
    made : MadeUp
        Has the grid.
    valid : list of np.datetime64
        Times of the fields.
    fields : np.ndarray
        Fields ``(time, channel, lat, lon)``, from north to south.

    Returns
    -------
    xr.DataArray
        The fields from south to north.
    """
    coordinates = {
        "time": np.array(valid, "datetime64[ns]"),
        "channel": CHANNELS.names,
        "latitude": made.grid.lat[::-1],
        "longitude": made.grid.lon,
    }
    return xr.DataArray(np.ascontiguousarray(fields[:, :, ::-1]), coordinates, DIMENSIONS)


def by_scores(
    made: MadeUp, forecast: xr.DataArray, state: xr.DataArray
) -> tuple[xr.DataArray, ...]:
    """Score a chunk by `scores`.

    Parameters
    ----------
    made : MadeUp
        Has the climatology and the weights.
    forecast, state : xr.DataArray
        Forecasts and states ``(time, channel, latitude, longitude)``.

    Returns
    -------
    tuple of xr.DataArray
        Mean square, mean error and ACC, each ``(time, channel)``.
    """
    area = made.grid.area_weights[::-1]
    weights = xr.DataArray(area, {"latitude": forecast.latitude}, ("latitude",))
    # it takes the mean of what it has weighted, so that weights have a mean of 1
    options = {"preserve_dims": ["time", "channel"], "weights": weights.broadcast_like(forecast)}
    climate = named(made, [START], made.climate[None])[0].drop_vars("time")
    f, r = forecast - climate, state - climate
    cross, power, state_power = (x.weighted(weights).mean(AREA) for x in (f * r, f * f, r * r))
    return (
        mse(forecast, state, **options),
        mean_error(forecast, state, **options),
        cross / np.sqrt(power * state_power),
    )


def by_weatherbench(
    made: MadeUp, forecast: xr.DataArray, state: xr.DataArray
) -> tuple[xr.DataArray, ...]:
    """Score a chunk by WeatherBench2.

    Parameters
    ----------
    made : MadeUp
        Has the climatology and the weights.
    forecast, state : xr.DataArray
        Forecasts and states ``(time, channel, latitude, longitude)``.

    Returns
    -------
    tuple of xr.DataArray
        Mean square, mean error and ACC, each ``(time, channel)``.
    """
    metrics = importlib.import_module("weatherbench2.metrics")
    days = np.unique(forecast.time.dt.dayofyear)
    climate = named(made, [START], made.climate[None])[0].drop_vars("time")
    climate = climate.expand_dims(hour=[0, 6, 12, 18], dayofyear=days)
    f, r = forecast.to_dataset(name="state"), state.to_dataset(name="state")
    scored = (metrics.MSE(), metrics.Bias(), metrics.ACC(climate.to_dataset(name="state")))
    return tuple(metric.compute_chunk(f, r)["state"] for metric in scored)


def by_peer(
    peer, made: MadeUp, inits: np.ndarray, leads: list[int], together: int
) -> tuple[dict[str, np.ndarray], float]:
    """Score by a peer, chunk by chunk.

    Parameters
    ----------
    peer : callable
        Scores one chunk.
    made : MadeUp
        Makes the fields.
    inits : np.ndarray
        Initial times.
    leads : list of int
        Leads in hours.
    together : int
        Leads in a chunk.

    Returns
    -------
    values : dict of str to np.ndarray
        Metrics ``(lead, channel)``.
    seconds : float
        Processor time without that of making and naming the fields.
    """
    sums = np.zeros((len(METRICS), len(leads), len(CHANNELS)))
    seconds = 0.0
    for part, forecast, state in chunks(made, inits, leads, together):
        began = time.process_time()
        scored = peer(made, forecast, state)
        for i, values in enumerate(scored):
            sums[i, part] += values.transpose("time", "channel").values
        seconds += time.process_time() - began
        # gone before the next ones are made
        del forecast, state
    values = dict(zip(METRICS, sums / len(inits), strict=True))
    values["rmse"] = np.sqrt(values["rmse"])
    return values, seconds


def difference(values: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """Return the largest relative difference; that of the bias is relative to the RMSE."""
    scales = {"rmse": expected["rmse"], "bias": expected["rmse"], "acc": np.abs(expected["acc"])}
    return max(
        float((np.abs(values[name] - expected[name]) / scale).max())
        for name, scale in scales.items()
    )


def main() -> None:
    """Measure, compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--grid", type=int, nargs=2, default=(32, 64))
    parser.add_argument("--inits", type=int, default=60)
    parser.add_argument("--leads", type=int, default=40)
    parser.add_argument("--together", type=int)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--full", action="store_true", help="720 x 1440")
    options = parser.parse_args()
    grid = Grid(720, 1440) if options.full else Grid(*options.grid)
    together = options.together or (1 if options.full else options.leads)
    inits = START + np.arange(options.inits) * np.timedelta64(12, "h")
    leads = [6 * i for i in range(1, options.leads + 1)]
    made = MadeUp(grid)
    ours(made, inits[:1], leads[:1])  # compiles
    peers = {"scores, ACC by xarray": by_scores}
    if importlib.util.find_spec("weatherbench2"):
        peers["WeatherBench2"] = by_weatherbench
    seconds: dict[str, list[float]] = {}
    apart: dict[str, float] = {}
    for _ in range(options.rounds):
        made.making, began = 0.0, time.process_time()
        expected = ours(made, inits, leads)
        taken = time.process_time() - began - made.making
        seconds.setdefault("ours", []).append(taken)
        for name, peer in peers.items():
            values, taken = by_peer(peer, made, inits, leads, together)
            apart[name] = difference(values, expected)
            seconds.setdefault(name, []).append(taken)
            if apart[name] > 1e-6:
                raise SystemExit(f"{name} differs from ours by {apart[name]:.1e}")
    cases = len(inits) * len(leads)
    print(
        f"{len(inits)} initial times, {len(leads)} leads, {len(CHANNELS)} channels, "
        f"{grid.nlat} x {grid.nlon}, {together} leads in a call of the peers; processor seconds"
    )
    print(f"{'':26s} {'seconds':>9s} {'ms a case':>10s} {'ratio':>7s} {'differs by':>11s}")
    for name, rounds in seconds.items():
        least = min(rounds)
        print(
            f"{name:26s} {least:9.2f} {1e3 * least / cases:10.2f} "
            f"{least / min(seconds['ours']):7.1f} {apart.get(name, 0.0):11.1e}"
        )


if __name__ == "__main__":
    main()
