"""Several processes that train one model: what the training loop asks, answered by all of them together.

`torchrun --nproc_per_node 2 -m moe_lessons train ...` starts them. PyTorch's DistributedDataParallel averages the
gradients of everything but the experts. (FSDP2 would cut each matrix into rows, but Muon's step needs it whole.)
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from moe_lessons.model.load_balance import expert_load
from moe_lessons.model.transformer import Transformer
from moe_lessons.parallel.experts import SpreadExperts, spread_experts
from moe_lessons.training.team import ALONE, Alone, Losses, losses

TIMEOUT = 120.0  # seconds that a process waits for one that does not answer
_LOST = (
    "another process of this run has ended, or has not answered for {seconds:g} s; start again, with --resume where a "
    "checkpoint was kept, on any number of processes"
)


class LostProcessError(ConnectionError):
    """A process that others wait for is gone."""


class Ranks(Alone):
    """The processes of torch.distributed's default group, each of which holds a part of every layer's experts."""

    patient = True

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.timeout = timedelta(seconds=timeout)
        self.leader = self.rank == 0
        self._model: DistributedDataParallel | None = None

    def spread(self, model: Transformer) -> Transformer:
        """Give each process its part of the model, in place; all must hold the same one.

        Raises ValueError where the experts cannot be shared out evenly.
        """
        spread_experts(
            model, dist.new_group(timeout=self.timeout)
        )  # tokens do not queue behind the gradients' averages
        whole = _Losses(model)
        ours = {id(parameter) for parameter in _of_experts(model)}
        apart = [name for name, parameter in whole.named_parameters() if id(parameter) in ours]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(whole, apart)
        device = model.embedding.weight.device
        self._model = DistributedDataParallel(
            whole,
            device_ids=[device] if device.type == "cuda" else None,
            forward_sync_buffers=False,  # the bias of every router moves by the whole batch's load on each process
            gradient_as_bucket_view=True,
            find_unused_parameters=bool(model.mtp),  # they rest where their loss has no weight
        )
        return model

    def adopt(self, model: Transformer, optimizers: list[Optimizer]) -> None:
        layer_of = {id(p): layer for layer in _layers(model) for p in (layer.gate_up, layer.down)}

        def rewrite(optimizer: Optimizer, state: dict[str, Any], change: str) -> None:
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            for index, values in state["state"].items():
                if layer := layer_of.get(id(parameters[index])):
                    whole = {k: getattr(layer, change)(v) if v.ndim == 3 else v for k, v in values.items()}
                    state["state"][index] = whole

        for optimizer in optimizers:
            optimizer.register_state_dict_post_hook(lambda own, state: rewrite(own, state, "gather"))
            optimizer.register_load_state_dict_pre_hook(lambda own, state: rewrite(own, state, "own"))

    def own(self, batch: Int[Tensor, "batch time"]) -> Int[Tensor, "batch time"]:
        """Raises ValueError where the sequences cannot be shared out evenly."""
        if len(batch) % self.size:
            raise ValueError(
                f"batch_size is {len(batch)}, but {self.size} processes must get as many sequences each; start a "
                "number of processes that divides it"
            )
        return batch.chunk(self.size)[self.rank]

    def losses(self, model: Transformer, inputs: Tensor, targets: Tensor, *, ahead: bool) -> Losses:
        if self._model is None:
            raise ValueError("the model is not spread over the processes yet; call spread(model) before the first step")
        return self._model(inputs, targets, ahead)

    def balance_loss(
        self, scores: Float[Tensor, "tokens experts"], experts: Int[Tensor, "tokens top_k"]
    ) -> Float[Tensor, ""]:
        # The mean over processes of this is the whole batch's: the load is everyone's, the probabilities are ours.
        n_experts = scores.shape[1]
        load = self.total(expert_load(experts, n_experts))
        probability = (scores / scores.sum(dim=-1, keepdim=True)).mean(dim=0)
        return n_experts * (load / load.sum() * probability).sum()

    def clip(self, model: nn.Module, most: float) -> Float[Tensor, ""]:
        ours = {id(parameter) for parameter in _of_experts(model)}
        gradients: dict[bool, list[Tensor]] = {True: [], False: []}
        for parameter in model.parameters():
            if parameter.grad is not None:
                gradients[id(parameter) in ours].append(parameter.grad)
        shared, own = (nn.utils.get_total_norm(gradients[key]) for key in (False, True))
        norm = (shared**2 + self.total(own.to(shared.device) ** 2)).sqrt()
        nn.utils.clip_grads_with_norm_(model.parameters(), most, norm)
        return norm

    def total(self, numbers: Tensor) -> Tensor:
        total = numbers.clone()
        dist.all_reduce(total)
        return total

    def most(self, number: float) -> float:
        largest = torch.tensor(float(number), dtype=torch.float64)
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        return largest.item()


class _Losses(nn.Module):
    """The model's forward pass in training as a module, which is what DistributedDataParallel takes."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, targets: Tensor, ahead: bool) -> Losses:
        return losses(self.model, inputs, targets, ahead=ahead)


def _layers(model: nn.Module) -> list[SpreadExperts]:
    return [module for module in model.modules() if isinstance(module, SpreadExperts)]


def _of_experts(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for layer in _layers(model) for parameter in layer.parameters()]


@contextmanager
def team(timeout: float = TIMEOUT, **where: Any) -> Iterator[Alone]:
    """All processes that torchrun started with this one; alone where it did not.

    An error is raised by the process that meets it first; the others end silently. `where` goes to
    torch.distributed.init_process_group, for those who start processes in another way; then each raises its own. Where
    one of them was lost, that error is a LostProcessError.
    """
    if not where and int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout), **where)
    previous = signal.signal(signal.SIGTERM, _end)
    try:
        yield Ranks(timeout)
    except Exception as error:
        if not where and not _speaks():
            raise SystemExit(1) from None
        if _is_about_connections(error):
            raise LostProcessError(_LOST.format(seconds=timeout)) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
    dist.destroy_process_group()


def _end(number: int, frame: object) -> None:
    """Whoever started the processes ends all others when one is lost."""
    raise LostProcessError


def _speaks() -> bool:
    """Whether no other process has told the user about an error yet."""
    try:
        return dist.distributed_c10d._get_default_store().add("told the user", 1) == 1
    except Exception:  # whoever kept the store is gone
        return True


def _is_about_connections(error: BaseException) -> bool:
    """Whether another process could not be reached; PyTorch's gloo has no exception of its own for that."""
    return isinstance(error, LostProcessError | dist.DistError) or (
        isinstance(error, RuntimeError) and "gloo" in str(error)
    )
