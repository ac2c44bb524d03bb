"""What the rules of the cycling stage look up: networks, starting points, grids and analyses."""

from datetime import timedelta

from fuxiflow import times
from fuxiflow.config import figure_inputs
from fuxiflow.config import network_sizes
from fuxiflow.config.base import Period


def cycling_networks(experiment, segment):
    """The networks that an experiment cycles a segment with: by default those of joint training, where each knows the
    other's errors, or as replay has updated them for the segment."""
    if (stage := CONFIG.analyses_after(experiment)) == "replay":
        return training_replayed(experiment, segment)
    return training_checkpoint(experiment, stage)


def cycling_checkpoint(wildcards):
    """The networks that a job's segment is cycled with."""
    return cycling_networks(wildcards.experiment, wildcards.segment)


def cycling_case_checkpoint(wildcards):
    """The networks that the case of the figures is cycled with."""
    return cycling_networks(wildcards.experiment, figure_inputs.case_segment(CONFIG))


def cycling_forecast_checkpoint(wildcards):
    """The networks that an experiment's forecasts are made with: by default those of its last training stage."""
    return training_checkpoint(wildcards.experiment, CONFIG.forecasts_after(wildcards.experiment))


def cycling_start(wildcards):
    """What a segment's cycle starts from: nothing in the first, the segment before in the others."""
    labels = CONFIG.segments(CONFIG.cycling_period)
    position = labels.index(wildcards.segment)
    if position == 0:
        return {}
    return {"carry": f"{RESULTS}/analyses/{wildcards.experiment}/{labels[position - 1]}.carry.pt"}


def cycling_grids(wildcards):
    """Sparse grids of a segment and its neighbours in the cycle: windows reach over a segment's ends."""
    labels = CONFIG.segments(CONFIG.cycling_period)
    position = labels.index(wildcards.segment)
    near = labels[max(position - 1, 0) : position + 2]
    sources = CONFIG.resolve(wildcards.experiment).sources
    return expand(f"{RESULTS}/grids/{{source}}/{{segment}}.zarr", source=sources, segment=near)


def cycling_case_grids(wildcards):
    """Sparse grids that the windows about the case of the figures touch."""
    near = figure_inputs.case_grids(CONFIG, CONFIG.resolve(wildcards.experiment).sources)
    return [
        f"{RESULTS}/grids/{source}/{segment}.zarr"
        for source, labels in near.items()
        for segment in labels
    ]


def cycling_case_analyses(wildcards):
    """Analyses of the case of the figures and, but for the first of the cycle, of 6 h before."""
    first = max(
        CONFIG.cycling_period.start, (CONFIG.case - timedelta(hours=times.STEP_HOURS)).date()
    )
    near = CONFIG.segments(Period(start=first, end=CONFIG.case.date()))
    return expand(f"{RESULTS}/analyses/{wildcards.experiment}/{{segment}}.zarr", segment=near)


def cycling_near_analyses(wildcards):
    """Analyses of a segment and the one before: a forecast starts from two."""
    labels = CONFIG.segments(CONFIG.cycling_period)
    position = labels.index(wildcards.segment)
    near = labels[max(position - 1, 0) : position + 1]
    return expand(f"{RESULTS}/analyses/{wildcards.experiment}/{{segment}}.zarr", segment=near)


def cycling_accelerator(wildcards):
    """Where an experiment's networks run."""
    return CONFIG.resolve(wildcards.experiment).training.accelerator


def cycling_forecaster(wildcards):
    """What makes an external experiment's forecasts: ONNX models, or the networks that it names."""
    forecaster = CONFIG.resolve(wildcards.experiment).forecaster
    return (
        {"onnx": forecaster.onnx}
        if forecaster
        else {"checkpoint": cycling_forecast_checkpoint(wildcards)}
    )


def cycling_cascade_steps(wildcards):
    """How many steps each model of an external forecaster is used for; none of networks."""
    forecaster = CONFIG.resolve(wildcards.experiment).forecaster
    return forecaster.steps if forecaster else 0


def cycling_initial_name(wildcards):
    """Whose analyses an experiment's forecasts start from: gfs, another experiment's, or its own."""
    return CONFIG.resolve(wildcards.experiment).initial or wildcards.experiment


def cycling_initial(wildcards):
    """What an external experiment's forecasts start from: GFS files, or an experiment's analyses."""
    initial = cycling_initial_name(wildcards)
    labels = CONFIG.segments(CONFIG.cycling_period)
    position = labels.index(wildcards.segment)
    near = labels[max(position - 1, 0) : position + 1]
    if initial == "gfs":
        return {"gfs": [states_raw(f"{RAW}/gfs/{label}") for label in near]}
    return {"analyses": [f"{RESULTS}/analyses/{initial}/{label}.zarr" for label in near]}


def cycling_mb(least, fields):
    """Memory in MB of a job that runs networks: ``least``, their weights, and ``fields`` states of all channels."""

    def mb(wildcards):
        weights = network_sizes.forecaster_weights_mb(
            CONFIG.resolve(wildcards.experiment).model.forecaster.model_dump()
        )
        return round(least + weights + fields * 70 * 4 * CONFIG.grid.nlat * CONFIG.grid.nlon / 1e6)

    return mb


def cycling_external_mb(wildcards):
    """Memory in MB: a full-size cascade holds 1.5 billion weights and what a step makes of them; a batch of states."""
    cells = CONFIG.grid.nlat * CONFIG.grid.nlon
    own = cycling_mb(4000, 0)(wildcards)
    model = 24000 if CONFIG.resolve(wildcards.experiment).forecaster and cells > 10**6 else own
    return model + 6 * CONFIG.cycling.batch * 70 * 4 * cells // 10**6
