"""One net shared out over several processes: its weights, gradients and the optimiser's memory.

Each process keeps a share of every tensor; whole weights come together for a step, or for a case
to evaluate, and are given up after it. Checkpoints hold whole tensors, laid out as those of one
process are: any number of processes, with any strategy, can continue them, and `evaluate` and
`predict` see no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from vitruvian.core.ddp import RunDDP

State = dict[str, Any]

STEPS = ("training_step", "validation_step", "test_step")  # what Lightning calls instead of forward


class RunFSDP(RunDDP):
    """As RunDDP, with the net shared out; ranks are started on the run directory, too.

    Args:
        part: a part of the net with at least so many weights is brought together by itself, when
            its turn comes; None: the whole net is, for each step.
    """

    def __init__(self, part: int | None = None) -> None:
        super().__init__()
        self._part = part

    # -- sharing out --------------------------------------------------------------------------

    def setup(self, trainer: pl.Trainer) -> None:
        """Prepare a training; what it has shared out stays so in the test that follows."""
        if not isinstance(self.model, FSDPModule):
            super().setup(trainer)
            return
        assert self.accelerator is not None
        self.accelerator.setup(trainer)
        self.setup_precision_plugin()

    def configure_ddp(self) -> None:
        """Share the net out, before the optimiser is built over the shares."""
        task = self.lightning_module
        assert task is not None
        for tensor in (*task.parameters(), *task.buffers()):
            dist.broadcast(tensor.detach(), src=0)
        share_out(task, init_device_mesh(self.root_device.type, (self.world_size,)), self._part)
        for step in STEPS:
            register_fsdp_forward_method(task, step)

    def validation_step(self, *args: Any, **kwargs: Any) -> Any:
        """Evaluate a case with the whole net: ranks may call it a different number of times."""
        with whole_net(self.lightning_module):
            return super().validation_step(*args, **kwargs)

    def test_step(self, *args: Any, **kwargs: Any) -> Any:
        """As in a validation."""
        with whole_net(self.lightning_module):
            return super().test_step(*args, **kwargs)

    def teardown(self) -> None:
        """End, and leave the shares where they are: the test that follows a training takes them."""
        for part in (self.cluster_environment, self.precision_plugin, self.accelerator):
            assert part is not None
            part.teardown()

    # -- checkpoints --------------------------------------------------------------------------

    def lightning_module_state_dict(self) -> State:
        """The whole weights."""
        state: State = gathered(super().lightning_module_state_dict())
        return state

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> State:
        """The optimiser's whole memory."""
        state: State = gathered(super().optimizer_state(optimizer))
        return state

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Give this process its share of the optimiser's memory."""
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            state = {
                index: {
                    name: share_like(value, weights[index])
                    if isinstance(value, Tensor) and value.shape == weights[index].shape
                    else value
                    for name, value in memory.items()
                }
                for index, memory in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": state})


def share_out(net: nn.Module, mesh: DeviceMesh, part: int | None) -> None:
    """Share a net's weights out over the processes of a mesh, large parts of it by themselves."""
    for weight in net.parameters():
        weight.data = weight.data.contiguous()  # a share of another memory order cannot be made
    inner = list(net.modules())[:0:-1] if part is not None else []  # from the leaves inwards
    for child in inner:
        called = not isinstance(child, nn.ModuleList | nn.ModuleDict)
        if called and _together(child) >= (part or 0):
            fully_shard(child, mesh=mesh)
    fully_shard(net, mesh=mesh)


def _together(net: nn.Module) -> int:
    """Number of weights that would be brought together with this part of a net."""
    return sum(w.numel() for w in net.parameters() if not isinstance(w, DTensor))


@contextmanager
def whole_net(net: nn.Module) -> Iterator[None]:
    """Hold all weights of a net that is shared out; all processes enter and leave together."""
    parts = [part for part in net.modules() if isinstance(part, FSDPModule)]
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.set_reshard_after_forward(True, recurse=False)
            part.reshard()


# -- tensors of which a process holds a share ------------------------------------------------------


def held(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor: all, unless it is shared out."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def gathered(state: Any) -> Any:
    """Nested plain data with whole tensors; all processes call it, the first one keeps them."""
    if isinstance(state, DTensor):
        whole = state.full_tensor()
        return whole.cpu() if dist.get_rank() == 0 else torch.empty(0)
    if isinstance(state, Mapping):
        return {key: gathered(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(gathered(value) for value in state)
    return state


def share_like(whole: Tensor, tensor: Tensor) -> Tensor:
    """The share of a whole tensor that lies where this process's share of `tensor` lies."""
    whole = whole.to(tensor.device)
    if not isinstance(tensor, DTensor) or isinstance(whole, DTensor):
        return whole
    return distribute_tensor(whole, tensor.device_mesh, tensor.placements)


def load_whole(net: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load whole weights into a net, which may be shared out.

    Raises:
        RuntimeError: they are of another net.
    """
    own = net.state_dict()
    net.load_state_dict({n: share_like(v, own[n]) if n in own else v for n, v in state.items()})
