"""Small stores of the shape that the figures read, filled with plausible made-up values."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtr

from fuxiflow import channels
from fuxiflow.cycling.response import Response
from fuxiflow.cyclones import errors, forecast_tracks
from fuxiflow.grids import Grid
from fuxiflow.observations.sparse_grids import SparseWriter
from fuxiflow.states.store import write_states
from fuxiflow.storage import tables
from fuxiflow.verification import observation_scores, score_table, structure
from fuxiflow.verification.maps import ErrorMaps
from fuxiflow.verification.seed_spread import seed_spread

CASE = datetime(2023, 1, 6)
START = datetime(2023, 1, 1)
TEST_START = datetime(2023, 1, 4)
SCALE = {"Z": 400.0, "T": 2.0, "U": 4.0, "V": 4.0, "R": 12.0, "M": 300.0}


def scale(name: str) -> float:
    """A typical error of a channel, growing with height for geopotential."""
    channel = channels.channel_table()[name]
    if name == "TP":
        return 1.0
    return SCALE[name[0]] * (
        (1000 / channel.level) ** 0.4 if channel.level and name[0] == "Z" else 1.0
    )


def write_observed(path: Path, systems=("full", "gfs", "era5", "climatology")) -> None:
    """Departures of systems from soundings, occultations and stations, of both samples."""
    channels_by_source = {
        "radiosondes": [f"{v}{level}" for v in "ZTUVR" for level in (100, 500, 850)],
        "gnssro": ["refractivity_10000", "refractivity_20000"],
        "land_stations": ["T2M", "PS", "R2M"],
        "noaa20_atms": ["1", "2"],
    }
    rows = [
        {
            "source": source,
            "channel": channel,
            "unit": "%" if source == "gnssro" else "K",
            "region": region,
            "sample": sample,
            "system": system,
            "lead_time": lead,
            "n": 100,
            "bias": 0.1 * i,
            "rmse": 1.0 + i + lead / 24,
            "main_bias": 0.0,
            "main_rmse": 1.0 + lead / 24,
            "sum": 10.0 * i,
            "squares": 100 * (1.0 + i + lead / 24) ** 2,
            "main_sum": 0.0,
            "main_squares": 100 * (1.0 + lead / 24) ** 2,
        }
        for source, names in channels_by_source.items()
        for channel in names
        for region in ("global", "tropics")
        for sample in ("assimilated", *(["withheld"] if source == "radiosondes" else []))
        for i, system in enumerate(systems)
        for lead in (0, 24, 120)
    ]
    schema = observation_scores.SCHEMA
    tables.write_parquet(path, pd.DataFrame(rows, columns=schema.names), schema)


def write_cyclones(root: Path, systems=("full", "gfs"), storms=("ONE", "TWO", "THREE")) -> None:
    """Tracks of storms that drift off the best tracks, across the date line, and their scores."""
    leads = np.arange(6, 73, 6)
    tracks, best = [], []
    for number, name in enumerate(storms):
        storm = f"2023004N1517{number}"
        times = [TEST_START + timedelta(hours=int(6 * step)) for step in range(20)]
        hours = 6.0 * np.arange(20)
        about = {"storm": storm, "name": name, "basin": "WP"}
        place = {"lat": 15.0 + 5 * number + hours / 24, "lon": 170.0 + hours / 5 + 9 * number}
        best.append(
            pd.DataFrame({**about, "time": times, **place, "wind": 30.0, "pressure": 980.0})
        )
        for i, system in enumerate(systems):
            for init in times[:5:2]:
                since = (init - TEST_START).total_seconds() / 3600 + leads
                rows = {
                    "lead_time": leads,
                    "valid_time": [init + timedelta(hours=int(lead)) for lead in leads],
                    "lat": 15.0 + 5 * number + since / 24 + (1 + i) * leads / 60,
                    "lon": 170.0 + since / 5 + 9 * number,
                    "pressure": 985.0,
                    "wind": 25.0 + i,
                    "end": "",
                }
                tracks.append(pd.DataFrame({"system": system, **about, "init_time": init, **rows}))
    table = pd.concat(tracks, ignore_index=True)[list(forecast_tracks.COLUMNS)]
    cases = errors.match(table, pd.concat(best, ignore_index=True), [int(lead) for lead in leads])
    tables.write_parquet(root / "errors.parquet", cases)
    scores = errors.score(cases, list(systems), samples=50, seed=0)
    tables.write_parquet(root / "cyclone_scores.parquet", scores)


def smooth(rng: np.random.Generator, grid: Grid, count: int = 4) -> np.ndarray:
    """A field ``(lat, lon)`` of a few waves, of unit amplitude."""
    lat, lon = np.deg2rad(grid.lat)[:, None], np.deg2rad(grid.lon)[None, :]
    waves = [
        rng.normal() * np.cos(lat) * np.sin(k * lon + rng.uniform(0, 6) + 3 * lat)
        for k in range(1, count + 1)
    ]
    return np.sum(waves, axis=0)


def _rows(
    experiment: str, system: str, reference: str, metric: str, leads, names, value, spread
) -> pd.DataFrame:
    value = np.asarray(value, float)[..., None]
    spread = np.broadcast_to(np.asarray(spread, float), value.shape[:2])[..., None]
    p_value = 2 * ndtr(-1.96 * np.abs(value) / spread) if "_vs_" in metric else None
    return score_table.score_rows(
        experiment=experiment,
        system=system,
        reference=reference,
        metric=metric,
        leads=leads,
        channels=names,
        regions=["global"],
        value=value,
        n=np.full(value.shape, 20),
        ci_low=value - spread,
        ci_high=value + spread,
        n_effective=np.full(value.shape, 12.0),
        p_value=p_value,
    )


def write_scores(
    path: Path, leads=range(6, 241, 6), experiments=("full", "no_observations")
) -> None:
    """A score table: fuxiflow better than persistence, worse than GFS early on, near it later."""
    names, analysed = channels.channel_table().names, channels.channel_table().analysed.names
    leads = np.asarray(leads)
    norm = np.array([scale(name) for name in names])
    days = leads[:, None] / 24
    growth = {
        "fuxiflow": 1 - np.exp(-(days + 0.35) / 2.2),
        "gfs": 1 - np.exp(-(days + 0.2) / 2.0),
        "persistence": 1.3 * (1 - np.exp(-(days + 0.3) / 1.0)),
        "climatology": 0.95 + 0 * days,
    }
    frames = []
    for reference in ("era5", "truth"):
        for system, shape in growth.items():
            own = system in ("fuxiflow", "persistence")
            for experiment in experiments if own else (score_table.BASELINE,):
                worse = 1.25 if experiment == "no_observations" else 1.0
                frames.append(
                    _rows(
                        experiment,
                        system,
                        reference,
                        "rmse",
                        leads,
                        names,
                        shape * worse * norm,
                        0.04 * norm,
                    )
                )
                if system != "climatology":
                    frames.append(
                        _rows(
                            experiment,
                            system,
                            reference,
                            "acc",
                            leads,
                            names,
                            (1 - shape**2 / 1.7) * np.ones(norm.size),
                            0.02,
                        )
                    )
        for system, ratio in (("fuxiflow", 0.8), ("gfs", 0.9), ("persistence", 1.0)):
            for metric, unit in (("activity", 3 * norm), ("activity_ratio", np.ones(norm.size))):
                frames.append(
                    _rows(
                        "full" if system != "gfs" else score_table.BASELINE,
                        system,
                        reference,
                        metric,
                        leads,
                        names,
                        ratio * unit * np.ones((leads.size, 1)),
                        0.02 * unit,
                    )
                )
        ratio = growth["fuxiflow"] / growth["gfs"] - 1 + 0.05 * np.sin(np.arange(norm.size))
        for experiment in experiments:
            frames.append(
                _rows(experiment, "fuxiflow", reference, "rmse_vs_gfs", leads, names, ratio, 0.03)
            )
            frames.append(
                _rows(
                    experiment, "fuxiflow", reference, "acc_vs_gfs", leads, names, -ratio / 5, 0.004
                )
            )
            less = np.full((1, len(analysed)), -2 / 3)
            if experiment == "full" and "no_observations" in experiments:
                paired = "rmse_vs_no_observations"
                frames.append(
                    _rows(experiment, "fuxiflow", reference, paired, [0], analysed, less, 0.05)
                )
            for metric, size in (("rmse", 0.25), ("background_rmse", 0.33), ("bias", -0.1)):
                worse = 3.0 if experiment == "no_observations" else 1.0
                frames.append(
                    _rows(
                        experiment,
                        "fuxiflow",
                        reference,
                        metric,
                        [0],
                        analysed,
                        size * worse * norm[None, :-1],
                        0.01 * norm[:-1],
                    )
                )
        for metric, size in (("rmse", 0.18), ("bias", 0.05)):
            frames.append(
                _rows(
                    score_table.BASELINE,
                    "gfs",
                    reference,
                    metric,
                    [0],
                    analysed,
                    size * norm[None, :-1],
                    0.01 * norm[:-1],
                )
            )
    for metric, size in (("rmse", 0.08), ("bias", 0.06)):
        frames.append(
            _rows(
                score_table.BASELINE,
                "era5",
                "truth",
                metric,
                [0],
                analysed,
                size * norm[None, :-1],
                0.005 * norm[:-1],
            )
        )
    # a region has the scores of the globe
    frames += [
        frame.assign(region=pd.Categorical(["central_africa"] * len(frame)))
        for frame in frames
        if frame["metric"].iloc[0] in ("rmse", "acc")
    ]
    for metric, size in (("rmse_vs_gfs", -0.1), ("acc_vs_gfs", 0.02)):
        ratio = size * np.sin(np.arange(leads.size * norm.size).reshape(leads.size, -1))
        frames.append(_rows("full", "fuxiflow", "own", metric, leads, names, ratio, 0.03))
    score_table.write_scores(path, score_table.concatenate_scores(frames))


def write_cycle(
    directory: Path, experiment: str = "full", days: int = 12, outage: bool = True
) -> None:
    """``cycle.parquet`` and ``observations.parquet`` of an experiment, with one outage of a day."""
    rng = np.random.default_rng(len(experiment))
    times = [START + timedelta(hours=6 * i) for i in range(4 * days)]
    rows, counts = [], []
    for i, time in enumerate(times):
        quiet = outage and 4 * days - 12 <= i < 4 * days - 8
        if experiment == "full":
            counts.append(
                (experiment, time, "noaa20_atms", 300 if quiet else int(9000 + 500 * rng.normal()))
            )
        for reference in ("era5", "truth"):
            for name in ("Z500", "T500", "T850", "U500", "MSL"):
                level = (
                    0.3 + 0.8 * np.exp(-i / 6)
                    if experiment == "full"
                    else 0.5 + 0.5 * (1 - np.exp(-i / 12))
                )
                level = scale(name) * level * (1.15 if quiet else 1) * (1 + 0.04 * rng.normal())
                for array, factor in (
                    ("analysis", 1.0),
                    ("background", 1.25),
                    ("climatology", 1.5),
                ):
                    rows.append(
                        (experiment, time, array, reference, name, factor * level, 0.1 * level)
                    )
    directory.mkdir(parents=True, exist_ok=True)
    cycle = pd.DataFrame(
        rows, columns=["experiment", "time", "array", "reference", "channel", "rmse", "bias"]
    )
    tables.write_parquet(directory / "cycle.parquet", cycle)
    frame = pd.DataFrame(counts, columns=["experiment", "time", "source", "n"])
    frame = frame.astype(
        {"experiment": "str", "time": "datetime64[ns]", "source": "str", "n": "int64"}
    )
    tables.write_parquet(directory / "observations.parquet", frame)


def write_filter_response(path: Path, waves: int = 12) -> None:
    """``background_filter.parquet``: smooth spectra, of which more is lost in unseen samples."""
    wave = np.arange(waves + 1)
    frames = [
        pd.DataFrame(
            {
                "sample": sample,
                "wave": wave,
                "channel": name,
                "anomaly": 0.3 * np.exp(-wave / 3),
                "anomaly_lost": factor * wave / 30,
                "error": 0.01 * np.exp(-wave / 6),
                "error_left": np.exp(-factor * wave / 6),
            }
        )
        for sample, factor in (("fitted", 1.0), ("independent", 2.0))
        for name in ("Z500", "T850", "U500", "R500", "MSL")
    ]
    tables.write_parquet(path, pd.concat(frames, ignore_index=True))


def write_jacobians(path: Path) -> None:
    """Write a Jacobian table of twelve channels that peak at twelve levels, in two variables."""
    pressure = np.geomspace(10, 1000, 12)
    rows = pd.MultiIndex.from_product(
        [[0], 101 + np.arange(12), ["humidity", "temperature"], pressure],
        names=["profile", "channel", "variable", "pressure"],
    ).to_frame(index=False)
    number = rows["channel"] - 101
    distance = np.log(rows["pressure"]) - np.log(pressure)[number]
    seen = (rows["variable"] == "temperature") == (number < 8)
    rows["wavenumber"] = 645 + (rows["channel"] - 1) / 4
    rows["noise"] = 0.2 + 0.01 * number
    rows["background_std"] = 1.0
    rows["jacobian"] = np.where(seen, np.exp(-(distance**2)), 0.0)
    tables.write_parquet(path, rows)


def write_seeds(path: Path, leads=(6, 24, 48)) -> None:
    """Write the spread over two seeds, of which the second is a tenth worse."""
    experiments = ("full", "full_seed2")
    scores_path = path.with_name("seeds_scores.parquet")
    write_scores(scores_path, leads, experiments)
    scores = score_table.read_scores(scores_path).astype(dict.fromkeys(score_table.TEXTS, str))
    second = scores["experiment"] == experiments[1]
    scores["value"] = scores["value"].where(~second, 1.1 * scores["value"])
    tables.write_parquet(path, seed_spread(scores, {experiments[0]: experiments}))


def write_structure(root: Path, leads=(0, 24, 120), waves: int = 12) -> None:
    """``spectra.parquet`` and ``balance.parquet`` of two systems, which grow smooth and unbalanced.

    They are of cases whose power falls with the third power of the wavenumber.
    """
    shape = (2, len(leads), 2, len(structure.SPECTRA), len(structure.POWERS), waves + 1)
    power = np.maximum(np.arange(waves + 1), 1.0) ** -3
    day = np.array(leads)[:, None, None, None, None] / 24
    factor = np.array([1.0, 1.1, 0.2])[:, None] * np.exp(-0.1 * day * [[[[1.0], [0.0], [-2.0]]]])
    residuals = np.ones((*shape[:3], len(structure.RESIDUALS), len(structure.SQUARES)))
    residuals *= 1 + np.array(leads)[:, None, None, None] / 24
    cases = xr.Dataset(
        {
            "spectra": (
                ("time", "lead_time", "system", "spectrum", "power", "wavenumber"),
                np.broadcast_to(factor * power, shape),
            ),
            "residuals": (("time", "lead_time", "system", "residual", "square"), residuals),
        },
        coords={"lead_time": list(leads), "system": np.array(["full", "gfs"], object)},
    )
    for name in ("spectra", "balance"):
        table = getattr(structure, f"{name}_table")(cases, "truth")
        tables.write_parquet(root / f"{name}.parquet", table)


def write_maps(
    path: Path, grid: Grid, leads=(24, 72, 120), names=("Z500", "T850", "U850", "MSL")
) -> None:
    """Error maps of five forecasts against ERA5 and the truth."""
    rng = np.random.default_rng(3)
    maps = ErrorMaps(["era5", "truth"], list(leads), list(names), list(names), grid)
    for reference in ("era5", "truth"):
        for lead in leads:
            mean = np.stack(
                [smooth(rng, grid).ravel() * scale(name) * lead / 240 for name in names]
            )
            for _ in range(5):
                maps.add(
                    reference, lead, mean + 0.1 * rng.normal(size=mean.shape), np.zeros_like(mean)
                )
    maps.write(path)


def write_states_and_analyses(root: Path, grid: Grid) -> None:
    """Write ERA5, the truth and analyses at :data:`CASE`.

    The increment takes away two thirds of the background's error.
    """
    rng = np.random.default_rng(5)
    table = channels.channel_table().analysed
    size = np.array([scale(name) for name in table.names])[:, None, None]
    truth = np.stack([smooth(rng, grid) for _ in table]) * size * 5 + 1000.0
    error = np.stack([smooth(rng, grid, 7) for _ in table]) * size
    noise = np.stack([smooth(rng, grid, 9) for _ in table]) * size
    write_states(root / "truth.zarr", [CASE], table, grid, [truth])
    write_states(root / "era5.zarr", [CASE], table, grid, [truth + 0.1 * noise])
    background = truth + error
    write_states(
        root / "analyses.zarr",
        [CASE],
        table,
        grid,
        {"analysis": [background - 0.65 * error + 0.2 * noise], "background": [background]},
    )


def response(places: int = 3) -> Response:
    """Make an answer that is largest at 400 hPa and half as large in the cells beside.

    Its Jacobian is 0.1 K/K.
    """
    level = np.array([50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000])
    profile = np.exp(-(np.log(level / 400) ** 2))
    near = np.zeros((13, 5, 5))
    near[:, 2, 1:4] = profile[:, None] * [0.5, 1, 0.5]
    return Response(
        analysis_time=CASE.isoformat(),
        source="noaa20_atms",
        channel="7",
        kelvin=5.0,
        cell=(22.5, 22.5),
        level=level,
        lat=np.zeros(places),
        lon=np.arange(places),
        hour=np.full(places, 0.5),
        zenith=np.full(places, 20.0),
        response=np.arange(1, places + 1)[:, None] * profile,
        jacobian=np.full((places, 13), 0.1),
        followed=np.full(places, 0.8),
        around=near,
    )


def write_grids(path: Path, grid: Grid, empty: bool = False) -> None:
    """One day of sparse grids, about :data:`CASE`, of a swath that moves west."""
    hours = 24
    start = CASE - timedelta(hours=12)
    with SparseWriter(path, "noaa20_atms", ["1", "2"], ["K", "K"], grid, start, hours) as writer:
        for hour in range(0 if not empty else hours, hours):
            centre = (360 - 25.0 * hour) % 360
            away = np.abs(
                (grid.lon[None, :] - centre + 40 * np.sin(np.deg2rad(grid.lat))[:, None] + 180)
                % 360
                - 180
            )
            cell = np.flatnonzero(
                away.ravel() < 14 / np.maximum(np.cos(np.deg2rad(grid.lat)), 0.1).repeat(grid.nlon)
            )
            writer.write(
                hour,
                cell,
                np.full((cell.size, 2), 250.0),
                np.zeros(cell.size),
                np.zeros((cell.size, 2)),
                np.ones(cell.size, int),
            )
