"""Lesson 13: routers that others wrote, honest loads and shares, knocking out, and what a configuration says."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moe_lessons.exercises.draws import normal
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model.load_balance import expert_load
from moe_lessons.model.router import choose
from moe_lessons.tracing.specialization import entropy, mutual_information


def understand(
    weights: Float[Tensor, "tokens top_k"],
    experts: Int[Tensor, "tokens top_k"],
    wanted: Float[Tensor, "tokens experts"],
) -> tuple[Float[Tensor, "tokens top_k"], Int[Tensor, "tokens top_k"]]:
    """A router's weights and experts, best first: by what the choice went by, each weight still with its expert."""
    order = wanted.gather(1, experts).sort(dim=-1, descending=True, stable=True).indices
    return weights.gather(1, order), experts.gather(1, order)


def load_of_text(
    experts: Int[Tensor, "batch time top_k"], mask: Bool[Tensor, "batch time"], n_experts: int
) -> Float[Tensor, " experts"]:
    """Each expert's share of all choices of real tokens; padding, where the mask is False, is nobody's work."""
    load = expert_load(experts[mask], n_experts).float()
    return load / load.sum()


def beyond(
    experts: Int[np.ndarray, " samples"], domains: Int[np.ndarray, " samples"], tokens: Int[np.ndarray, " samples"]
) -> float:
    """The share of the experts' entropy that the domain explains once the token is known."""
    both = tokens * (domains.max() + 1) + domains
    return (mutual_information(experts, both) - mutual_information(experts, tokens)) / entropy(experts)


def route_without(
    scores: Float[Tensor, "tokens experts"], bias: Float[Tensor, " experts"], off: int, top_k: int
) -> tuple[Float[Tensor, "tokens top_k"], Int[Tensor, "tokens top_k"]]:
    """Weights and experts, best first, of a router with a bias, when nobody may choose the expert `off`."""
    wanted = (scores + bias).index_fill(1, torch.tensor([off]), -torch.inf)
    experts = choose(wanted, top_k)
    weights = scores.gather(1, experts)
    return weights / weights.sum(dim=-1, keepdim=True), experts


def sparsity(config: dict[str, Any]) -> float:
    """The share of a layer's experts that work on one token, from a model's config.json; 1.0 for a dense model."""
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    count = next((config[name] for name in names if config.get(name)), None)
    return config["num_experts_per_tok"] / count if count else 1.0


def _answers(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0.25, 0.75]]), torch.tensor([[2, 0]]), torch.tensor([[0.6, 0.1, 0.2, 0.1]])
    # A bias has made the lighter expert the first choice.
    yield torch.tensor([[0.7, 0.3]]), torch.tensor([[1, 3]]), torch.tensor([[0.0, 0.4, 0.1, 0.9]])
    for tokens, n_experts, top_k in ((4, 8, 3), (5, 6, 4)):
        wanted = normal(rng, tokens, n_experts)
        experts = torch.from_numpy(np.stack([rng.permutation(row[:top_k]) for row in choose(wanted, top_k).numpy()]))
        yield torch.softmax(normal(rng, tokens, top_k), dim=-1), experts, wanted
    yield torch.tensor([[0.5, 2.0]]), torch.tensor([[0, 1]]), torch.tensor([[0.1, 0.9]])  # weights need not sum to 1
    # A limit to some groups of experts has left the best one out.
    yield torch.tensor([[0.6, 0.4]]), torch.tensor([[0, 2]]), torch.tensor([[0.1, 0.9, 0.5]])


def _padded(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[[3], [3], [0]], [[0], [1], [2]]]), torch.tensor([[False, False, True], [True] * 3]), 4
    for rows, time, n_experts, top_k in ((2, 6, 4, 2), (3, 8, 8, 3)):
        chosen = [[rng.permutation(n_experts)[:top_k] for _ in range(time)] for _ in range(rows)]
        lengths = rng.integers(2, time, rows)
        mask = torch.from_numpy(np.arange(time) >= time - lengths[:, None])
        yield torch.from_numpy(np.array(chosen)), mask, n_experts


def _labels(rng: np.random.Generator) -> Iterator[tuple]:
    # The domain decides, and half of the tokens give it away.
    yield np.array([0, 0, 1, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 1, 0, 1, 0, 1]), np.array([5, 5, 6, 6, 7, 7, 7, 7])
    for samples, n_tokens, n_domains in ((60, 6, 2), (200, 10, 4)):
        tokens, domains = rng.integers(0, n_tokens, samples), rng.integers(0, n_domains, samples)
        yield (2 * tokens + domains + rng.integers(0, 2, samples)) % 5, domains, tokens
    # Labels whose digits run into one another: 1 and 11 look like 11 and 1.
    tokens, domains = rng.choice([1, 11], 80), rng.choice([1, 2, 11], 80)
    yield (tokens * domains + rng.integers(0, 2, 80)) % 5, domains, tokens


def _scores(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0.5, 0.3, 0.15, 0.05]]), torch.tensor([0.0, 0.0, 0.0, 0.12]), 0, 2
    # The bias likes the expert that is to be missing.
    yield torch.tensor([[0.4, 0.3, 0.2, 0.1]]), torch.tensor([0.0, 0.0, 0.5, 0.0]), 2, 2
    for tokens, n_experts, top_k in ((5, 4, 2), (6, 8, 3)):
        scores = torch.softmax(2 * normal(rng, tokens, n_experts), dim=-1)
        yield scores, 0.3 * normal(rng, n_experts), int(rng.integers(0, n_experts)), top_k
    # All others are far below 0.
    yield torch.tensor([[0.5, 0.3, 0.15, 0.05]]), torch.tensor([0.0, -20.0, -20.0, -20.0]), 0, 2


def _configs(rng: np.random.Generator) -> Iterator[tuple]:
    yield ({"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2},)
    yield ({"model_type": "llama", "hidden_size": 4096},)
    yield ({"model_type": "qwen3_moe", "num_experts": 128, "num_experts_per_tok": 8},)
    yield ({"model_type": "deepseek_v3", "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8},)
    # A dense model of a family that has sparse ones.
    yield ({"model_type": "granite", "num_local_experts": 0, "num_experts_per_tok": 0},)


def _shares(load: Tensor) -> Tensor:
    return load.float() / load.sum()


def _normalized(scores: Tensor, experts: Tensor) -> tuple[Tensor, Tensor]:
    weights = scores.gather(1, experts)
    return weights / weights.sum(dim=-1, keepdim=True), experts


def _silenced(scores: Tensor, bias: Tensor, off: int, top_k: int) -> tuple[Tensor, Tensor]:
    """The expert stays chosen and counts nothing: there is no next best."""
    weights, experts = _normalized(scores, choose(scores + bias, top_k))
    return weights.masked_fill(experts == off, 0.0), experts


def _column_taken_out(scores: Tensor, bias: Tensor, off: int, top_k: int) -> tuple[Tensor, Tensor]:
    weights, experts = route_without(scores, bias, off, top_k)
    return weights, experts - (experts > off).long()


def _wanted_without(scores: Tensor, bias: Tensor, off: int) -> Tensor:
    return (scores + bias).index_fill(1, torch.tensor([off]), -torch.inf)


def _score_of_zero(scores: Tensor, bias: Tensor, off: int, top_k: int) -> tuple[Tensor, Tensor]:
    left = scores.index_fill(1, torch.tensor([off]), 0.0)
    return _normalized(left, choose(left + bias, top_k))


def _count(config: dict[str, Any], *names: str) -> int:
    return next((config[name] for name in names if config.get(name)), 0)


_ALL = ("num_local_experts", "num_experts", "n_routed_experts")


def _with_default(config: dict[str, Any]) -> float:
    return config.get("num_experts_per_tok", 1) / (config.get("num_local_experts") or 1)


def _in_all(config: dict[str, Any]) -> float:
    count = _count(config, *_ALL)
    shared = config.get("n_shared_experts", 0)
    return (config["num_experts_per_tok"] + shared) / (count + shared) if count else 1.0


EXERCISES = (
    Exercise(
        name="understand",
        task="A router of somebody else returns each token's weights and experts in any order. Return (weights, "
        "experts) with the best first, that is the one that `wanted`, its scores with the bias, puts first.",
        reference=understand,
        inputs=_answers,
        mistakes={
            "The experts are sorted and the weights stay where they were: each weight belongs to its expert, so both "
            "follow one order.": lambda weights, experts, wanted: (weights, understand(weights, experts, wanted)[1]),
            "You sort by the weights. With a bias the first choice can be the lighter one; sort by `wanted`.": (
                lambda weights, experts, wanted: (
                    weights.sort(dim=-1, descending=True).values,
                    experts.gather(1, weights.sort(dim=-1, descending=True).indices),
                )
            ),
            "You return them as they came; some routers do not put the best first.": lambda weights, experts, wanted: (
                weights,
                experts,
            ),
            "You take the experts that `wanted` puts first; the router may have left one out, so keep those given.": (
                lambda weights, experts, wanted: (
                    understand(weights, experts, wanted)[0],
                    choose(wanted, experts.shape[1]),
                )
            ),
            "You divide the weights by their sum; they are the other router's own, and some do not sum to 1.": (
                lambda weights, experts, wanted: (
                    (ordered := understand(weights, experts, wanted))[0] / weights.sum(dim=-1, keepdim=True),
                    ordered[1],
                )
            ),
            "The worst comes first; sort descending.": lambda weights, experts, wanted: tuple(
                part.flip(1) for part in understand(weights, experts, wanted)
            ),
            "That is the order itself, places within the answer; gather the experts at these places.": (
                lambda weights, experts, wanted: (
                    understand(weights, experts, wanted)[0],
                    wanted.gather(1, experts).sort(dim=-1, descending=True).indices,
                )
            ),
        },
        success="This is most of what stands between our lens and every family whose routers say what they chose.",
        difficulty=2,
        minutes=7,
        sources=("moe_lessons.tracing.foreign_router.ForeignRouter._ordered",),
    ),
    Exercise(
        name="load_of_text",
        task="Texts of different length share a batch, and the shorter ones are filled up. Return each expert's share "
        "of all choices of real tokens, those where `mask` is True.",
        reference=load_of_text,
        inputs=_padded,
        mistakes={
            "Padding is counted; take the choices at `mask` first.": lambda experts, mask, n_experts: _shares(
                expert_load(experts.flatten(0, 1), n_experts)
            ),
            "You count the padding only: `mask` is True where there is text.": lambda experts, mask, n_experts: _shares(
                expert_load(experts[~mask], n_experts)
            ),
            "Divide by all choices of real tokens, not by the number of these tokens: each makes top_k of them.": (
                lambda experts, mask, n_experts: expert_load(experts[mask], n_experts).float() / mask.sum()
            ),
            "Padding is left out of the counts but not of what you divide by.": lambda experts, mask, n_experts: (
                expert_load(experts[mask], n_experts).float() / experts.numel()
            ),
            "That is a number of choices; divide it by the number of all choices.": lambda experts, mask, n_experts: (
                expert_load(experts[mask], n_experts).float()
            ),
            "You take the mean of the texts' shares; a longer text makes more choices, so count them all together.": (
                lambda experts, mask, n_experts: torch.stack(
                    [_shares(expert_load(chosen[real], n_experts)) for chosen, real in zip(experts, mask, strict=True)]
                ).mean(dim=0)
            ),
            "Idle experts at the end are missing; bincount takes a `minlength`.": lambda experts, mask, n_experts: (
                _shares(torch.bincount(experts[mask].flatten()))
            ),
            "First choices only; all top_k are work.": lambda experts, mask, n_experts: _shares(
                expert_load(experts[mask][:, :1], n_experts)
            ),
        },
        success="Balance losses of two large libraries once forgot this (transformers#28505, Megatron-LM#1984).",
        difficulty=1,
        minutes=5,
        sources=("moe_lessons.model.load_balance.expert_load",),
    ),
    Exercise(
        name="beyond",
        task="Return the share of the experts' entropy that the domain explains beyond the token: what both together "
        "tell, less what the token tells alone, over the entropy. Use `mutual_information(a, b)` and `entropy(a)`.",
        reference=beyond,
        inputs=_labels,
        mistakes={
            "That is what the domain tells by itself; much of it the token has told already.": (
                lambda experts, domains, tokens: mutual_information(experts, domains) / entropy(experts)
            ),
            "That is what both tell together; subtract what the token tells alone.": lambda experts, domains, tokens: (
                mutual_information(experts, tokens * (domains.max() + 1) + domains) / entropy(experts)
            ),
            "You subtract what the token tells from what the domain tells. What both know is then counted against the "
            "domain twice; begin with what the pair tells.": lambda experts, domains, tokens: (
                (mutual_information(experts, domains) - mutual_information(experts, tokens)) / entropy(experts)
            ),
            "That is what the token tells.": lambda experts, domains, tokens: (
                mutual_information(experts, tokens) / entropy(experts)
            ),
            "You divide by what the token leaves open; divide by the whole entropy of the experts.": (
                lambda experts, domains, tokens: (
                    (left := entropy(experts) - mutual_information(experts, tokens))
                    and beyond(experts, domains, tokens) * entropy(experts) / left
                )
            ),
            "In nats it is right; divide by the entropy of the experts.": lambda experts, domains, tokens: (
                beyond(experts, domains, tokens) * entropy(experts)
            ),
            "A sum is no pair: token 1 in domain 2 and token 2 in domain 1 become one label. Give each pair its own.": (
                lambda experts, domains, tokens: (
                    (mutual_information(experts, tokens + domains) - mutual_information(experts, tokens))
                    / entropy(experts)
                )
            ),
            "As text, token 1 in domain 11 and token 11 in domain 1 are one label; keep the two numbers apart.": (
                lambda experts, domains, tokens: (
                    (
                        mutual_information(
                            experts,
                            np.array([int(f"{token}{domain}") for token, domain in zip(tokens, domains, strict=True)]),
                        )
                        - mutual_information(experts, tokens)
                    )
                    / entropy(experts)
                )
            ),
            "You took the token beyond the domain; the question is the other way round.": (
                lambda experts, domains, tokens: beyond(experts, tokens, domains)
            ),
        },
        success="What is left is an upper limit: shuffle the domains within each token to see what chance would leave.",
        difficulty=2,
        minutes=8,
        sources=("moe_lessons.tracing.specialization.share_explained",),
    ),
    Exercise(
        name="route_without",
        task="Knock out one expert of a router with a bias: choose the top_k by score + bias among the others, best "
        "first, and weigh them by their scores, divided by the sum. Return (weights, experts).",
        reference=route_without,
        inputs=_scores,
        mistakes={
            "The expert is still chosen and only its weight is 0, so a token that wanted it is left with fewer; let it "
            "lose the choice, and the next best takes its place.": _silenced,
            "Its score is 0 and the bias can lift it back into the choice; -inf cannot be lifted.": _score_of_zero,
            "Biased scores can lie below what you put in its place; only -inf never wins.": (
                lambda scores, bias, off, top_k: _normalized(
                    scores, choose((scores + bias).index_fill(1, torch.tensor([off]), 0.0), top_k)
                )
            ),
            "Nobody is missing: make the choice without the expert `off`.": lambda scores, bias, off, top_k: (
                _normalized(scores, choose(scores + bias, top_k))
            ),
            "The weights come from the biased scores; the bias chooses and never weighs.": (
                lambda scores, bias, off, top_k: _normalized(
                    scores + bias, choose(_wanted_without(scores, bias, off), top_k)
                )
            ),
            "The bias takes no part in the choice; choose by score + bias.": lambda scores, bias, off, top_k: (
                _normalized(scores, choose(scores.index_fill(1, torch.tensor([off]), -torch.inf), top_k))
            ),
            "You took the expert's column out, so that all behind it have other numbers; give experts their own.": (
                _column_taken_out
            ),
            "The weights are not divided by their sum.": lambda scores, bias, off, top_k: (
                scores.gather(1, route_without(scores, bias, off, top_k)[1]),
                route_without(scores, bias, off, top_k)[1],
            ),
        },
        success="That is `knock_out`: the model's own rule, with one candidate fewer.",
        difficulty=2,
        minutes=7,
        sources=("moe_lessons.tracing.steer.knock_out",),
    ),
    Exercise(
        name="sparsity",
        task="Read a published config.json: return num_experts_per_tok over the number of routed experts, and 1.0 for "
        "a dense model. Families call that number num_local_experts, num_experts or n_routed_experts; dense ones leave "
        "it out or set it to 0.",
        reference=sparsity,
        inputs=_configs,
        mistakes={
            "You know one family's name for it only; a family with another name looks dense to you.": lambda config: (
                config["num_experts_per_tok"] / config["num_local_experts"] if config.get("num_local_experts") else 1.0
            ),
            "A name that is missing became 1 expert; look for all three names, and call a model dense where none has "
            "a number.": _with_default,
            "Shared experts always work; the question is about the routed ones.": _in_all,
            "That is the number of experts over those at work; turn it round.": lambda config: 1 / sparsity(config),
            "A dense model uses all that it has: 1.0, not 0.": lambda config: (
                0.0 if sparsity(config) == 1 else sparsity(config)
            ),
        },
        success="One division sorts every model on the hub into dense and sparse.",
        difficulty=1,
        minutes=5,
        sources=("moe_lessons.published.families",),
    ),
)
