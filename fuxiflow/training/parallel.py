"""Several devices: the strategy, each one's share of a batch, and what a restart file holds of all of them.

One process a device, started by torchrun or srun (:mod:`fuxiflow.runtime.distributed`), which Lightning Fabric finds by its
environment. Restart files hold whole tensors, whatever the strategy, so that a stage may go on with another number of
devices.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy, ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from fuxiflow.models import execution as place
from fuxiflow.models.swin import SwinBlock


@dataclass(frozen=True)
class Share:
    """What of a batch a process computes: it is ``rank`` of ``ranks``, and takes its places in ``accumulate`` parts.

    Where processes work ``together``, sharing weights out, all must call the networks equally often.
    """

    rank: int = 0
    ranks: int = 1
    accumulate: int = 1
    together: bool = False

    def places(self, batch: int, part: int) -> slice:
        """Positions in a batch of part ``part`` of this process; ValueError when the batch cannot be shared evenly."""
        size, left = divmod(batch, self.ranks * self.accumulate)
        if left:
            raise ValueError(
                f"a batch of {batch} cannot be shared by {self.ranks} devices in {self.accumulate} parts; "
                f"make it a multiple of {self.ranks * self.accumulate}"
            )
        first = (self.rank * self.accumulate + part) * size
        return slice(first, first + size)


def _shard(task: nn.Module, mesh) -> nn.Module:
    """FSDP2: every transformer block by itself, the rest together."""
    for module in task.modules():
        if isinstance(module, SwinBlock):
            fully_shard(module, mesh=mesh["data_parallel"])
    return fully_shard(task, mesh=mesh["data_parallel"])


def shared_together(module: nn.Module) -> list[str]:
    """Names of the trainable parameters that are shared out with the whole, not with a block of their own."""
    apart = {
        f"{name}.{own}"
        for name, block in module.named_modules()
        if isinstance(block, SwinBlock)
        for own, _ in block.named_parameters()
    }
    return [
        name
        for name, parameter in module.named_parameters()
        if parameter.requires_grad and name not in apart
    ]


def make_fabric(
    accelerator: str, precision: str, strategy: str = "ddp", devices: int = 1, nodes: int = 1
) -> Fabric:
    """Fabric on ``devices`` of each of ``nodes``, launched; on one device alone there is no strategy."""
    kind, ranks = place.select_device(accelerator).type, devices * nodes
    chosen = "auto"
    if ranks > 1 and strategy == "fsdp":
        chosen = ModelParallelStrategy(
            _shard,
            data_parallel_size=ranks,
            tensor_parallel_size=1,
            save_distributed_checkpoint=False,
        )
    elif ranks > 1:
        # a source may be missing in all windows of one device; buffers never change
        chosen = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)
    fabric = Fabric(
        accelerator=kind,
        strategy=chosen,
        devices=devices,
        num_nodes=nodes,
        precision=place.resolve_precision(precision),
    )
    fabric.launch()
    return fabric


def fabric_of(options: Mapping) -> Fabric:
    """Fabric as the options of an experiment's training have it."""
    keys = ("accelerator", "precision", "strategy", "devices", "nodes")
    return make_fabric(**{key: options[key] for key in keys if key in options})


def sharded(fabric: Fabric) -> bool:
    """Whether weights are shared out over the devices."""
    return isinstance(fabric.strategy, ModelParallelStrategy)


def whole(value):
    """A nest of dictionaries and lists with shared-out tensors put together, on the processor; the rest as it is.

    All processes must call it together.
    """
    if isinstance(value, DTensor):
        return value.full_tensor().cpu()
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return value


def like(value: Tensor, example: Tensor) -> Tensor:
    """A whole tensor shared out as ``example`` is; of another shape (a count), or where nothing is shared, as it is."""
    if isinstance(example, DTensor) and value.shape == example.shape:
        return distribute_tensor(value.to(example.device), example.device_mesh, example.placements)
    return value


def share_out(
    content: dict, module: nn.Module, parameters: list[nn.Parameter]
) -> tuple[dict, dict]:
    """State of a module and of its optimiser from a restart file's ``content``, shared out as the module is."""
    weights = {
        name: like(content["module"][name], own)
        for name, own in module.state_dict().items()
        if name in content["module"]
    }
    weights |= {name: value for name, value in content["module"].items() if name not in weights}
    optimizer = content["optimizer"]
    moments = {
        index: {name: like(value, parameters[index]) for name, value in state.items()}
        for index, state in optimizer["state"].items()
    }
    return weights, {**optimizer, "state": moments}


def gather_places(fabric: Fabric, tensor: Tensor | None) -> Tensor | None:
    """Join what each process holds of its places ``(…, place, …)`` along the second dimension, on rank 0; one process
    after the other, so that no device holds more than two shares."""
    if fabric.world_size == 1 or tensor is None:
        return tensor
    parts = [tensor.cpu()]
    for rank in range(1, fabric.world_size):
        if fabric.global_rank == rank:
            torch.distributed.send(tensor.contiguous(), 0)
        elif fabric.global_rank == 0:
            buffer = torch.empty_like(tensor)
            torch.distributed.recv(buffer, rank)
            parts.append(buffer.cpu())
    return torch.cat(parts, 1)


def mean(fabric: Fabric, values: dict[str, Tensor]) -> dict[str, float]:
    """Scalars averaged over the processes."""
    if fabric.world_size == 1:
        return {name: float(value) for name, value in values.items()}
    joined = fabric.all_reduce(
        torch.stack([value.float() for value in values.values()]), reduce_op="mean"
    )
    return dict(zip(values, joined.tolist(), strict=True))


def any_of(fabric: Fabric, number: int) -> int:
    """The largest of a number over the processes."""
    if fabric.world_size == 1:
        return number
    return int(fabric.all_reduce(torch.tensor(number, device=fabric.device), reduce_op="max"))
