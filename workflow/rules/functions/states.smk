"""What the rules of the states stage look up: segments, dates, raw inputs, memory."""

STATES_TRAINING = CONFIG.segments(CONFIG.periods.training)
STATES_VERIFICATION = CONFIG.segments(CONFIG.verification_period)
STATES_TEST = CONFIG.segments(CONFIG.periods.test)
STATES_TRUTH = STATES_VERIFICATION if CONFIG.kind == "embedded" else []


def states_dates(wildcards):
    """First and last day of a segment that some job reads: of training, or from the cold start on."""
    training = wildcards.segment in STATES_TRAINING
    period = CONFIG.periods.training if training else CONFIG.verification_period
    return dates(period, wildcards.segment)


def states_test_dates(wildcards):
    """First and last day of a segment that forecasts are verified from."""
    return dates(CONFIG.periods.test, wildcards.segment)


def states_raw(path):
    """A raw input; of a download only that it is there matters, not when it came."""
    return path if CONFIG.kind == "embedded" else ancient(path)


def states_mb(fields):
    """Memory in MB for a number of 70-channel states at once, above 2 GB for the rest."""
    return 2000 + fields * 70 * 4 * CONFIG.grid.nlat * CONFIG.grid.nlon // 1000000
