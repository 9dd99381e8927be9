"""Muon for matrices, AdamW for the rest.

Muon: Jordan et al., https://kellerjordan.github.io/posts/muon; AdamW: Loshchilov and Hutter, arXiv:1711.05101.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from moe_lessons.config import TrainConfig

# Of the quintic a x + b x^3 + c x^5, whose repetition drives all singular values to about 1 (Jordan et al.).
_QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalize(
    matrices: Float[Tensor, "*stack rows columns"], iterations: int = 5
) -> Float[Tensor, "*stack rows columns"]:
    """Nearest semi-orthogonal matrix, roughly: same singular vectors, singular values all between 0.7 and 1.2."""
    a, b, c = _QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.reshape(-1, *matrices.shape[-2:])
    x = x.mT if tall else x
    x = x / (x.flatten(-2).norm(dim=-1)[..., None, None] + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        # a x + (b gram + c gram gram) x, each sum in the same pass as its product
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).view_as(matrices)


def product_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies it faster than float32: the steps above forgive its rounding."""
    fast = device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_avx512_bf16_supported())
    return torch.bfloat16 if fast else torch.float32


class Muon(Optimizer):
    """Momentum whose step on each matrix is orthogonalized, so that no direction drowns the others.

    Takes parameters of two dimensions, and stacks of matrices (experts) of three: each matrix is treated alone,
    all matrices of one shape in one batched product. torch.optim.Muon takes no stacks.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for parameter in (p for group in self.param_groups for p in group["params"]):
            if parameter.ndim not in (2, 3):
                raise ValueError(
                    f"Muon steps on matrices, but a parameter has {parameter.ndim} dimensions; use AdamW for it"
                )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            same_shape: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                momentum = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(momentum, group["momentum"])  # Nesterov's look ahead
                same_shape[parameter.shape[-2:]].append((parameter, update))
            for (rows, columns), members in same_shape.items():
                stack = torch.cat([update.reshape(-1, rows, columns) for _, update in members])
                stack = stack.to(product_dtype(stack.device))
                # A tall matrix's step is made larger, so that its outputs move as much as a square one's.
                step = orthogonalize(stack) * (-group["lr"] * max(1.0, rows / columns) ** 0.5)
                sizes = [parameter.numel() // (rows * columns) for parameter, _ in members]
                for (parameter, _), part in zip(members, step.split(sizes), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(part.view_as(parameter))


def build_optimizers(model: nn.Module, config: TrainConfig) -> list[Optimizer]:
    """The run's optimizers; `group["initial_lr"]` is the peak that the schedule scales.

    With "muon", matrices inside the blocks and multi-token modules go to Muon. Embedding, head, router and norms stay
    with AdamW: they are tables and gains, whose rows are read one at a time.
    """
    matrices, tables, gains = [], [], []
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            gains.append(parameter)
        elif config.optimizer == "muon" and ".router." not in name and name.startswith(("blocks.", "mtp.")):
            matrices.append(parameter)
        else:
            tables.append(parameter)
    groups = [{"params": tables, "weight_decay": config.weight_decay}, {"params": gains, "weight_decay": 0.0}]
    optimizers: list[Optimizer] = [AdamW(groups, lr=config.lr, betas=(0.9, 0.98), eps=1e-10, fused=True)]
    if matrices:
        optimizers.append(Muon(matrices, lr=config.matrix_lr, weight_decay=config.weight_decay))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return optimizers
