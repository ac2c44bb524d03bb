"""The benchmark of the networks: arithmetic counted by hand, and that all of it runs where there is
no accelerator.
"""

import pytest
import torch

from benchmarks import accelerator


def test_a_forecast_step_of_tiny_counted_by_hand():
    d, cells, tokens, window = 32, 8 * 16, 4 * 8, 4 * 4
    embedding = cells * d * (69 * 2 * 2 * 2) + cells * d * 9 * 2 * 2 + 4 * d + d * d
    down = 3 * tokens * d * d * 9
    projections = tokens * (3 * d * d + d * d + 2 * 4 * d * d)
    attention = 2 * tokens * window * d
    bias = (2 * 4 - 1) ** 2 * (2 * 128 + 128 * 2)
    up = tokens * 2 * d * d * 4 + 2 * cells * d * d * 9
    head = cells * 2 * d * 70 * 4
    multiplications = embedding + down + 2 * (projections + attention + bias) + up + head
    assert accelerator.flops("tiny", 1)["forecast"] == 2 * multiplications


def test_gradients_and_sources_add_their_arithmetic():
    one, two = accelerator.flops("tiny", 1), accelerator.flops("tiny", 2)
    assert one["forecast"] == two["forecast"]
    assert one["analysis"] < two["analysis"] < 2 * one["analysis"]
    for name in ("forecast", "analysis"):
        assert 2 * one[name] < one[f"{name} gradient"] <= 3 * one[name]
    assert 2 * one["forecast"] < one["first gradient"] < one["forecast gradient"]


def test_all_rows_run_without_an_accelerator(capsys):
    threads = torch.get_num_threads()
    accelerator.main(
        [
            "--size",
            "tiny",
            "--device",
            "cpu",
            "--precision",
            "bf16-mixed",
            "--steps",
            "2",
            "--cycles",
            "2",
            "--repeat",
            "1",
            "--peak",
            "1",
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        f"tiny on (16, 32): 120,796 and 42,548 parameters; {threads} CPU threads, bf16-mixed"
    )
    found = {
        line[:28].strip(): [float(word.strip("%")) for word in line[28:].split()]
        for line in lines[3:]
    }
    assert list(found) == [
        "one analysis",
        "forecast, 2 steps",
        "the same, to the host",
        "update of stage 1",
        "update of stage 3, 2 cycles",
    ]
    assert all(value > 0 for row in found.values() for value in row[:4])
    work = accelerator.flops("tiny", 1)
    expected = 3 * work["forecast"] + 2 * (work["analysis gradient"] + work["forecast gradient"])
    assert found["update of stage 3, 2 cycles"][2] == pytest.approx(expected / 1e12, rel=1e-3)
