"""Writing text: temperature, top-p and the key-value cache."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor

from moe_lessons.model.attention import stacked_products
from moe_lessons.model.cache import make_cache
from moe_lessons.model.threads import on_threads
from moe_lessons.model.transformer import Transformer

# Up to here a second thread would not pay: numbers of the largest matrix, and tokens that pass through it at once.
SMALL = 1 << 18
FEW = 4


def next_token_distribution(
    logits: Float[Tensor, "*batch vocab"], temperature: float = 1.0, top_p: float = 1.0
) -> Float[Tensor, "*batch vocab"]:
    """Probabilities after temperature and nucleus sampling (Holtzman et al., arXiv:1904.09751).

    The nucleus is the smallest set of most likely tokens whose probability reaches top_p; the token that crosses
    the line belongs to it. Temperature 0 puts everything on the most likely token.
    Raises ValueError for a negative temperature or a top_p outside (0, 1].
    """
    _check(temperature, top_p)
    if temperature == 0:
        return torch.zeros_like(logits).scatter(-1, logits.argmax(dim=-1, keepdim=True), 1.0)
    probabilities = (logits / temperature).softmax(dim=-1)
    if top_p < 1:
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
        before = ordered.cumsum(dim=-1) - ordered
        ordered = ordered.masked_fill(before >= top_p, 0.0)
        probabilities = torch.zeros_like(probabilities).scatter(-1, order, ordered)
        probabilities = probabilities / probabilities.sum(dim=-1, keepdim=True)
    return probabilities


def draw(
    logits: Float[Tensor, "batch vocab"], generator: torch.Generator, temperature: float = 1.0, top_p: float = 1.0
) -> Int[Tensor, "batch 1"]:
    """A token for each sequence from its `next_token_distribution`; on the CPU, so that a seed means the same text
    on every device. Raises ValueError as that does.
    """
    if temperature == 0:
        _check(temperature, top_p)
        return logits.argmax(dim=-1, keepdim=True)  # where no chance is involved, nothing need be drawn
    return torch.multinomial(next_token_distribution(logits, temperature, top_p).cpu(), 1, generator=generator)


def _check(temperature: float, top_p: float) -> None:
    if not temperature >= 0:  # nan is neither
        raise ValueError(f"temperature is {temperature}, but must be 0 (always the likeliest token) or more")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}, but must be above 0 and at most 1")


@contextmanager
def ready_to_write(model: Transformer, tokens_at_once: int) -> Iterator[None]:
    """Inside the block, which must leave the weights alone, passes over few tokens of a small model take less time.

    What they compute is the same up to rounding.
    """
    config = model.config
    small = config.dim * max(config.vocab_size, config.hidden_dim) <= SMALL and tokens_at_once <= FEW
    with stacked_products(model), on_threads(1 if small and model.embedding.weight.is_cpu else None):
        yield


@torch.inference_mode()
def generate(
    model: Transformer,
    tokens: Int[Tensor, "batch time"],
    n_new: int,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    use_cache: bool = True,
) -> Int[Tensor, "batch longer"]:
    """Append `n_new` sampled tokens to each sequence; the same seed gives the same text, cached or not.

    Raises ValueError for an empty prompt, a negative `n_new`, or more tokens than the model's max_length.
    """
    total = require_room(model, tokens, n_new)
    generator = torch.Generator().manual_seed(seed)
    dtype = model.embedding.weight.dtype
    cache = make_cache(model.config, len(tokens), total, device=tokens.device, dtype=dtype) if use_cache else None
    written = [tokens]
    with ready_to_write(model, len(tokens) if use_cache else total * len(tokens)):
        for _ in range(n_new):
            logits = model(written[-1] if use_cache else torch.cat(written, dim=1), cache)[:, -1]
            written.append(draw(logits.float(), generator, temperature, top_p).to(tokens.device))
    return torch.cat(written, dim=1)


def require_room(model: Transformer, tokens: Int[Tensor, "batch time"], n_new: int) -> int:
    """The length of prompt and new tokens together; ValueError where there is no prompt, or no room for them."""
    if n_new < 0:
        raise ValueError(f"n_new is {n_new}, but must be 0 or more; what is written already cannot be taken back")
    if tokens.shape[1] == 0:
        raise ValueError("the prompt is empty, but the model needs at least one token; start with <|doc|>")
    total = tokens.shape[1] + n_new
    if total > model.config.max_length:
        raise ValueError(
            f"prompt and new tokens make {total}, but the model reads at most max_length = "
            f"{model.config.max_length}; shorten the prompt or ask for fewer tokens"
        )
    return total
