"""Muon for matrices, AdamW for the rest.

Muon: Jordan et al., https://kellerjordan.github.io/posts/muon; AdamW: Loshchilov and Hutter, arXiv:1711.05101.
"""

import inspect
import os
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from moe_lessons.config import TrainConfig
from moe_lessons.model.threads import side_by_side

# Of the quintic a x + b x^3 + c x^5, whose repetition drives all singular values to about 1 (Jordan et al.).
_QUINTIC = (3.4445, -4.7750, 2.0315)
SWITCH = "MOE_LESSONS_PRODUCTS"
IN_CACHE = 400_000  # numbers that a core works on at a time: more would not stay in its cache


def orthogonalize(
    matrices: Float[Tensor, "*stack rows columns"], iterations: int = 5
) -> Float[Tensor, "*stack rows columns"]:
    """Nearest semi-orthogonal matrix, roughly: same singular vectors, singular values all between 0.7 and 1.2."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.reshape(-1, *matrices.shape[-2:])
    x = x.mT if tall else x
    x = x / (x.flatten(-2).norm(dim=-1)[..., None, None] + 1e-7)
    if x.shape[2] < 2 * x.shape[1]:
        x = _iterate(x, iterations)
    else:
        for done in range(0, iterations, 3):  # beyond three, what rounding does to the products would show
            x = _iterate_long(x, min(3, iterations - done))
    return (x.mT if tall else x).view_as(matrices)


def _iterate(x: Float[Tensor, "stack rows columns"], times: int) -> Float[Tensor, "stack rows columns"]:
    """Repeat x <- p x, where p = a + b (x x^T) + c (x x^T)^2."""
    a, b, c = _QUINTIC
    for _ in range(times):
        gram = _product(x, x.mT)
        # each sum in the same pass as its product
        x = _product(_product(gram, gram, alpha=c, beta=b, to=gram), x, beta=a, to=x)
    return x


def _iterate_long(x: Float[Tensor, "stack rows columns"], times: int) -> Float[Tensor, "stack rows columns"]:
    """The same with a quarter fewer multiplications where x is long: x x^T becomes p (x x^T) p without asking x."""
    gram = _product(x, x.mT)
    p = product = _polynomial(gram)
    for _ in range(times - 1):
        gram = _product(_product(p, gram), p)
        p = _polynomial(gram)
        product = _product(p, product)
    return _product(product, x)


def _polynomial(gram: Float[Tensor, "stack rows rows"]) -> Float[Tensor, "stack rows rows"]:
    """a + b gram + c gram^2."""
    a, b, c = _QUINTIC
    p = _product(gram, gram, alpha=c, beta=b, to=gram)
    p.diagonal(dim1=-2, dim2=-1).add_(a)
    return p


def _product(
    left: Float[Tensor, "stack rows _"],
    right: Float[Tensor, "stack _ columns"],
    *,
    alpha: float = 1.0,
    beta: float = 0.0,
    to: Float[Tensor, "stack rows columns"] | None = None,
) -> Float[Tensor, "stack rows columns"]:
    """beta to + alpha left right, in one pass.

    A processor that does not multiply bfloat16 takes twenty times as long for it as for float32; there the factors are
    widened and the result is rounded, which is the same up to the order of sums.
    """
    if left.dtype == torch.bfloat16 and left.device.type == "cpu" and not torch.cpu._is_avx512_bf16_supported():
        wide = None if to is None else to.float()
        return _product(left.float(), right.float(), alpha=alpha, beta=beta, to=wide).bfloat16()
    return left @ right if to is None else torch.baddbmm(to, left, right, beta=beta, alpha=alpha)


def product_dtype(device: torch.device, products: str = "auto") -> torch.dtype:
    """What `products` (TrainConfig.optimizer_products) means on a device.

    "auto" is bfloat16 on CUDA, where it is faster and the steps above forgive its rounding. On a CPU it is float32:
    some processors multiply bfloat16 and some do not, and a lesson shall train the same model on all of them.
    MOE_LESSONS_PRODUCTS overrides "auto", for `make robust`.
    """
    if products == "auto":
        products = os.environ.get(SWITCH) or products
    if products == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[products]


class _Uncompiled:
    """Methods of PyTorch's optimizers without the guard that hides them from torch.compile, which nobody uses here.

    The guard imports the compiler at the first optimizer of a process: 75 MB and one to two seconds.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)


class _AdamW(_Uncompiled, AdamW):
    step = torch.no_grad()(inspect.unwrap(AdamW.step))


class Muon(_Uncompiled, Optimizer):
    """Momentum whose step on each matrix is orthogonalized, so that no direction drowns the others.

    Takes parameters of two dimensions, and stacks of matrices (experts) of three: each matrix is treated alone,
    many of one shape in one batched product, whose numbers are as TrainConfig.optimizer_products says.
    torch.optim.Muon takes no stacks.

    A step costs as much after few tokens as after many, and an expert sees few. In a group with `every` = n, gradients
    add up, and a parameter steps every n-th time, on their sum. The sum is a memory already, so such a group wants
    little momentum or none. Its parameters take turns, so that one step takes as long as another.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | list[dict[str, Any]],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        products: str = "auto",
        every: int = 1,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "every": every})
        self.products = products
        for parameter in (p for group in self.param_groups for p in group["params"]):
            if parameter.ndim not in (2, 3):
                raise ValueError(
                    f"Muon steps on matrices, but a parameter has {parameter.ndim} dimensions; use AdamW for it"
                )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            due = self._due(group)
            batches = self._batches(due)

            def work(own: Iterable[list[_Matrices]], group: dict = group) -> None:
                for batch in own:
                    _step(batch, group["lr"], group["momentum"], group["weight_decay"], self.products)

            if batches and batches[0][0].weights.device.type == "cpu":
                side_by_side(work, batches)
            else:
                work(batches)
            if group["every"] > 1:
                for _, gradient in due:
                    gradient.zero_()

    def _due(self, group: dict[str, Any]) -> list[tuple[nn.Parameter, Tensor]]:
        """The parameters whose turn it is, each with its gradient, or with the sum of those that waited."""
        every, due = group["every"], []
        for place, parameter in enumerate(group["params"]):
            if parameter.grad is None:
                continue
            gradient = parameter.grad
            if every > 1:
                state = self.state[parameter]
                if "waiting" not in state:
                    state["waiting"], state["step"] = torch.zeros_like(parameter), torch.zeros(())
                gradient = state["waiting"].add_(gradient)
                state["step"] += 1
                if (state["step"] + place) % every:
                    continue
            due.append((parameter, gradient))
        return due

    def _batches(self, due: Iterable[tuple[nn.Parameter, Tensor]]) -> list[list["_Matrices"]]:
        """Matrices of one shape together: all of them on a GPU, as many as stay in a core's cache on a CPU."""
        by_shape: dict[torch.Size, list[list[_Matrices]]] = defaultdict(list)
        for parameter, gradient in due:
            if "momentum" not in (state := self.state[parameter]):
                state["momentum"] = torch.zeros_like(parameter)
            shape = parameter.shape[-2:]
            most = max(1, IN_CACHE // shape.numel()) if parameter.device.type == "cpu" else parameter.numel()
            stacks = (t.reshape(-1, *shape).split(most) for t in (parameter, gradient, state["momentum"]))
            batches = by_shape[shape]
            for piece in map(_Matrices, *stacks):
                if not batches or sum(len(other.weights) for other in batches[-1]) + len(piece.weights) > most:
                    batches.append([])
                batches[-1].append(piece)
        return sorted((batch for batches in by_shape.values() for batch in batches), key=_numbers, reverse=True)


class _Matrices(NamedTuple):
    """A piece of one parameter, and what belongs to it."""

    weights: Float[Tensor, "stack rows columns"]
    gradient: Float[Tensor, "stack rows columns"]
    momentum: Float[Tensor, "stack rows columns"]


def _numbers(batch: list[_Matrices]) -> int:
    return sum(piece.weights.numel() for piece in batch)


def _step(batch: list[_Matrices], lr: float, momentum: float, weight_decay: float, products: str) -> None:
    """One step on matrices of one shape."""
    sizes = [len(piece.weights) for piece in batch]
    _, rows, columns = batch[0].weights.shape
    device = batch[0].weights.device
    update = torch.empty(sum(sizes), rows, columns, dtype=product_dtype(device, products), device=device)
    for piece, part in zip(batch, update.split(sizes), strict=True):
        piece.momentum.lerp_(piece.gradient, 1 - momentum)
        part.copy_(piece.gradient.lerp(piece.momentum, momentum))  # Nesterov's look ahead
    # A tall matrix's step is made larger, so that its outputs move as much as a square one's.
    length = lr * max(1.0, rows / columns) ** 0.5
    for piece, part in zip(batch, orthogonalize(update).split(sizes), strict=True):
        piece.weights.mul_(1 - lr * weight_decay).sub_(part, alpha=length)


def build_optimizers(model: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """The run's optimizers; `group["initial_lr"]` is the peak that the schedule scales.

    With "muon", matrices inside the blocks and multi-token modules go to Muon. Embedding, head, router and norms stay
    with AdamW: they are tables and gains, whose rows are read one at a time. Experts' matrices are a group of their
    own where they step less often or farther than the others, or remember less.
    """
    of_experts = {
        "lr": config.expert_rate * config.matrix_lr,
        "momentum": config.matrix_momentum if config.expert_momentum is None else config.expert_momentum,
        "every": config.expert_every,
    }
    of_others = {"lr": config.matrix_lr, "momentum": config.matrix_momentum, "every": 1}
    matrices, experts, tables, gains = [], [], [], []
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1 or name.endswith("_bias"):  # also those of all experts in one tensor
            gains.append(parameter)
        elif config.optimizer == "muon" and ".router." not in name and name.startswith(("blocks.", "mtp.")):
            (experts if of_experts != of_others and ".experts." in name else matrices).append(parameter)
        else:
            tables.append(parameter)
    groups = [{"params": tables, "weight_decay": config.weight_decay}, {"params": gains, "weight_decay": 0.0}]
    optimizers: list[Optimizer] = [_AdamW(groups, lr=config.lr, betas=(0.9, 0.98), eps=1e-10, fused=True)]
    if matrices:
        by_muon: list[dict[str, Any]] = [{"params": matrices} | of_others]
        if experts:
            by_muon.append({"params": experts} | of_experts)
        changes = {"weight_decay": config.weight_decay, "products": config.optimizer_products}
        optimizers.append(Muon(by_muon, **changes))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return optimizers
