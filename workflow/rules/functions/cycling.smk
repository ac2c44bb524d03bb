"""What the rules of the cycling stage look up: networks, starting points, grids and analyses."""


def cycling_checkpoint(wildcards):
    """The networks that an experiment runs with."""
    return f"{RESULTS}/models/{CONFIG.weights_of(wildcards.experiment)}/joint.ckpt"


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


def cycling_near_analyses(wildcards):
    """Analyses of a segment and the one before: a forecast starts from two."""
    labels = CONFIG.segments(CONFIG.cycling_period)
    position = labels.index(wildcards.segment)
    near = labels[max(position - 1, 0) : position + 1]
    return expand(f"{RESULTS}/analyses/{wildcards.experiment}/{{segment}}.zarr", segment=near)


def cycling_accelerator(wildcards):
    """Where an experiment's networks run."""
    return CONFIG.resolve(wildcards.experiment).training.accelerator
