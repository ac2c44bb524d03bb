"""Status of a run: logs followed, times estimated, failures explained, the page."""

import io
import logging
import os
from types import SimpleNamespace

import pandas as pd
import pytest

from fuxiflow.progress import Progress
from fuxiflow.runtime import failure_hints, job_benchmarks, skill_so_far, status_page
from fuxiflow.runtime.log_tail import MOST_POINTS, Tail, parse_progress
from fuxiflow.runtime.monitor import Monitor
from fuxiflow.runtime.run_state import Job, Run
from fuxiflow.storage import tables

HEAD = "2026-11-21 07:48:27,388 INFO fuxiflow: "


def test_what_progress_writes_is_understood(caplog):
    caplog.set_level(logging.INFO)
    report = Progress(60, "joint", logging.getLogger("fuxiflow"), every=0, done=25)
    report.step("loss 2.9093")
    report.step()
    told = [parse_progress(HEAD + record.message) for record in caplog.records]
    assert [(one.label, one.done, one.total, one.note) for one in told] == [
        ("joint", 26, 60, "loss 2.9093"),
        ("joint", 27, 60, ""),
    ]
    assert parse_progress(HEAD + "nature run, half days: 94/180, 1:02:03 left").left == 3723
    for line in (
        "",
        HEAD + "granules: 524 in 0:00:40",
        "Traceback",
        HEAD + "scores of fuxiflow against own",
    ):
        assert parse_progress(line) is None


def test_a_tail_reads_what_is_new(tmp_path):
    path = tmp_path / "a.log"
    tail = Tail(path)
    tail.update()
    assert tail.progress is None
    path.write_text(f"{HEAD}joint: 1/9, 0:00:08 left, loss 3.5\n{HEAD}joint: 2/9, 0:0")
    tail.update()
    assert tail.progress.done == 1
    with path.open("a") as file:
        file.write("0:07 left, loss 2.5\n")
    tail.update()
    assert (tail.progress.done, tail.progress.left) == (2, 7)
    assert tail.losses == [(1, 3.5), (2, 2.5)]
    path.write_text("begun anew\n")
    tail.update()
    assert tail.progress is None
    assert tail.losses == []


def test_losses_are_thinned_and_keep_their_ends(tmp_path):
    path = tmp_path / "a.log"
    path.write_text(
        "".join(f"{HEAD}joint: {i}/5000, 0:00:08 left, loss {i}\n" for i in range(1, 5001))
    )
    tail = Tail(path)
    tail.update()
    assert len(tail.losses) <= MOST_POINTS
    assert tail.losses[0] == (1, 1)
    assert tail.losses[-1] == (5000, 5000)


DIVERGED = (
    "fuxiflow.training.trainer.TrainingError: joint: 21 updates with a non-finite loss; "
    "lower the learning rate"
)


@pytest.mark.parametrize(
    ("lines", "says", "remedy"),
    [
        (
            [
                HEAD.replace("INFO", "ERROR") + "training_joint failed: x",
                "Traceback (most recent call last):",
                DIVERGED,
            ],
            DIVERGED,
            "training diverged",
        ),
        (
            ["torch.OutOfMemoryError: CUDA out of memory."],
            "torch.OutOfMemoryError",
            "a smaller batch",
        ),
        (
            ["slurmstepd: error: *** JOB 7 ON n1 CANCELLED DUE TO TIME LIMIT ***"],
            "*** JOB 7",
            "raise runtime",
        ),
        (["OSError: [Errno 28] No space left on device"], "OSError", "free some space"),
        (["ModuleNotFoundError: No module named 'x'"], "ModuleNotFoundError", "under envs/"),
        ([HEAD + "joint: 8/60, 0:01:11 left, loss 2.9"], "", "killed from outside"),
        (["ValueError: the sky is green"], "ValueError: the sky is green", "read the log"),
        (
            ["RuntimeError: training.accelerator is cuda, but no CUDA device is visible to torch"],
            "RuntimeError",
            "no GPU where it ran",
        ),
        (["/bin/bash: /a: command not found"], "", "a program was not found"),
        (
            ["fuxiflow.completeness.IncompleteError: completeness.states: 4 of 48 times"],
            "fuxiflow.completeness.IncompleteError",
            "lower the key of completeness",
        ),
    ],
)
def test_remedies(tmp_path, lines, says, remedy):
    (tmp_path / "a.log").write_text("\n".join(lines) + "\n")
    found = failure_hints.diagnose(
        "training_joint", {"experiment": "full"}, ["a.log", "none.log"], folder=tmp_path
    )
    assert found.says.startswith(says)
    assert remedy in found.remedy
    assert "{rule}" not in found.remedy
    assert str(found).splitlines()[0] == "FAILED   training_joint (experiment=full)"


def test_a_job_without_a_log_never_began(tmp_path):
    said = "Command 'python x.py' returned non-zero exit status 127."
    failure = failure_hints.diagnose("figure_system", {}, ["a.log"], said, folder=tmp_path)
    assert "make setup" in failure.remedy
    failure = failure_hints.diagnose("figure_system", {}, ["a.log"], "", folder=tmp_path)
    assert "its script never began" in failure.remedy


def test_logs_of_earlier_attempts_are_named(tmp_path):
    for name in ("a.log", "a.log.1", "a.log.2"):
        (tmp_path / name).write_text("ValueError: x\n")
    failure = failure_hints.diagnose("figure_system", {}, ["a.log"], folder=tmp_path)
    assert failure.earlier == ("a.log.1", "a.log.2")
    assert "  before a.log.1" in str(failure).splitlines()


def test_what_slurm_says_counts_where_the_log_is_silent(tmp_path):
    said = (
        "SLURM-job '7' failed, SLURM status is: 'OUT_OF_MEMORY'. "
        "For further error details see the log"
    )
    found = failure_hints.diagnose("cycling_analyses", {}, ["gone.log"], said, True, tmp_path)
    assert "--set-resources cycling_analyses:mem_mb" in found.remedy
    assert found.says.startswith("SLURM-job '7'")
    assert str(found).splitlines()[0] == "FAILED   cycling_analyses, tried again"


def test_benchmarks_are_read_with_what_was_not_measured(tmp_path):
    for name, text in {
        "rule_a/x.tsv": "s\tmax_rss\tcpu_time\n4.0\t100\t3\n",
        "rule_a/y/z.tsv": "s\tmax_rss\n6\tNA\n",
        "rule_b.tsv": "s\n1\n9\n",
        "rule_c.tsv": "",
        "rule_d.tsv": "s\n-\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = job_benchmarks.read_benchmarks(tmp_path)
    assert [(one.rule, one.wildcards, one.seconds) for one in found] == [
        ("rule_a", "x", 4),
        ("rule_a", "y/z", 6),
        ("rule_b", "", 9),
    ]
    assert job_benchmarks.typical_seconds(found) == {"rule_a": 5, "rule_b": 9}
    assert found[1].peak_mb != found[1].peak_mb
    assert job_benchmarks.benchmark_seconds(tmp_path / "rule_a/x.tsv") == 4
    assert job_benchmarks.benchmark_seconds(tmp_path / "rule_c.tsv") is None
    assert job_benchmarks.benchmark_seconds(tmp_path / "none.tsv") is None


@pytest.fixture
def run(tmp_path):
    jobs = [
        Job(1, "world_nature", {"segment": "2022-01"}, "results/x/logs/a.log", needs={"_cores": 1}),
        Job(
            2,
            "world_nature",
            {"segment": "2022-02"},
            "results/x/logs/b.log",
            after=(1,),
            needs={"_cores": 1},
        ),
        Job(
            3,
            "training_joint",
            {"experiment": "full"},
            "results/x/logs/c.log",
            after=(2,),
            needs={"_cores": 1},
        ),
        Job(4, "figure_system", planned=False, state="done"),
        Job(5, "all", after=(3, 4), target=True),
    ]
    (tmp_path / "results/x/logs").mkdir(parents=True)
    return Run(
        "x",
        tmp_path,
        {job.id: job for job in jobs},
        {"world_nature": 100.0},
        {"_cores": 2},
        started=1000.0,
    )


def log(run, number, text, now):
    path = run.folder / run.jobs[number].log
    path.write_text(text)
    os.utime(path, (now, now))


def test_the_time_that_is_left(run):
    assert run.estimate(1000).seconds == 200
    assert run.estimate(1000).unknown == 1
    run.begin(1, 1000)
    run.look(1005)
    assert run.queued(run.jobs[1])
    log(run, 1, "begun\n", 1010)
    run.look(1010)
    assert run.estimate(1050).seconds == 60 + 100
    log(run, 1, f"{HEAD}nature run: 1/4, 0:00:30 left\n", 1050)
    run.look(1050)
    assert run.estimate(1050).seconds == 130
    run.finish(1, 1060)
    assert run.estimate(1060).seconds == 60, (
        "this run's own 60 s count more than what earlier ones took"
    )


def test_a_benchmark_tells_the_time_better_than_waiting_in_a_queue(run):
    run.jobs[1].benchmark = "b.tsv"
    (run.folder / "b.tsv").write_text("s\n7\n")
    run.begin(1, 1000)
    run.finish(1, 5000)
    assert run.expected("world_nature") == 7


def test_failed_jobs_and_what_waits_for_them_take_no_time(run):
    run.begin(2, 1000)
    run.drop(2, False, 1010)
    assert run.estimate(1010).seconds == 100
    assert run.counts() == {
        "waiting": 2,
        "submitted": 0,
        "done": 1,
        "failed": 1,
        "total": 4,
        "planned": 3,
    }
    run.end(False, 1020)
    assert run.outcome == "failed"


def test_counts_go_by_stage_without_targets(run):
    assert {stage: len(jobs) for stage, jobs in run.stages().items()} == {
        "world": 2,
        "training": 1,
        "figures": 1,
    }


def event(name, **values):
    return SimpleNamespace(event=name, **values)


def test_a_run_in_the_terminal_and_on_the_page(run):
    said = io.StringIO()
    output = run.folder / "results/x/status.html"
    again = {3}.__contains__
    monitor = Monitor(run, output, again, stream=said)
    monitor.write_page(1000)
    assert 'http-equiv="refresh"' in output.read_text()
    assert "<h2>Losses</h2>" not in output.read_text()
    monitor.take("job_info", event("job_info", jobid=3), 1000)
    log(
        run,
        3,
        f"{HEAD}joint: 1/9, 0:00:09 left, loss 3.5\n{HEAD}joint: 2/9, 0:00:07 left, loss <2.5>\n"
        f"{HEAD}joint: 3/9, 0:00:06 left, loss 2.25\n",
        1001,
    )
    monitor.look()
    assert monitor.line(1001) == "1/4 jobs, left: about 0:03:20; training_joint full 3/9, loss 2.25"
    text = output.read_text()
    for part in (
        "joint 3/9<br>loss 2.25",
        "training_joint full: loss 2.25 at 3",
        'href="logs/c.log"',
        "<polyline",
        "1 of 4 jobs done (1 were there already)",
    ):
        assert part in text
    log(run, 3, "x.TrainingError: <b>lower the learning rate\n", 1002)
    monitor.take(
        "job_error",
        event(
            "job_error",
            jobid=3,
            rule_name="training_joint",
            rule_msg=None,
            log=["results/x/logs/c.log"],
        ),
        1003,
    )
    assert "FAILED   training_joint (experiment=full), tried again" in said.getvalue()
    assert run.jobs[3].state == "waiting"
    monitor.take("job_info", event("job_info", jobid=3), 1004)
    monitor.take("job_finished", event("job_finished", job_id=3), 1005)
    monitor.end(True)
    monitor.end(False)
    text = output.read_text()
    assert ">finished</span>" in text
    assert "http-equiv" not in text
    assert "&lt;b&gt;lower" in text
    assert "1 failed:" not in said.getvalue()


def test_of_a_group_those_are_told_whose_logs_have_an_error(run):
    said = io.StringIO()
    monitor = Monitor(run, run.folder / "results/x/status.html", stream=said)
    log(run, 1, "all is well\n", 1001)
    log(run, 2, "ValueError: no\n", 1001)
    members = [
        {"jobid": job.id, "rule_name": job.rule, "log": [job.log]}
        for job in list(run.jobs.values())[:3]
    ]
    monitor.take(
        "group_error",
        event("group_error", groupid="g", aux_logs=["slurm.log"], job_error_info=members),
        1002,
    )
    for one in members:
        monitor.take("job_error", event("job_error", **one, rule_msg=None, indent=True), 1002)
    assert [failure.name for failure in run.failures] == ["world_nature (segment=2022-02)"]
    assert run.failures[0].logs == ("results/x/logs/b.log", "slurm.log")
    assert run.counts()["failed"] == 3
    assert said.getvalue().count("FAILED") == 1


def test_an_event_that_cannot_be_told_ends_nothing(run, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    monitor = Monitor(run, run.folder / "results/x/status.html", stream=io.StringIO())
    monitor.emit(logging.makeLogRecord({"event": "job_error"}))
    monitor.emit(logging.makeLogRecord({"msg": "no event"}))


def test_jobs_never_timed_are_counted(run):
    run.typical.clear()
    assert status_page.remaining(run, 1000) == "3 jobs not timed before"


def test_skill_is_that_of_the_truth_where_there_is_one(tmp_path):
    def write(kind, rows):
        path = tmp_path / "scores" / "full" / f"{kind}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = ["system", "reference", "metric", "lead_time", "value"]
        frame = pd.DataFrame(rows, columns=columns).assign(channel="Z500", region="global")
        tables.write_parquet(path, frame)

    assert skill_so_far.read_skill(tmp_path) == []
    write(
        "analyses",
        [
            ("fuxiflow", "era5", "rmse", 0, 9.0),
            ("fuxiflow", "truth", "rmse", 0, 100.0),
            ("fuxiflow", "truth", "background_rmse", 0, 120.0),
        ],
    )
    write(
        "forecasts",
        [
            ("fuxiflow", "era5", "rmse", 24, 200.0),
            ("fuxiflow", "era5", "rmse_vs_gfs", 24, -0.1),
            *(
                ("fuxiflow", "era5", "acc", 6 * i, value)
                for i, value in enumerate((0.9, 0.7, 0.5, 0.8), 1)
            ),
        ],
    )
    assert [(one.what, one.value) for one in skill_so_far.read_skill(tmp_path)] == [
        ("Z500 RMSE of analyses against truth", "100 (background 120)"),
        ("Z500 RMSE at 24 h against era5", "200 (10% below GFS)"),
        ("Z500 ACC at least 0.6 against era5", "to 12 h"),
    ]
    (tmp_path / "scores/full/analyses.parquet").write_bytes(b"")
    assert len(skill_so_far.read_skill(tmp_path)) == 2


def test_the_device_in_use_is_no_reason_of_a_failure(tmp_path):
    (tmp_path / "a.log").write_text(
        "2026-01-01 00:00:00,000 INFO fuxiflow: device: the processor, as no CUDA device is "
        "visible\n2026-01-01 00:00:01,000 ERROR fuxiflow: a failed: something else\n"
        "ValueError: something else\n"
    )
    assert failure_hints.diagnose("a", {}, ["a.log"], folder=tmp_path).remedy == (
        failure_hints.UNKNOWN
    )


def test_a_silent_log_on_a_full_disk_is_no_matter_of_memory(tmp_path, monkeypatch):
    (tmp_path / "a.log").write_text("")
    usage = type("Usage", (), {"free": 4096})
    monkeypatch.setattr("fuxiflow.runtime.failure_hints.shutil.disk_usage", lambda path: usage)
    assert failure_hints.diagnose("a", {}, ["a.log"], folder=tmp_path).remedy == failure_hints.FULL
