"""Lesson 11: predicting further ahead, and writing with drafts."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from moe_lessons.accounting import count_parameters
from moe_lessons.config import AttentionConfig, ModelConfig
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model.multi_token import multi_token_loss
from moe_lessons.model.speculative import chance


def ahead_loss(
    logits: Float[Tensor, "batch fewer vocab"], targets: Int[Tensor, "batch time"], depth: int
) -> Float[Tensor, ""]:
    """Mean cross-entropy of what module `depth` predicts; it looks depth + 1 tokens past the next one."""
    return multi_token_loss([logits], targets[:, depth:])


def added_parameters(dim: int, hidden_dim: int, vocab_size: int) -> int:
    """What one multi-token module adds to a dense model whose heads together are `dim` wide."""

    def total(depth: int) -> int:
        config = ModelConfig(
            vocab_size=vocab_size,
            dim=dim,
            n_layers=1,
            hidden_dim=hidden_dim,
            max_length=8,
            attention=AttentionConfig(n_heads=1),
            mtp_depth=depth,
        )
        return count_parameters(config).total

    return total(1) - total(0)


def acceptance(p: Float[Tensor, " vocab"], q: Float[Tensor, " vocab"]) -> Float[Tensor, ""]:
    """The probability that a draft from q is accepted for a main model that wants p."""
    return torch.minimum(p, q).sum()


def leftover(p: Float[Tensor, " vocab"], q: Float[Tensor, " vocab"]) -> Float[Tensor, " vocab"]:
    """The distribution that a refused draft's replacement is drawn from; p itself where p = q."""
    left = (p - q).clamp(min=0)
    return left / left.sum() if left.any() else p


def new_tokens(drafts: list[int], p: list[float], q: list[float], dice: list[float], own: list[int]) -> list[int]:
    """The tokens that one pass adds to the text."""
    for kept, die in enumerate(dice):
        if die >= chance(p[kept], q[kept]):
            return [*drafts[:kept], own[kept]]
    return [*drafts, own[len(drafts)]]


def cache_length(known: int, n_drafts: int, accepted: int) -> int:
    """How many positions the cache may keep after a pass."""
    return known + min(accepted, n_drafts)


def _predictions(rng: np.random.Generator) -> Iterator[tuple]:
    sure = 4 * F.one_hot(torch.tensor([[1, 2, 3, 0]]), 4).float()
    yield sure, torch.tensor([[0, 1, 2, 3]]), 0
    for batch, time, depth in ((2, 5, 0), (2, 6, 1), (1, 7, 2)):
        logits = torch.from_numpy(rng.standard_normal((batch, time - depth, 6), dtype=np.float32))
        yield logits, torch.from_numpy(rng.integers(0, 6, (batch, time))), depth


def _sizes(rng: np.random.Generator) -> Iterator[tuple]:
    yield 4, 8, 10
    for _ in range(3):
        yield 2 * int(rng.integers(4, 64)), int(rng.integers(8, 200)), int(rng.integers(16, 2000))


def _two_distributions(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([0.5, 0.25, 0.25]), torch.tensor([0.25, 0.25, 0.5])
    yield torch.tensor([0.5, 0.5, 0.0, 0.0]), torch.tensor([0.0, 0.0, 0.75, 0.25])
    yield torch.tensor([0.75, 0.25]), torch.tensor([0.75, 0.25])
    yield torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.75, 0.0])  # nobody wants the last token
    for vocab in (4, 8):
        yield tuple(torch.from_numpy(rng.dirichlet(np.ones(vocab)).astype(np.float32)) for _ in range(2))


def _passes(rng: np.random.Generator) -> Iterator[tuple]:
    yield [7, 8], [0.5, 0.1], [0.25, 0.4], [0.9, 0.5], [1, 2, 3]
    yield [7, 8], [0.3, 0.3], [0.3, 0.2], [0.6, 0.8], [1, 2, 3]
    yield [7, 8, 9], [0.1, 0.9, 0.9], [0.5, 0.5, 0.5], [0.6, 0.1, 0.1], [1, 2, 3, 4]
    yield [7, 8], [0.9, 0.8], [0.9, 0.9], [0.2, 0.1], [1, 2, 3]
    yield [5], [0.0], [1.0], [0.0], [6, 4]  # greedy: what cannot be is refused, whatever the die says
    for n in (2, 3, 4, 5):
        p, q, dice = rng.uniform(0.05, 1, (3, n)).tolist()
        yield rng.integers(0, 99, n).tolist(), p, q, dice, rng.integers(0, 99, n + 1).tolist()


def _lengths(rng: np.random.Generator) -> Iterator[tuple]:
    yield 10, 3, 1
    yield 10, 3, 0
    yield 10, 3, 3
    for _ in range(2):
        n_drafts = int(rng.integers(2, 6))
        yield int(rng.integers(1, 100)), n_drafts, int(rng.integers(1, n_drafts))


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    n = min(logits.shape[1], targets.shape[1])
    return F.cross_entropy(logits[:, :n].flatten(0, 1), targets[:, :n].flatten())


def _with_rule(rule: Callable[[float, float, float], bool]) -> Callable:
    def wrong(drafts: list, p: list, q: list, dice: list, own: list) -> list:
        for kept, die in enumerate(dice):
            if not rule(die, p[kept], q[kept]):
                return [*drafts[:kept], own[kept]]
        return [*drafts, own[len(drafts)]]

    return wrong


def _shipped(drafts: list, p: list, q: list, dice: list, own: list) -> list:
    """The code of the lesson's stub: accepts with p, and forgets the free token."""
    for kept, die in enumerate(dice):
        if die >= p[kept]:
            return [*drafts[:kept], own[kept]]
    return drafts


def _goes_on(drafts: list, p: list, q: list, dice: list, own: list) -> list:
    kept = [draft for draft, a, b, die in zip(drafts, p, q, dice, strict=True) if die < chance(a, b)]
    return [*kept, own[len(kept)]]


EXERCISES = (
    Exercise(
        name="ahead_loss",
        task="Find the bug: return the mean cross-entropy of module `depth` (0 is the first). `targets` are the tokens "
        "after each position, and this module predicts depth + 1 tokens further; its last position has no target.",
        reference=ahead_loss,
        inputs=_predictions,
        mistakes={
            "The targets are the next tokens, which the main head predicts; this module looks depth + 1 further.": (
                lambda logits, targets, depth: _cross_entropy(logits, targets)
            ),
            "One too near: module 0 already looks one token past the next one, so begin at targets[:, depth + 1].": (
                lambda logits, targets, depth: _cross_entropy(logits, targets[:, depth:])
            ),
            "One too far: begin at targets[:, depth + 1].": (
                lambda logits, targets, depth: _cross_entropy(logits, targets[:, depth + 2 :])
            ),
            "The position without a target is the last one; you leave out the first.": (
                lambda logits, targets, depth: _cross_entropy(logits[:, 1:], targets[:, depth + 1 :])
            ),
            "That is the sum over positions; take the mean.": (
                lambda logits, targets, depth: ahead_loss(logits, targets, depth) * logits[:, :-1, 0].numel()
            ),
        },
        success="Off by one, a module would learn what the main head knows already, and its drafts would be stale.",
        difficulty=2,
        minutes=6,
        differentiable=True,
        sources=("moe_lessons.model.multi_token.multi_token_loss",),
    ),
    Exercise(
        name="added_parameters",
        task="Return how many parameters one module adds to a dense model: three norms of `dim`, the projection, and a "
        "block: two norms, attention of four matrices dim x dim, a SwiGLU of three matrices dim x hidden_dim.",
        reference=added_parameters,
        inputs=_sizes,
        mistakes={
            "Embedding and head are the main model's own; the module brings no vocabulary along.": (
                lambda dim, hidden_dim, vocab_size: added_parameters(dim, hidden_dim, vocab_size) + 2 * vocab_size * dim
            ),
            "The head is the main model's own; the module brings none along.": (
                lambda dim, hidden_dim, vocab_size: added_parameters(dim, hidden_dim, vocab_size) + vocab_size * dim
            ),
            "The projection reads two vectors side by side: 2 x dim numbers in, dim out.": (
                lambda dim, hidden_dim, vocab_size: added_parameters(dim, hidden_dim, vocab_size) - dim * dim
            ),
            "The projection is missing: it makes dim numbers of the 2 x dim that come in.": (
                lambda dim, hidden_dim, vocab_size: added_parameters(dim, hidden_dim, vocab_size) - 2 * dim * dim
            ),
            "Count the norms: one for either input, one at the end, and two inside the block.": (
                lambda dim, hidden_dim, vocab_size: added_parameters(dim, hidden_dim, vocab_size) - 3 * dim
            ),
            "Count the norms as well: five, with `dim` numbers each.": (
                lambda dim, hidden_dim, vocab_size: added_parameters(dim, hidden_dim, vocab_size) - 5 * dim
            ),
            "A SwiGLU has three matrices: gate, up and down.": (
                lambda dim, hidden_dim, vocab_size: added_parameters(dim, hidden_dim, vocab_size) - dim * hidden_dim
            ),
        },
        success="A block and a projection: a draft costs about as much as one more layer, and the head once more.",
        difficulty=1,
        minutes=5,
        sources=("moe_lessons.model.multi_token.MultiTokenModule",),
    ),
    Exercise(
        name="acceptance",
        task="A draft is drawn from q and accepted with probability min(1, p / q) at that token. Return the chance "
        "that it is accepted, over all drafts that may come.",
        reference=acceptance,
        inputs=_two_distributions,
        mistakes={
            "That is how often two draws, one from each, agree; the rule accepts far more than that.": (
                lambda p, q: (p * q).sum()
            ),
            "You average min(1, p / q) over the vocabulary; weigh each token by how often q drafts it.": (
                lambda p, q: (p / q.clamp(min=1e-9)).clamp(max=1).mean()
            ),
            "Where p and q are both 0 you divide 0 by 0 (NaN); torch.minimum(p, q) needs no division.": (
                lambda p, q: ((p / q).clamp(max=1) * q).sum()
            ),
            "You weigh by p; drafts come from q, so weigh min(1, p / q) by q.": (
                lambda p, q: ((p / q.clamp(min=1e-9)).clamp(max=1) * p).sum()
            ),
            "You add min(1, p / q) up over the vocabulary; weigh each token by how often q drafts it.": (
                lambda p, q: (p / q.clamp(min=1e-9)).clamp(max=1).sum()
            ),
            "Half is missing: what one has too much of, the other lacks, so both halves of |p - q| say the same.": (
                lambda p, q: 1 - (p - q).abs().sum()
            ),
            "That is the larger of both at each token; what both share is the smaller.": (
                lambda p, q: torch.maximum(p, q).sum()
            ),
            "That is the probability of being refused.": lambda p, q: (q - p).clamp(min=0).sum(),
        },
        success="The overlap. Two models need not be sure, nor agree on the best token; it is enough to doubt alike.",
        difficulty=2,
        minutes=5,
        sources=("moe_lessons.model.speculative.judge",),
    ),
    Exercise(
        name="leftover",
        task="Return the distribution that a refused draft's replacement is drawn from: where p exceeds q, in "
        "proportion to what is missing. Where p and q are the same nothing is ever refused; return p.",
        reference=leftover,
        inputs=_two_distributions,
        mistakes={
            "These shares do not sum to 1; divide by their sum.": lambda p, q: (
                (p - q).clamp(min=0) if (p - q).clamp(min=0).any() else p
            ),
            "These shares do not sum to 1; divide by their sum, and where p is q return p.": lambda p, q: (p - q).clamp(
                min=0
            ),
            "You take p where it exceeds q, but in proportion to what is missing there: p - q.": (
                lambda p, q: p.where(p > q, 0) / p.where(p > q, 0).sum() if (p > q).any() else p
            ),
            "Where p and q are the same nothing is missing, and you return zeros; return p there.": (
                lambda p, q: (p - q).clamp(min=0) / (p - q).clamp(min=0).sum() if (p > q).any() else torch.zeros_like(p)
            ),
            "You draw from p itself: tokens that were drafted often enough would come too often.": lambda p, q: p,
            "These are the tokens that were drafted too often; take those drafted too rarely, p - q.": (
                lambda p, q: leftover(q, p)
            ),
            "|p - q| also holds what was drafted too often; keep only where p is larger.": lambda p, q: (
                (p - q).abs() / (p - q).abs().sum() if (p - q).any() else p
            ),
            "A softmax gives every token something; divide by the sum instead.": (
                lambda p, q: (p - q).clamp(min=0).softmax(dim=0)
            ),
            "Where p equals q you divide 0 by 0; return p there.": lambda p, q: (
                (p - q).clamp(min=0) / (p - q).clamp(min=0).sum()
            ),
        },
        success="What the drafts brought too rarely comes back here, and the sum of both ways is p, to the last token.",
        difficulty=2,
        minutes=6,
        sources=("moe_lessons.model.speculative.judge",),
    ),
    Exercise(
        name="new_tokens",
        task="Find the two bugs: return the tokens that one pass adds. Draft i was drawn with q[i], the main model "
        "gives it p[i], and dice[i] lies in [0, 1); own[k] is what the main model adds behind k kept drafts.",
        reference=new_tokens,
        inputs=_passes,
        mistakes={
            "Keep a draft with probability min(1, p / q), not p; and if all are kept, one token more comes for free.": (
                _shipped
            ),
            "A draft is kept with probability min(1, p / q); you keep it with p, far too rarely.": _with_rule(
                lambda die, p, q: die < p
            ),
            "If all drafts are kept, the pass gives one token more: own[len(drafts)]. You forget it.": (
                lambda drafts, p, q, dice, own: new_tokens(drafts, p, q, dice, own)[: len(drafts)]
            ),
            "The ratio is upside down: refuse what was drafted too often, which is where q exceeds p.": _with_rule(
                lambda die, p, q: die * p < q
            ),
            "You keep a draft only if the main model likes it at least as well; chance has a say where it does not.": (
                _with_rule(lambda die, p, q: p >= q)
            ),
            "You go on behind a refused draft; those behind it were guessed for a text that is not written.": _goes_on,
            "A refused draft is replaced, not dropped: own[k] belongs behind the k kept ones.": (
                lambda drafts, p, q, dice, own: (
                    [*drafts, own[-1]]
                    if len(new_tokens(drafts, p, q, dice, own)) > len(drafts)
                    else new_tokens(drafts, p, q, dice, own)[:-1]
                )
            ),
            "A die of 0 and a chance of 0: that must be refused. Keep where die < chance.": _with_rule(
                lambda die, p, q: die <= chance(p, q)
            ),
        },
        success="Every pass adds at least one token, so drafts can cost time, but never the text.",
        difficulty=3,
        minutes=8,
        sources=("moe_lessons.model.speculative.judge",),
    ),
    Exercise(
        name="cache_length",
        task="A text has `known` tokens, the last of them not yet read. The pass reads it and `n_drafts` drafts, of "
        "which `accepted` are kept. Return how many positions the cache may keep.",
        reference=cache_length,
        inputs=_lengths,
        mistakes={
            "The refused drafts are still in the cache: later tokens would attend to words that were never written.": (
                lambda known, n_drafts, accepted: known + n_drafts
            ),
            "The pass's own token is not in the cache: it was drawn at the end and will be read in the next pass.": (
                lambda known, n_drafts, accepted: known + accepted + 1
            ),
            "The accepted drafts were read and may stay; you throw them away and read them again.": (
                lambda known, n_drafts, accepted: known
            ),
            "The last known token was read in this pass, so it counts: known, not known - 1.": (
                lambda known, n_drafts, accepted: known - 1 + accepted
            ),
        },
        success="Without this line the text still looks like text, which is what makes the bug so hard to see.",
        difficulty=1,
        minutes=4,
        sources=("moe_lessons.model.speculative.speculate", "moe_lessons.model.cache.Cache.truncate"),
    ),
)
