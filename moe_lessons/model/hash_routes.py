"""Routes looked up by token id: which experts a token goes to is settled before anything is learned.

Hash layers (Roller et al., arXiv:2106.04426); DeepSeek-V4 (arXiv:2606.19348, section 2.1) has them in its first
layers, and weighs the experts by learned scores all the same.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from moe_lessons.config import ModelConfig, MoEConfig
from moe_lessons.model.moe import MoE
from moe_lessons.model.router import Router, Routing, float32_logits
from moe_lessons.model.shaped_moe import experts_of, shared_of


class HashRouter(Router):
    """Scores as the Router's, experts from the table `routes`: for each token id, `top_k` different ones."""

    routes: Tensor  # a buffer: whole numbers, vocab x top_k

    def __init__(self, dim: int, config: MoEConfig, vocab_size: int, layer: int) -> None:
        super().__init__(dim, replace(config, expert_bias=False, noise=False))  # nothing is chosen
        self.register_buffer("routes", drawn_routes(vocab_size, config.n_routed_experts, config.top_k, layer))

    def forward(self, hidden: Float[Tensor, "tokens dim"], ids: Int[Tensor, " tokens"]) -> Routing:
        logits = float32_logits(hidden, self.weight)
        scores, experts = self.rule.scores(logits), self.routes[ids]
        chosen, order = scores.gather(1, experts).sort(dim=-1, descending=True, stable=True)
        return Routing(self.rule.weigh(chosen), experts.gather(1, order), scores, logits)


def drawn_routes(vocab_size: int, n_experts: int, top_k: int, seed: int) -> Int[Tensor, "vocab top_k"]:
    """Each id's experts, drawn so that every expert has as many ids as another, or one more."""
    if torch.get_default_device().type == "meta":
        return torch.empty(vocab_size, top_k, dtype=torch.long)
    order = torch.randperm(n_experts, generator=torch.Generator().manual_seed(seed), device="cpu")
    ids = torch.randperm(vocab_size, generator=torch.Generator().manual_seed(seed), device="cpu")
    places = (ids[:, None] * top_k + torch.arange(top_k, device="cpu")) % n_experts  # neighbors, so all different
    return order[places].to(torch.get_default_device())


class HashMoE(MoE):
    """A mixture of experts that is told the tokens' ids."""

    router: HashRouter

    def __init__(self, config: ModelConfig, layer: int) -> None:
        nn.Module.__init__(self)  # none of MoE's own parts, which would take their memory first
        self.router = HashRouter(config.dim, config.mixture, config.vocab_size, layer)
        self.experts, self.shared = experts_of(config), shared_of(config)

    def forward(
        self, hidden: Float[Tensor, "batch time dim"], ids: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time dim"]:
        tokens = hidden.flatten(0, 1)
        routing = self.router(tokens, ids.flatten())
        output = self.experts(tokens, routing.experts, routing.weights)
        if self.shared is not None:
            output = output + self.shared(tokens)
        return output.view_as(hidden)
