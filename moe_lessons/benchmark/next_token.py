"""What the next token costs behind a long text, by what is kept of the text and how it is read."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from moe_lessons.accounting import cache_bytes_per_token
from moe_lessons.benchmark.timing import Timing, interleaved
from moe_lessons.config import AttentionConfig, LatentAttentionConfig, ModelConfig
from moe_lessons.model.cache import Cache, make_cache
from moe_lessons.model.latent_attention import LatentAttention
from moe_lessons.model.speculative import Drafter
from moe_lessons.model.transformer import Transformer

# DeepSeek-V3's proportions at a quarter of its head size: a latent of four heads' numbers, turned parts of half a head.
LATENT = LatentAttentionConfig(n_heads=16, kv_lora_rank=128, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32)


class Continuation(NamedTuple):
    """One more token behind `context` others, in each way of `ways_to_continue`."""

    context: int
    timings: dict[str, Timing]
    cache_bytes: dict[str, int]  # that lie ready in each way, for all `context` tokens

    def times_as_long(self, name: str, as_name: str = "absorbed") -> float:
        """Seconds of one way over those of another, both medians of the same run."""
        return self.timings[name].median / self.timings[as_name].median


def compare(rounds: int, device: torch.device | str | None = None, *, quick: bool = False) -> Continuation:
    """All ways behind 2,048 tokens, taking turns; `quick` takes tiny sizes, whose numbers mean nothing."""
    context, n_layers = (16, 1) if quick else (2048, 4)
    timings = interleaved(ways_to_continue(context, n_layers=n_layers, device=device), rounds)
    latent, ordinary = _configs(context, n_layers)
    sizes = {name: cache_bytes_per_token(ordinary if name == "kept" else latent, 4) * context for name in timings}
    return Continuation(context, timings, sizes)


def ways_to_continue(
    context: int = 2048, *, batch_size: int = 1, n_layers: int = 4, device: torch.device | str | None = None
) -> dict[str, Callable[[], Tensor]]:
    """Functions that read one more token behind `context` others, for `timing.interleaved`; each call does the same.

    "absorbed" attends to the cached latents, "unpacked" makes all heads' keys and values of them again, as a plain
    reading of the equations would, and "kept" has ordinary attention with as many heads and its larger cache. The
    first two are the same model and give the same logits.
    """
    config, ordinary = _configs(context, n_layers)
    ways = {}
    for name, its_config, absorb in (("absorbed", config, True), ("unpacked", config, False), ("kept", ordinary, None)):
        model = Transformer(its_config, device=device).eval()
        cache = make_cache(its_config, batch_size, device=device)
        with torch.inference_mode():
            model(torch.zeros(batch_size, context, dtype=torch.long, device=device), cache)
        for block in model.blocks:
            if isinstance(block.attention, LatentAttention):
                block.attention.absorb = absorb
        ways[name] = partial(_more, model, cache, torch.ones(batch_size, 1, dtype=torch.long, device=device))
    return ways


def _configs(context: int, n_layers: int) -> tuple[ModelConfig, ModelConfig]:
    """The same small model with latent attention, and with ordinary attention of as many heads."""
    config = ModelConfig(
        vocab_size=512, dim=256, n_layers=n_layers, hidden_dim=512, max_length=context + 1, attention=LATENT
    )
    heads = AttentionConfig(n_heads=LATENT.n_heads, head_dim=LATENT.v_head_dim)
    return config, replace(config, attention=heads)


def parts_of_speculation(model: Transformer, context: int, n_drafts: int = 1) -> dict[str, Callable[[], object]]:
    """Functions for `timing.interleaved` that tell from which acceptance on speculative decoding pays.

    "plain" reads one token behind `context` others, "checking" reads it together with `n_drafts` drafts, "drafting"
    makes them. Where a pass accepts `a` drafts in the mean, speculation is (1 + a) * plain / (checking + drafting)
    times as fast. Raises ValueError where the model has too few modules, or no room.
    """
    if n_drafts > len(model.mtp) or context + n_drafts + 1 > model.config.max_length:
        raise ValueError(
            f"n_drafts is {n_drafts} behind {context} tokens, but the model has {len(model.mtp)} multi-token modules "
            f"and reads at most {model.config.max_length} tokens; lower one of the two"
        )
    weight = model.embedding.weight
    tokens = torch.zeros(1, context + 2, dtype=torch.long, device=weight.device)
    cache = make_cache(model.config, device=weight.device, dtype=weight.dtype)
    drafter, generator = Drafter(model, n_drafts, model.config.max_length), torch.Generator().manual_seed(0)
    with torch.inference_mode():
        hidden = model.read(tokens[:, :context], cache)
        drafter.draft(tokens[:, : context + 1], hidden, generator)
    read = drafter.cache.length, drafter.hidden

    @torch.inference_mode()
    def drafting() -> None:
        drafter.draft(tokens, hidden[:, -1:], generator)
        drafter.cache.truncate(read[0])
        drafter.hidden = read[1]

    return {
        "plain": partial(_more, model, cache, tokens[:, :1]),
        "checking": partial(_more, model, cache, tokens[:, : n_drafts + 1]),
        "drafting": drafting,
    }


@torch.inference_mode()
def _more(model: Transformer, cache: Cache, tokens: Tensor) -> Tensor:
    logits = model(tokens, cache)
    cache.truncate(cache.length - tokens.shape[1])
    return logits
