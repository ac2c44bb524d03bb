"""Several devices: the strategy, each one's share of a batch, and what a restart file holds of all.

One process a device, started by torchrun or srun (:mod:`fuxiflow.runtime.distributed`), which
Lightning Fabric finds by its environment. Restart files hold whole tensors, or where weights are
shared out a part of each process. Either is read by any number of devices.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy, ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor, zeros

from fuxiflow.models import execution
from fuxiflow.models.swin import SwinBlock
from fuxiflow.storage.tensor_files import map_tensors


@dataclass(frozen=True)
class DeviceOptions:
    """The devices of a training and what runs on them, as the configuration's ``training`` has it.

    ``devices`` on each of ``nodes`` work by ``strategy``: whole weights on each (``ddp``), or
    shared out (``fsdp``). ``workers`` processes of each device load data; ``compile`` compiles the
    blocks of the networks.
    """

    accelerator: str
    precision: str
    strategy: str = "ddp"
    devices: int = 1
    nodes: int = 1
    workers: int = 0
    compile: bool = False


@dataclass(frozen=True)
class Share:
    """The part of a batch that a process computes.

    It is ``rank`` of ``ranks``, and takes its places in ``accumulate`` parts. Where processes work
    ``together``, sharing weights out, all must call the networks equally often.
    """

    rank: int = 0
    ranks: int = 1
    accumulate: int = 1
    together: bool = False

    def places(self, batch: int, part: int) -> slice:
        """Positions in a batch of part ``part`` of this process.

        Raises
        ------
        ValueError
            When the batch cannot be shared evenly.
        """
        size, left = divmod(batch, self.ranks * self.accumulate)
        if left:
            raise ValueError(
                f"a batch of {batch} cannot be shared by {self.ranks} devices in {self.accumulate} "
                f"parts; make it a multiple of {self.ranks * self.accumulate}"
            )
        first = (self.rank * self.accumulate + part) * size
        return slice(first, first + size)


def share_of(fabric: Fabric, accumulate: int) -> Share:
    """The part of every update that this process computes, in ``accumulate`` parts."""
    return Share(fabric.global_rank, fabric.world_size, accumulate, sharded(fabric))


def _shard(module: nn.Module, mesh) -> nn.Module:
    """Share weights out by FSDP2: every transformer block by itself, the rest together."""
    for block in module.modules():
        if isinstance(block, SwinBlock):
            fully_shard(block, mesh=mesh["data_parallel"])
    return fully_shard(module, mesh=mesh["data_parallel"])


def shared_together(module: nn.Module) -> list[str]:
    """Names of the trainable parameters that are shared out with the whole, not with a block."""
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


def make_fabric(options: DeviceOptions) -> Fabric:
    """Launch Fabric on the devices; on one device alone there is no strategy."""
    ranks = options.devices * options.nodes
    strategy = "auto"
    if ranks > 1 and options.strategy == "fsdp":
        strategy = ModelParallelStrategy(
            _shard,
            data_parallel_size=ranks,
            tensor_parallel_size=1,
            save_distributed_checkpoint=False,
        )
    elif ranks > 1:
        # a source may be missing in all windows of one device; buffers never change
        strategy = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False)
    fabric = Fabric(
        accelerator=execution.select_device(options.accelerator).type,
        strategy=strategy,
        devices=options.devices,
        num_nodes=options.nodes,
        precision=execution.resolve_precision(options.precision),
    )
    fabric.launch()
    return fabric


def sharded(fabric: Fabric) -> bool:
    """True where weights are shared out over the devices."""
    return isinstance(fabric.strategy, ModelParallelStrategy)


def whole_tensors(value):
    """Put the shared-out tensors in a nest of dictionaries and lists together, on the processor.

    Everything else stays as it is. All processes must call it together.
    """

    def whole(name: str, tensor: Tensor) -> Tensor:
        return tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor

    return map_tensors(value, whole)


def like(value: Tensor, example: Tensor) -> Tensor:
    """Share a whole tensor out as ``example`` is.

    One of another shape (a count), one that is shared out, or where nothing is, stays as it is.
    """
    if isinstance(value, DTensor) or value.shape != example.shape:
        return value
    if isinstance(example, DTensor):
        return distribute_tensor(value.to(example.device), example.device_mesh, example.placements)
    return value


def restart_targets(
    fabric: Fabric, module: nn.Module, parameters: list[nn.Parameter]
) -> Callable[[str, Tensor], Tensor]:
    """Return a function that gives the tensor to read one of a restart file into.

    Parameters
    ----------
    fabric : Fabric
        The processes.
    module : nn.Module
        What is trained.
    parameters : list of nn.Parameter
        Its trained parameters, in the optimiser's order.

    Returns
    -------
    callable
        Of a tensor's name in the file and an example of its shape. What is shared out here has the
        size of this process's share; everything else is whole and on the processor.
    """
    state = module.state_dict()

    def target(name: str, shape: Tensor) -> Tensor:
        _, kind, *keys = name.split("/")
        if kind == "memory" and sharded(fabric):
            return zeros(shape.shape, dtype=shape.dtype, **_by_place(fabric))
        if kind != "memory":
            example = state[keys[0]] if kind == "module" else parameters[int(keys[1])]
            if isinstance(example, DTensor) and example.shape == shape.shape:
                return torch.empty_like(example)
        return torch.empty_like(shape, device="cpu")

    return target


def share_out(
    content: dict, module: nn.Module, parameters: list[nn.Parameter]
) -> tuple[dict, dict]:
    """Share the content of a restart file out as the module is.

    Parameters
    ----------
    content : dict
        Whole tensors: ``module`` by name, ``optimizer`` as its state dictionary.
    module : nn.Module
        What is trained.
    parameters : list of nn.Parameter
        Its trained parameters, in the optimiser's order.

    Returns
    -------
    dict
        State of the module.
    dict
        State of the optimiser.
    """
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


def _by_place(fabric: Fabric) -> dict:
    """Return how tensors ``(…, place, …)`` are shared out where weights are."""
    mesh = fabric.strategy.device_mesh["data_parallel"]
    return {"device_mesh": mesh, "placements": [Shard(1)]}


def gather_places(fabric: Fabric, tensor: Tensor | None) -> Tensor | None:
    """Join the places ``(…, place, …)`` of all processes along the second dimension.

    Where weights are shared out, each process keeps its own. Elsewhere all come to rank 0, one
    after the other, so that no device holds more than two shares.
    """
    if fabric.world_size == 1 or tensor is None:
        return tensor
    if sharded(fabric):
        return DTensor.from_local(tensor, **_by_place(fabric))
    parts = [tensor.cpu()]
    for rank in range(1, fabric.world_size):
        if fabric.global_rank == rank:
            torch.distributed.send(tensor.contiguous(), 0)
        elif fabric.global_rank == 0:
            buffer = torch.empty_like(tensor)
            torch.distributed.recv(buffer, rank)
            parts.append(buffer.cpu())
    return torch.cat(parts, 1)


def own_places(share: Share, tensor: Tensor | None) -> dict[int, Tensor]:
    """Return by part the places ``(…, place, …)`` of this process, of those of all."""
    if tensor is None:
        return {}
    if isinstance(tensor, DTensor):
        tensor, share = tensor.to_local(), Share(accumulate=share.accumulate)
    return {
        part: tensor[:, share.places(tensor.shape[1], part)] for part in range(share.accumulate)
    }


def mean_over_processes(fabric: Fabric, values: dict[str, Tensor]) -> dict[str, float]:
    """Average scalars over the processes."""
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
