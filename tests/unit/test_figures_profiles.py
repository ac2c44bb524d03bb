"""Profiles of error: what the rows share, and that none of it is cut off."""

import pandas as pd

from fuxiflow.figures import analysis_error, style


def test_no_row_is_cut_at_the_limits_of_another():
    rows = [
        (reference, "analysis", "T", level, value, 0.9 * value, 1.1 * value, "K")
        for reference, largest in (("era5", 1.0), ("truth", 3.0))
        for level, value in ((500, 0.5), (1000, largest))
    ]
    table = pd.DataFrame(
        rows,
        columns=["reference", "line", "variable", "level", "value", "ci_low", "ci_high", "unit"],
    )
    figure = analysis_error.draw_profiles(table, {"analysis": style.Line("analysis", "C0", "-")})
    assert len(figure.axes) == 2
    for ax in figure.axes:
        low, high = ax.get_xlim()
        assert low == 0
        assert high >= 3.3
