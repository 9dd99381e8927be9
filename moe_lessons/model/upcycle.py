"""Sparse upcycling (Komatsuzaki et al., arXiv:2212.05055): experts that begin as copies of a trained dense layer."""

from dataclasses import replace

import torch

from moe_lessons.config import MoEConfig
from moe_lessons.model.moe import MoE
from moe_lessons.model.transformer import Transformer


@torch.no_grad()
def upcycle(model: Transformer, moe: MoEConfig, *, seed: int = 0) -> Transformer:
    """A sparse model whose experts all begin as copies of the dense layer in their place; its routers are fresh.

    Whichever copies a router chooses, their weights sum to 1, so the new model's logits are the dense one's up to
    rounding. Each expert is as wide as the dense layer: with top_k = 2, the feed-forward works twice as much as
    before. `seed` draws the routers. Raises ValueError where the first logits would be others.
    """
    config = model.config
    if config.moe is not None:
        raise ValueError("the model has experts already; upcycle a dense one")
    for name, value, wanted in (
        ("hidden_dim", moe.hidden_dim, config.hidden_dim),
        ("normalize", moe.normalize, True),
        ("route_scale", moe.route_scale, 1.0),
        ("n_shared_experts", moe.n_shared_experts, 0),
    ):
        if value != wanted:
            raise ValueError(f"{name} is {value}, but must be {wanted}, or the first answers are not the dense model's")
    sparse = Transformer(replace(config, moe=moe), device=model.embedding.weight.device, seed=seed)
    weights = model.state_dict()
    for name, module in sparse.named_modules():
        if isinstance(module, MoE):
            gate, up, down = (weights.pop(f"{name}.{part}.weight") for part in ("gate", "up", "down"))
            module.experts.gate_up.copy_(torch.cat([gate, up]).expand_as(module.experts.gate_up))
            module.experts.down.copy_(down.expand_as(module.experts.down))
    sparse.load_state_dict(weights, strict=False)  # what is left over there are the experts and routers
    return sparse.train(model.training)
