"""Reasons, down to the key, the function or the file."""

from dataclasses import replace

import pytest

from fuxiflow.runtime import explain, records
from fuxiflow.runtime.snakemake_internals import PlannedJob

JOB = PlannedJob(
    "some_rule",
    {"source": "atms"},
    {"max_z": 5, "stage": {"updates": 4, "noise": 1}},
    ["in/1"],
    ["out/a"],
    "results/x/logs/some_rule/atms.log",
    True,
    [],
    [],
    False,
    False,
    set(),
    set(),
)
RECORD = {
    "rule": "some_rule",
    "outputs": ["out/a"],
    "inputs": ["in/1"],
    "params": {"max_z": "6", "stage": "{'updates': 4, 'noise': 1}"},
}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("6", "5", ["setting x: 6 → 5"]),
        ("'a'", "'b'", ["setting x: 'a' → 'b'"]),
        ("{'a': {'b': 1, 'c': 2}}", "{'a': {'b': 1, 'c': 3}}", ["setting x.a.c: 2 → 3"]),
        ("{'a': 1}", "{'b': 1}", ["setting x.a: gone, was 1", "setting x.b: new, 1"]),
        (
            "['2022-01-01', '2022-01-31']",
            "['2022-01-01', '2022-02-01']",
            ["setting x[1]: '2022-01-31' → '2022-02-01'"],
        ),
        ("[1]", "[1, 2]", ["setting x: [1] → [1, 2]"]),
        (None, "1", ["setting x: new, 1"]),
        ("1", None, ["setting x: gone, was 1"]),
        ("<an object>", "<another>", ["setting x: '<an object>' → '<another>'"]),
    ],
)
def test_changes_of_settings(old, new, expected):
    assert explain.setting_changes("x", old, new) == expected


def test_long_values_are_cut():
    assert all(
        len(line) < 200 for line in explain.setting_changes("x", repr("a" * 1000), repr("b" * 1000))
    )


def test_changes_of_code():
    old = {"a.py": {"f()": "1", "g()": "1"}, "b.py": {"f()": "1"}, "t.csv": {"contents": "1"}}
    new = {"a.py": {"f()": "2", "h()": "1"}, "c.py": {"f()": "1"}, "t.csv": {"contents": "2"}}
    assert explain.code_changes(old, new) == [
        "code a.py: f() changed, g() is gone, h() is new",
        "code b.py: no longer used",
        "code c.py: used now",
        "code t.csv: contents changed",
    ]
    assert explain.code_changes(None, new) == ["code: of what it was before, no record is kept"]


def test_causes_from_a_record(tmp_path):
    assert explain.causes(JOB, RECORD, tmp_path) == ["setting max_z: 6 → 5"]
    assert explain.causes(
        replace(JOB, inputs=["in/2"], params={"max_z": 6, "stage": {"updates": 4, "noise": 1}}),
        RECORD,
        tmp_path,
    ) == ["reads in/2 too", "no longer reads in/1"]
    assert explain.causes(replace(JOB, missing=["out/a"]), RECORD, tmp_path) == [
        "a product is missing"
    ]
    assert (
        explain.causes(replace(JOB, newer=["in/1"]), RECORD, tmp_path)[0]
        == "in/1 is newer than the products"
    )
    assert explain.causes(JOB, RECORD | {"params": {}}, tmp_path) == ["its last run was cut short"]


def test_causes_without_a_record_are_what_snakemake_knows(tmp_path):
    assert explain.causes(JOB, None, tmp_path) == []
    assert explain.causes(replace(JOB, before={"6"}, now={"5"}), None, tmp_path) == [
        "setting max_z: now 5"
    ]
    assert explain.causes(replace(JOB, before={"6"}), None, tmp_path) == [
        "a parameter it no longer has"
    ]
    assert explain.causes(replace(JOB, environment_changed=True), None, tmp_path) == [
        "its environment under envs/"
    ]


def test_the_report_puts_reasons_first_and_followers_after(tmp_path):
    records.write_record(
        tmp_path / "logs/some_rule/atms.log",
        "some_rule",
        {"max_z": 6, "stage": JOB.params["stage"]},
        JOB.inputs,
        JOB.outputs,
        True,
    )
    follower = replace(JOB, rule="follower", outputs=["out/b"], wildcards={})
    spared = replace(JOB, rule="spared", outputs=["out/c"], needed=False)
    assert explain.report([JOB, follower, spared], tmp_path / "records").splitlines() == [
        "2 of 3 jobs would run",
        "",
        "setting max_z: 6 → 5",
        "    so these run:",
        "    some_rule (atms)",
        "",
        "and these, because what they read is made anew:",
        "    follower",
        "",
        "these do not run:",
        "    spared",
    ]


def test_nothing_and_everything(tmp_path):
    assert explain.report([replace(JOB, needed=False)], tmp_path).startswith("nothing would run")
    assert explain.report([replace(JOB, missing=["out/a"])], tmp_path).startswith(
        "nothing has been made yet: all 1"
    )
