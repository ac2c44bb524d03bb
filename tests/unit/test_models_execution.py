"""How networks run changes their speed and memory, and not what they say."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fuxiflow.config.network_sizes import ASSIMILATORS, FORECASTERS
from fuxiflow.models import execution
from fuxiflow.models.layers import apply
from fuxiflow.models.networks import Design, Networks, SourceDesign
from fuxiflow.models.pillars import FootprintBatch

SHAPE = (16, 32)
TIMES = np.array(["2022-03-01T06"], "datetime64[h]")


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def networks(sources=("a", "b")):
    torch.manual_seed(0)
    channels = ["T500", "T850", "R850", "T2M", "TP"]
    designs = {name: SourceDesign(["1", "2"], (-3, 5), [0.0, 0.0], [1.0, 1.0]) for name in sources}
    design = Design(
        channels, SHAPE, ["land", "height"], FORECASTERS["tiny"], ASSIMILATORS["tiny"], designs
    )
    made = Networks(design, np.zeros(5), np.ones(5), np.full(5, 0.3), noise(2, *SHAPE).numpy())
    for i, parameter in enumerate(made.parameters()):
        if not parameter.any():
            with torch.no_grad():
                parameter.copy_(0.05 * noise(*parameter.shape, seed=i))
    return made


def footprints(seed, count=30):
    random = torch.Generator().manual_seed(seed)
    return FootprintBatch(
        torch.zeros(count, dtype=int),
        torch.randint(8, (count,), generator=random),
        torch.randperm(512, generator=random)[:count],
        torch.randn(count, 2, generator=random),
        torch.full((count,), 30.0),
        torch.zeros(count, 2),
    )


def cycle(made):
    """An analysis and the forecast from it: gradients of both networks."""
    previous, background = noise(1, 4, *SHAPE, seed=1), noise(1, 4, *SHAPE, seed=2).requires_grad_()
    guess = torch.stack([previous, background, background], 1)
    observations = {name: footprints(i) for i, name in enumerate(made.design.sources)}
    analysis = made.analyse(guess, noise(1, 4, *SHAPE, seed=3), observations, TIMES)
    forecast = made.forecast(previous, analysis, TIMES)
    made.zero_grad()
    (analysis.square().mean() + forecast.square().mean()).backward()
    gradients = {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None}
    return SimpleNamespace(
        analysis=analysis.detach(),
        forecast=forecast.detach(),
        gradients={**gradients, "background": background.grad},
    )


def assert_same(a, b, **tolerance):
    torch.testing.assert_close(a.analysis, b.analysis, **tolerance)
    torch.testing.assert_close(a.forecast, b.forecast, **tolerance)
    assert a.gradients.keys() == b.gradients.keys()
    for name in a.gradients:
        torch.testing.assert_close(
            a.gradients[name], b.gradients[name], **tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_recomputed_activations_are_the_same_bits(precision):
    kept = cycle(execution.prepare(networks(), precision=precision))
    again = cycle(execution.prepare(networks(), precision=precision, recompute=True))
    assert_same(kept, again, atol=0, rtol=0)


def saved_bytes(made):
    """Bytes that autograd keeps of an analysis, beside the parameters."""
    own, kept = {p.data_ptr() for p in [*made.parameters(), *made.buffers()]}, {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    guess = noise(1, 3, 4, *SHAPE)
    observations = {name: footprints(i) for i, name in enumerate(made.design.sources)}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = made.analyse(guess, noise(1, 4, *SHAPE, seed=3), observations, TIMES)
    assert result.requires_grad
    return sum(size for place, size in kept.items() if place not in own)


def test_memory_of_training_is_flat_in_the_number_of_sources():
    counts = {}
    for recompute in (False, True):
        for number in (1, 2, 8):
            made = execution.prepare(
                networks([f"s{i}" for i in range(number)]), recompute=recompute
            )
            counts[recompute, number] = saved_bytes(made)
    growth = {recompute: counts[recompute, 8] - counts[recompute, 2] for recompute in (False, True)}
    assert growth[False] > counts[False, 1]
    assert growth[True] < 0.02 * growth[False]


def test_no_activation_is_kept_where_none_is_needed():
    calls = []
    with torch.no_grad():
        assert apply(lambda x: calls.append(x) or x + 1, 1, recompute=True) == 2
    assert calls == [1]


def test_compiled_blocks_say_the_same():
    """Traced and differentiated ahead of time, without the code generator, which takes minutes."""
    plain, compiled = networks(), execution.prepare(networks(), compiled=True, backend="aot_eager")
    assert_same(cycle(plain), cycle(compiled), atol=1e-6, rtol=1e-4)
    assert plain.state_dict().keys() == compiled.state_dict().keys()
    assert all(block._compiled_call_impl is not None for block in compiled.forecaster.blocks)


def test_bfloat16_is_near_float32_and_its_gradients_are_finite():
    plain = cycle(networks())
    mixed = cycle(execution.prepare(networks(), precision="bf16-mixed"))
    assert mixed.forecast.dtype == mixed.analysis.dtype == torch.float32
    assert all(torch.isfinite(gradient).all() for gradient in mixed.gradients.values())
    error = (mixed.forecast - plain.forecast).square().mean().sqrt() / plain.forecast.std()
    assert 0 < error < 0.02


def test_settings_can_be_taken_back():
    made = networks()
    reference = cycle(made)
    execution.prepare(made, precision="bf16-mixed", recompute=True)
    assert_same(reference, cycle(execution.prepare(made)), atol=0, rtol=0)


@pytest.mark.parametrize(
    ("environment", "known"),
    [
        ({}, ""),
        ({"SLURM_GPUS_ON_NODE": "0"}, ""),
        ({"SLURM_JOB_GPUS": "2,3"}, "SLURM_JOB_GPUS=2,3"),
    ],
)
def test_gpus_are_known_without_torch(tmp_path, environment, known):
    assert execution.machine_gpus(environment, tmp_path / "none") == known
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    assert execution.machine_gpus(environment, tmp_path / "gpus")


def test_the_log_says_which_device_and_why(monkeypatch, caplog):
    caplog.set_level("INFO", logger="fuxiflow")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(execution, "machine_gpus", lambda: "")
    assert execution.select_device("auto").type == "cpu"
    assert "device: the processor, as no CUDA device is visible to torch 2" in caplog.text
    assert execution.select_device("cpu").type == "cpu"
    assert "device: the processor, as accelerator is cpu" in caplog.text
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    monkeypatch.setattr(execution, "machine_gpus", lambda: "SLURM_GPUS_ON_NODE=8")
    execution.select_device("auto")
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert "SLURM_GPUS_ON_NODE=8" in warning.message
    with pytest.raises(RuntimeError, match="no CUDA device is visible"):
        execution.select_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H200")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert execution.select_device("auto").type == "cuda"
    assert "device: H200, one of 2, as accelerator is auto" in caplog.text
