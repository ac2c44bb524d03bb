"""What a person sees of a real run: the page, and what is said of a failure."""

import re

import pytest


@pytest.fixture(scope="module")
def failed(pretended, tmp_path_factory):
    """A copy where two figures were drawn anew, of which one failed, as its scores are empty; and
    what was said.
    """
    copy = pretended.clone(tmp_path_factory.mktemp("failed") / "fuxiflow")
    for name in ("system", "cycling"):
        (copy.folder / f"results/test/figures/{name}.csv").unlink()
    return copy, copy.snakemake("--cores", "1", "--keep-going", check=False)


def test_a_failure_is_told_by_rule_log_and_remedy(failed):
    _, done = failed
    assert done.returncode != 0
    told = done.stdout[done.stdout.rindex("1 failed:") :].splitlines()
    assert told[1] == "FAILED   figure_cycling"
    assert told[2] == "  log    results/test/logs/figure_cycling/all.log"
    assert "DamagedError: results/test/scores/full/cycle.parquet: is empty; delete" in told[3]
    assert told[4].startswith("  remedy a product is damaged or gone: delete the one")
    assert told[5].startswith("  kept   the earlier product; this puts it back: fuxiflow restore ")
    assert told[6] == "all of it: results/test/status.html"


def test_the_page_shows_what_was_done_and_what_failed(failed):
    copy, _ = failed
    page = (copy.folder / "results/test/status.html").read_text()
    assert ">failed</span>" in page
    assert "were there already" in page
    assert "<b>figure_cycling</b>" in page
    assert 'href="logs/figure_cycling/all.log"' in page
    assert (copy.folder / "results/test/logs/figure_cycling/all.log").exists()
    assert "http-equiv" not in page
    assert not re.search(r"src=|https?://", page)


def test_the_next_run_draws_what_failed_and_what_waited_for_it(failed):
    copy, _ = failed
    assert copy.pending() == {"figure_cycling", "figure_costs"}


def test_a_dry_run_writes_no_page(pretended):
    assert not (pretended.folder / "results/test/status.html").exists()
