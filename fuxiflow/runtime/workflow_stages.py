"""The stages of the workflow, in its order; every rule's name starts with its stage."""

STAGES = (
    "world",
    "archive",
    "states",
    "observations",
    "simulation",
    "training",
    "cycling",
    "verification",
    "cyclones",
    "figures",
)


def stage_of(rule: str) -> str:
    """The stage of a rule."""
    stage = rule.split("_")[0]
    return "figures" if stage == "figure" else stage


def rank(stage: str) -> int:
    """Where a stage stands in the workflow; unknown ones come last."""
    return STAGES.index(stage) if stage in STAGES else len(STAGES)
