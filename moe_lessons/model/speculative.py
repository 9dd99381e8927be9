"""Speculative decoding (Leviathan et al., arXiv:2211.17192) with the model's own multi-token modules as drafter.

Drafts are cheap guesses at the next tokens; the main model then reads all of them in one pass. A rule decides which
to keep such that the text is distributed exactly as if the main model had written it alone.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from moe_lessons.model.cache import Cache, make_cache
from moe_lessons.model.generate import next_token_distribution, ready_to_write, require_room
from moe_lessons.model.transformer import Transformer


class Verdict(NamedTuple):
    """What became of some drafts."""

    accepted: int  # the first so many are kept
    token: int  # follows them: in place of the first refused draft, or for free if none was
    wanted: list[float]  # what the main model gives each draft that was looked at, given those before it
    drafted: list[float]  # what it was drawn with


class Step(NamedTuple):
    """One pass of the main model."""

    position: int  # of the first draft
    drafts: list[int]
    accepted: int  # these four are Verdict's
    token: int
    wanted: list[float]
    drafted: list[float]


class Speculation(NamedTuple):
    """A written text, and how it came about."""

    tokens: Int[Tensor, "1 longer"]
    steps: list[Step]  # after the first token, which the reading of the prompt gave

    @property
    def acceptance_rate(self) -> float:
        """Share of the drafts that were kept; nan where there was none."""
        drafted = sum(len(step.drafts) for step in self.steps)
        return sum(step.accepted for step in self.steps) / drafted if drafted else float("nan")

    @property
    def tokens_per_pass(self) -> float:
        """New tokens for each pass of the main model, the reading of the prompt left out; nan without a pass."""
        return sum(step.accepted + 1 for step in self.steps) / len(self.steps) if self.steps else float("nan")


def chance(wanted: float, drafted: float) -> float:
    """Probability with which a draft is accepted."""
    return min(1.0, wanted / drafted)


def judge(
    drafts: Int[Tensor, " drafts"],
    drafted_from: Float[Tensor, "drafts vocab"],
    wanted: Float[Tensor, "one_more vocab"],
    generator: torch.Generator,
) -> Verdict:
    """Accept each draft with probability min(1, p / q) until one is refused; then draw from what p has left over q.

    q is the distribution that the draft was drawn from, p the main model's (`wanted`) at the same place. A draft that
    q proposes too often is refused just often enough, and the rest (p - q)+ makes up for it, so that drafts and
    replacement together follow p (arXiv:2211.17192, algorithm 1 and appendix A.1).
    """
    each = range(len(drafts))
    p_of, q_of = wanted[each, drafts].tolist(), drafted_from[each, drafts].tolist()
    for place, (p, q) in enumerate(zip(p_of, q_of, strict=True)):
        # A draw from [0, 1) is below 1 always and below 0 never, so certain cases are certain.
        if torch.rand((), generator=generator, dtype=torch.float64) >= chance(p, q):
            left = (wanted[place] - drafted_from[place]).clamp(min=0)
            token = _draw(left if left.any() else wanted[place], generator)  # p = q but for rounding
            return Verdict(place, token, p_of[: place + 1], q_of[: place + 1])
    return Verdict(len(drafts), _draw(wanted[len(drafts)], generator), p_of, q_of)


class Drafter:
    """Guesses the next `n_drafts` tokens of one sequence, keeping what it has read in a cache.

    Module d looks d + 1 tokens past a position. At the last positions these are guesses, so what was made from them
    is forgotten before the next call, and made again from what came true.
    """

    def __init__(self, model: Transformer, n_drafts: int, max_length: int) -> None:
        config, weight = model.config, model.embedding.weight
        self.model, self.modules = model, model.mtp[:n_drafts]
        layers = range(config.n_layers, config.n_layers + n_drafts)
        self.cache: Cache = make_cache(config, 1, max_length, layers=layers, device=weight.device, dtype=weight.dtype)
        self.hidden = weight.new_zeros(1, 0, config.dim)  # the main model's, at positions that the cache lacks

    def draft(
        self,
        tokens: Int[Tensor, "1 time"],
        hidden: Float[Tensor, "1 new dim"],
        generator: torch.Generator,
        temperature: float = 1.0,
        top_p: float = 1.0,
    ) -> tuple[Int[Tensor, " drafts"], Float[Tensor, "drafts vocab"]]:
        """Guesses for the tokens after `tokens`, and the distributions that they were drawn from, on the CPU.

        `hidden` is what the main model's head read (Transformer.read) at those positions but the last that no call
        has brought yet.
        """
        model, read = self.model, self.cache.length
        self.hidden = torch.cat([self.hidden, hidden], dim=1)
        end = tokens.shape[1] - 1  # positions whose hidden state is known
        by = self.cache.rotation(end - read)
        stream, drafts, distributions = self.hidden, [], []
        for depth, module in enumerate(self.modules):
            following = torch.cat([tokens, *drafts], dim=1)[:, read + depth + 1 :]
            stream = module(stream, model.embedding(following), by, self.cache)
            distribution = next_token_distribution(model.head(stream[:, -1]).float(), temperature, top_p).cpu()
            # Without chance, all is on one token, and it need not be drawn.
            draft = (
                distribution.argmax(dim=-1, keepdim=True)
                if temperature == 0
                else torch.multinomial(distribution, 1, generator=generator)
            )
            drafts.append(draft.to(tokens.device))
            distributions.append(distribution)
        self.cache.advance(end - read)
        # The deepest module saw no guess up to this position; a shallower one up to a later one, which is read again.
        true = max(0, end - (len(self.modules) - 1))
        self.cache.truncate(true)
        self.hidden = self.hidden[:, true - read :]
        return torch.cat(drafts, dim=1)[0].cpu(), torch.cat(distributions)


@torch.inference_mode()
def speculate(
    model: Transformer,
    tokens: Int[Tensor, "batch time"],
    n_new: int,
    *,
    n_drafts: int | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> Speculation:
    """Append `n_new` tokens as `generate` would, several for one pass of the model where its drafts are accepted.

    `n_drafts` are tried at a time, by default as many as there are modules. The text is distributed as `generate`'s;
    with temperature 0 it is the same text, but for ties within rounding.
    Raises ValueError for a model without multi-token modules, for more than one sequence, and where `generate` does.
    """
    if not model.mtp:
        raise ValueError("the model has no multi-token modules to draft with; train one with mtp_depth of at least 1")
    n_drafts = len(model.mtp) if n_drafts is None else n_drafts
    if not 1 <= n_drafts <= len(model.mtp):
        raise ValueError(
            f"n_drafts is {n_drafts}, but must be from 1 to the model's {len(model.mtp)} multi-token modules"
        )
    if len(tokens) != 1:
        raise ValueError(f"there are {len(tokens)} prompts, but each accepts other drafts; give them one at a time")
    total = require_room(model, tokens, n_new)
    generator = torch.Generator().manual_seed(seed)
    weight = model.embedding.weight
    cache = make_cache(model.config, 1, total, device=weight.device, dtype=weight.dtype)
    drafter, steps = Drafter(model, n_drafts, total), []

    def distributions(hidden: Tensor) -> Tensor:
        return next_token_distribution(model.head(hidden)[0].float(), temperature, top_p).cpu()

    def append(*new: int) -> Tensor:
        return torch.cat([tokens, tokens.new_tensor([new])], dim=1)

    with ready_to_write(model, n_drafts + 1):
        if n_new:
            hidden = model.read(tokens, cache)
            tokens = append(_draw(distributions(hidden[:, -1:])[0], generator))
        while tokens.shape[1] < total:
            drafts, drafted_from = drafter.draft(tokens, hidden, generator, temperature, top_p)
            known = tokens.shape[1]
            useful = total - known - 1  # the pass itself gives one more token
            drafts, drafted_from = drafts[:useful], drafted_from[:useful]
            hidden = model.read(torch.cat([tokens[:, -1:], drafts[None].to(tokens.device)], dim=1), cache)
            verdict = judge(drafts, drafted_from, distributions(hidden), generator)
            steps.append(Step(known, drafts.tolist(), *verdict))
            tokens = append(*drafts[: verdict.accepted].tolist(), verdict.token)
            # What was read of refused drafts is forgotten; the new token itself has not been read yet.
            cache.truncate(known + verdict.accepted)
            hidden = hidden[:, : verdict.accepted + 1]
    return Speculation(tokens, steps)


def _draw(weights: Float[Tensor, " vocab"], generator: torch.Generator) -> int:
    return int(torch.multinomial(weights, 1, generator=generator))
