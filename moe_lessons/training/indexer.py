"""How a lightning indexer learns: its scores, as a softmax, are drawn towards what attention itself looks at.

DeepSeek-V3.2 (arXiv:2512.02556, section 2.1): first with the model frozen and over all keys (its equation 3), then
beside the model's own training and over the chosen keys alone (equation 4). Neither loss reaches the model.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from moe_lessons.model.indexed_latent_attention import IndexedLatentAttention
from moe_lessons.model.indexer import best_keys, seen
from moe_lessons.model.latent_attention import past
from moe_lessons.model.rope import Rotation


def index_loss(
    scores: Float[Tensor, "batch new time"],
    shares: Float[Tensor, "batch new time"],
    among: Bool[Tensor, "*some new time"],
) -> Float[Tensor, ""]:
    """Mean over tokens of KL(shares || softmax(scores)) in nats, both within the keys that `among` holds.

    >>> shares, everything = torch.tensor([[[0.5, 0.25, 0.25]]]), torch.ones(1, 3, dtype=torch.bool)
    >>> index_loss(shares.log() + 7, shares, everything).abs().item() < 1e-6
    True
    """
    shares = shares.masked_fill(~among, 0)
    shares = shares / shares.sum(dim=-1, keepdim=True).clamp(min=1e-9)
    logs = scores.masked_fill(~among, float("-inf")).log_softmax(dim=-1).masked_fill(~among, 0)
    return (torch.special.xlogy(shares, shares) - shares * logs).sum(dim=-1).mean()


@torch.no_grad()
def mean_shares(
    layer: IndexedLatentAttention, hidden: Float[Tensor, "batch time dim"], by: Rotation
) -> Float[Tensor, "batch time time"]:
    """What a layer would attend to if it saw the whole past, in the mean over its heads; rows sum to 1."""
    queries = torch.cat(layer.queries(hidden, by), dim=-1)
    keys = layer.unpack(layer.latents(hidden, by)).keys
    time = hidden.shape[1]
    scores = (queries @ keys.mT * layer.scale).masked_fill(~past(time, time, hidden.device), float("-inf"))
    return scores.softmax(dim=-1).mean(dim=1)


def own_loss(
    layer: IndexedLatentAttention, hidden: Float[Tensor, "batch time dim"], by: Rotation, chosen_only: bool
) -> Float[Tensor, ""]:
    """The index loss of one layer, over the whole past or over the keys that its indexer chooses now."""
    hidden = hidden.detach()
    with torch.no_grad():
        latent = layer.query_latent_norm(layer.compress_query(hidden))
    scores = layer.indexer.scores(hidden, latent, layer.indexer.keys(hidden, by), by)
    among = before = past(scores.shape[1], scores.shape[2], hidden.device)
    if chosen_only:
        among = seen(best_keys(scores.detach(), before, layer.indexer.top_k), before)
    return index_loss(scores, mean_shares(layer, hidden, by), among)


@contextmanager
def index_losses(model: nn.Module, chosen_only: bool) -> Iterator[list[Tensor]]:
    """Inside the block, each forward pass without a cache leaves its layers' index losses in the list.

    Raises ValueError for a model without an indexer over tokens.
    """
    layers = [module for module in model.modules() if isinstance(module, IndexedLatentAttention)]
    if not layers:
        raise ValueError("the model has no indexer to train; give its attention an IndexerConfig")
    losses: list[Tensor] = []
    first = layers[0]

    def keep(layer: nn.Module, inputs: tuple, output: object) -> None:
        if layer is first:
            losses.clear()
        assert isinstance(layer, IndexedLatentAttention)
        with torch.enable_grad():  # also where the model itself is read without
            losses.append(own_loss(layer, inputs[0], inputs[1], chosen_only))

    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield losses
    finally:
        for handle in handles:
            handle.remove()
