"""Lesson 07: routing, load, and what is at work in a sparse layer."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import functional_call

from moe_lessons.accounting.parameters import swiglu_parameters
from moe_lessons.config import MoEConfig
from moe_lessons.exercises.draws import choices, normal
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model import load_balance
from moe_lessons.model.router import Router, choose


def route(
    logits: Float[Tensor, "tokens experts"], top_k: int
) -> tuple[Float[Tensor, "tokens top_k"], Int[Tensor, "tokens top_k"]]:
    """Weights and indices of each token's top_k experts, best first; a token's weights sum to 1."""
    n_experts = logits.shape[1]
    router = Router(n_experts, MoEConfig(n_routed_experts=n_experts, top_k=top_k, hidden_dim=1))
    # With the identity as its matrix, the package's router passes the logits through.
    routing = functional_call(router, {"weight": torch.eye(n_experts)}, logits)
    return routing.weights, routing.experts


def biased_route(
    scores: Float[Tensor, "tokens experts"], bias: Float[Tensor, " experts"], top_k: int
) -> tuple[Float[Tensor, "tokens top_k"], Int[Tensor, "tokens top_k"]]:
    """Choose by scores + bias, best first, but weigh by the scores alone, normalized over the chosen."""
    experts = choose(scores + bias, top_k)
    weights = scores.gather(1, experts)
    return weights / weights.sum(dim=-1, keepdim=True), experts


def chosen_weights(
    scores: Float[Tensor, "tokens experts"], experts: Int[Tensor, "tokens top_k"], normalize: bool, route_scale: float
) -> Float[Tensor, "tokens top_k"]:
    """What the chosen experts count: their scores, divided by the sum where that is asked for, times route_scale."""
    weights = scores.gather(1, experts)
    if normalize:
        weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights * route_scale


def small_scores(
    logits: Float[Tensor, "tokens experts"], bias: Float[Tensor, " experts"], top_k: int
) -> tuple[Float[Tensor, "tokens top_k"], Int[Tensor, "tokens top_k"]]:
    """Weights and experts of a router with sigmoid scores; a score may be far smaller than the bias."""
    return biased_route(logits.sigmoid(), bias, top_k)


def precise_choice(
    hidden: Float[Tensor, "tokens dim"], weight: Float[Tensor, "experts dim"], top_k: int
) -> Int[Tensor, "tokens top_k"]:
    """The experts of each token, best first, by logits in float32, whatever the precision of the token."""
    return choose(hidden.float() @ weight.float().T, top_k)


def max_over_mean(experts: Int[Tensor, "tokens top_k"], n_experts: int) -> float:
    """The busiest expert's number of tokens over the mean of all experts, idle ones included."""
    return load_balance.max_over_mean(load_balance.expert_load(experts, n_experts))


def active_parameters(dim: int, hidden_dim: int, n_routed_experts: int, n_shared_experts: int, top_k: int) -> int:
    """Parameters of one mixture layer that work on one token: router, chosen experts, shared experts."""
    return n_routed_experts * dim + (top_k + n_shared_experts) * swiglu_parameters(dim, hidden_dim)


def _logits(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[2.0, 1.0, 0.0, -1.0]]), 2
    for tokens, n_experts, top_k in ((3, 4, 2), (5, 8, 1), (6, 8, 3), (4, 4, 4)):
        yield 2 * normal(rng, tokens, n_experts), top_k


def _scores_and_bias(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0.9, 0.5, 0.4, 0.1]]), torch.tensor([-0.6, 0.0, 0.0, 0.5]), 2
    for tokens, n_experts, top_k in ((4, 4, 2), (6, 8, 3)):
        yield normal(rng, tokens, n_experts).sigmoid(), 0.5 * normal(rng, n_experts), top_k


def _weights_and_rules(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0.6, 0.2, 0.1, 0.1]]), torch.tensor([[0, 1]]), False, 2.5
    for normalize, route_scale in ((True, 2.5), (True, 1.0), (False, 1.0), (False, 0.5)):
        scores = normal(rng, 5, 8).sigmoid()
        yield scores, choose(scores, 3), normalize, route_scale
    # A bias has chosen others than the best.
    yield torch.tensor([[0.6, 0.2, 0.1, 0.1]]), torch.tensor([[3, 1]]), True, 2.5


def _small(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[-20.0, -18.0, -25.0]]), torch.tensor([0.4, 0.5, 0.0]), 2
    for tokens, n_experts, top_k in ((4, 4, 2), (6, 8, 3)):
        # Biases differ by more than these scores can: the choice has no near ties.
        bias = torch.from_numpy(rng.permutation(n_experts).astype(np.float32)) / n_experts
        yield normal(rng, tokens, n_experts) - 14, bias, top_k
    yield 2 * normal(rng, 6, 8), torch.from_numpy(rng.permutation(8).astype(np.float32)) / 20, 2


def _half(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.ones(1, 2, dtype=torch.bfloat16), torch.tensor([[1.0, 0.0], [1.0, 0.002], [0.5, 0.0]]), 1
    for tokens, dim, n_experts, top_k in ((40, 16, 8, 2), (60, 32, 16, 4)):
        yield normal(rng, tokens, dim).bfloat16(), normal(rng, n_experts, dim) / dim**0.5, top_k


def _loads(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0, 1], [0, 2], [0, 1]]), 4
    for tokens, n_experts, top_k in ((4, 16, 1), (40, 8, 2), (30, 4, 4)):
        yield choices(rng, tokens, n_experts, top_k), n_experts


def _sizes(rng: np.random.Generator) -> Iterator[tuple]:
    yield 4, 8, 8, 1, 2
    yield 64, 32, 16, 0, 4
    for _ in range(3):
        n_experts = int(rng.integers(4, 32))
        yield int(rng.integers(8, 64)), int(rng.integers(8, 64)), n_experts, int(rng.integers(1, 3)), n_experts // 3


def _chosen(scores: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    experts = choose(scores, top_k)
    return scores.gather(1, experts), experts


def _normalized(weights: Tensor, experts: Tensor) -> tuple[Tensor, Tensor]:
    return weights / weights.sum(dim=-1, keepdim=True), experts


def _load(experts: Tensor, n_experts: int) -> Tensor:
    return load_balance.expert_load(experts, n_experts).float()


def _biased_weights(scores: Tensor, bias: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    return _normalized(*_chosen(scores + bias, top_k))


def _unnormalized(scores: Tensor, bias: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    experts = choose(scores + bias, top_k)
    return scores.gather(1, experts), experts


def _experts_at_work(dim: int, hidden_dim: int, n_experts: int) -> int:
    return n_experts * swiglu_parameters(dim, hidden_dim)


def _recovered(logits: Tensor, bias: Tensor, top_k: int, least: float = 0.0) -> tuple[Tensor, Tensor]:
    biased, experts = _chosen(logits.sigmoid() + bias, top_k)
    weights = biased - bias[experts]
    return weights / (weights.sum(dim=-1, keepdim=True) + least), experts


def _divided(weights: Tensor, normalize: bool) -> Tensor:
    return weights / weights.sum(dim=-1, keepdim=True) if normalize else weights


EXERCISES = (
    Exercise(
        name="route",
        task="Return (weights, experts) of each token's top_k experts, best first, from its logits. "
        "Weights come from a softmax over all experts and are then divided by their sum over the chosen ones.",
        reference=route,
        inputs=_logits,
        mistakes={
            "The weights are not normalized: divide them by their sum, so that each token's weights make 1.": (
                lambda logits, top_k: _chosen(logits.softmax(dim=-1), top_k)
            ),
            "The softmax runs over the tokens; it runs over the experts (dim=-1).": lambda logits, top_k: _normalized(
                *_chosen(logits.softmax(dim=0), top_k)
            ),
            "You normalize raw logits, which may be negative; take the softmax first.": lambda logits, top_k: (
                _normalized(*_chosen(logits, top_k))
            ),
            "You return the logits themselves as weights; take the softmax and normalize.": _chosen,
            "You choose the experts with the lowest scores; choose the highest.": lambda logits, top_k: (
                logits.softmax(dim=-1).gather(1, choose(-logits, top_k))
                / logits.softmax(dim=-1).gather(1, choose(-logits, top_k)).sum(dim=-1, keepdim=True),
                choose(-logits, top_k),
            ),
            "All chosen experts weigh the same; the scores should say how much each one counts.": (
                lambda logits, top_k: (
                    torch.full((len(logits), top_k), 1 / top_k),
                    choose(logits, top_k),
                )
            ),
            "You take a second softmax, of probabilities, which makes the weights nearly equal; divide by the sum.": (
                lambda logits, top_k: (
                    _chosen(logits.softmax(dim=-1), top_k)[0].softmax(dim=-1),
                    choose(logits, top_k),
                )
            ),
            "The weights are sigmoids, normalized; this router scores with a softmax over all experts.": (
                lambda logits, top_k: _normalized(*_chosen(logits.sigmoid(), top_k))
            ),
        },
        success="Normalized over the chosen, a softmax over all experts equals a softmax over the chosen alone.",
        difficulty=2,
        minutes=10,
        differentiable=True,
        sources=("moe_lessons.model.router.Router", "moe_lessons.model.router.choose"),
    ),
    Exercise(
        name="biased_route",
        task="Find the bug that real inference engines shipped: choose top_k experts by scores + bias, best first, but "
        "weigh them by the scores alone. Weights are divided by their sum; return (weights, experts).",
        reference=biased_route,
        inputs=_scores_and_bias,
        mistakes={
            "The weights come from the biased scores; the bias is for choosing only, so gather the raw scores.": (
                _biased_weights
            ),
            "The bias takes no part in the choice; choose by scores + bias.": lambda scores, bias, top_k: _normalized(
                *_chosen(scores, top_k)
            ),
            "The weights are not normalized: divide them by their sum.": _unnormalized,
            "The bias is subtracted; it is added, so that an idle expert with a positive bias is chosen more often.": (
                lambda scores, bias, top_k: biased_route(scores, -bias, top_k)
            ),
            "The weights are the biased scores and are not normalized; gather the raw scores and "
            "divide by their sum.": (lambda scores, bias, top_k: _chosen(scores + bias, top_k)),
        },
        success="The bias moves tokens to idle experts and leaves what each expert contributes alone.",
        difficulty=2,
        minutes=8,
        sources=("moe_lessons.model.router.Router",),
    ),
    Exercise(
        name="chosen_weights",
        task="Find the bug: return the weights of the given experts, which are their scores, divided by their sum "
        "where normalize is true. They are multiplied by route_scale in either case.",
        reference=chosen_weights,
        inputs=_weights_and_rules,
        mistakes={
            "route_scale is skipped where the weights are not normalized; take it out of the `if`.": (
                lambda scores, experts, normalize, route_scale: chosen_weights(
                    scores, experts, normalize, route_scale if normalize else 1.0
                )
            ),
            "The normalization is forgotten: divide by the sum of the chosen scores where normalize is true.": (
                lambda scores, experts, normalize, route_scale: scores.gather(1, experts) * route_scale
            ),
            "route_scale is forgotten: multiply by it at the end.": lambda scores, experts, normalize, route_scale: (
                chosen_weights(scores, experts, normalize, 1.0)
            ),
            "You scale first, and the division takes the scale out again; divide first.": (
                lambda scores, experts, normalize, route_scale: _divided(
                    scores.gather(1, experts) * route_scale, normalize
                )
            ),
            "You divide by the sum over all experts; the sum is over the chosen ones.": (
                lambda scores, experts, normalize, route_scale: (
                    _divided(scores, normalize).gather(1, experts) * route_scale
                )
            ),
            "You take the largest scores; the experts are given, and a bias may have chosen others (gather).": (
                lambda scores, experts, normalize, route_scale: (
                    _divided(scores.topk(experts.shape[1]).values, normalize) * route_scale
                )
            ),
            "You normalize in either case; do so only where normalize is true.": (
                lambda scores, experts, normalize, route_scale: chosen_weights(scores, experts, True, route_scale)
            ),
        },
        success="With sigmoid scores and a scale above 1, as in DeepSeek-V3, each of the two makes a different model.",
        difficulty=1,
        minutes=5,
        differentiable=True,
        sources=("moe_lessons.model.router.Router",),
    ),
    Exercise(
        name="small_scores",
        task="Find the bug: a router with sigmoid scores chooses top_k experts by score + bias, best first, and weighs "
        "them by their scores, divided by the sum. Return (weights, experts); a score may be a billion times smaller "
        "than its bias.",
        reference=small_scores,
        inputs=_small,
        mistakes={
            "The score is recovered as biased minus bias, and a small one is lost in the rounding of the sum; "
            "gather it from the raw scores.": _recovered,
            "The score is recovered as biased minus bias and rounded to 0; the tiny number that you add keeps the NaN "
            "away and not the mistake: gather the raw scores.": lambda logits, bias, top_k: _recovered(
                logits, bias, top_k, least=1e-20
            ),
            "The weights come from the biased scores; gather the raw scores.": lambda logits, bias, top_k: (
                _biased_weights(logits.sigmoid(), bias, top_k)
            ),
            "The scores are a softmax; this router takes the sigmoid of each logit.": lambda logits, bias, top_k: (
                biased_route(logits.softmax(dim=-1), bias, top_k)
            ),
            "The weights are not normalized: divide them by their sum.": lambda logits, bias, top_k: _unnormalized(
                logits.sigmoid(), bias, top_k
            ),
            "The bias takes no part in the choice; choose by score + bias.": lambda logits, bias, top_k: _normalized(
                *_chosen(logits.sigmoid(), top_k)
            ),
        },
        success="Adding and subtracting the same number is not nothing: float32 keeps about seven digits of the sum.",
        difficulty=2,
        minutes=8,
        sources=("moe_lessons.model.router.Router",),
    ),
    Exercise(
        name="precise_choice",
        task="Find the bug: return each token's top_k experts, best first, by its logits, the products of the token "
        "with the rows of weight. Tokens arrive in bfloat16, which keeps three digits; the choice is made in float32.",
        reference=precise_choice,
        inputs=_half,
        mistakes={
            "The product is taken in bfloat16, where close logits become equal; turn the token into float32 before the "
            "product, not after it.": lambda hidden, weight, top_k: choose(hidden @ weight.to(hidden.dtype).T, top_k),
            "The rows of weight are rounded to bfloat16 first; keep them in float32.": lambda hidden, weight, top_k: (
                choose(hidden.float() @ weight.bfloat16().float().T, top_k)
            ),
            "The logits are right, but rounded to bfloat16 before the choice; sort them as they are.": (
                lambda hidden, weight, top_k: choose((hidden.float() @ weight.T).bfloat16(), top_k)
            ),
            "You choose the experts with the lowest logits; choose the highest.": lambda hidden, weight, top_k: choose(
                -(hidden.float() @ weight.T), top_k
            ),
            "The experts are right, but sorted by their number; return the best first.": (
                lambda hidden, weight, top_k: precise_choice(hidden, weight, top_k).sort(dim=-1).values
            ),
        },
        success="A flipped choice is another expert's output, not a rounding error: routers stay in float32.",
        difficulty=1,
        minutes=5,
        sources=("moe_lessons.model.router.Router",),
    ),
    Exercise(
        name="max_over_mean",
        task="Return the busiest expert's number of tokens divided by the mean over all n_experts. "
        "Idle experts count in the mean; 1 is perfect balance.",
        reference=max_over_mean,
        inputs=_loads,
        mistakes={
            "Idle experts are missing from the mean; bincount takes a `minlength`.": lambda experts, n_experts: float(
                (load := torch.bincount(experts.flatten()).float()).max() / load.mean()
            ),
            "You take the mean over the experts that were chosen; idle ones count too, with 0.": (
                lambda experts, n_experts: float(
                    _load(experts, n_experts).max() / _load(experts, n_experts)[_load(experts, n_experts) > 0].mean()
                )
            ),
            "That is the load of the busiest expert; divide it by the mean load.": lambda experts, n_experts: float(
                _load(experts, n_experts).max()
            ),
            "You divide the mean by the busiest; it is the other way round.": lambda experts, n_experts: (
                1 / max_over_mean(experts, n_experts)
            ),
            "That is the busiest expert's share of the tokens; divide its load by the mean load.": (
                lambda experts, n_experts: float(_load(experts, n_experts).max() / len(experts))
            ),
            "That is the busiest expert's share of all choices; divide its load by the mean load.": (
                lambda experts, n_experts: float(_load(experts, n_experts).max() / experts.numel())
            ),
            "You count first choices only; all top_k choices are work.": lambda experts, n_experts: float(
                _load(experts[:, :1], n_experts).max() / _load(experts[:, :1], n_experts).mean()
            ),
        },
        success="On machines that wait for each other, this is how many times longer the step takes than it could.",
        difficulty=1,
        minutes=5,
        sources=("moe_lessons.model.load_balance.expert_load", "moe_lessons.model.load_balance.max_over_mean"),
    ),
    Exercise(
        name="active_parameters",
        task="Count the parameters of one mixture-of-experts layer that work on one token: a "
        "router of n_routed_experts rows, top_k routed experts, all shared experts. Each expert is a SwiGLU of three "
        "dim x hidden_dim matrices.",
        reference=active_parameters,
        inputs=_sizes,
        mistakes={
            "You count every routed expert; only top_k of them work on one token.": (
                lambda dim, hidden, n, shared, top_k: n * dim + _experts_at_work(dim, hidden, n + shared)
            ),
            "The shared experts are missing: they always work.": lambda dim, hidden, n, shared, top_k: (
                n * dim + _experts_at_work(dim, hidden, top_k)
            ),
            "The router is missing: it scores every expert for every token.": lambda dim, hidden, n, shared, top_k: (
                _experts_at_work(dim, hidden, top_k + shared)
            ),
            "The router scores all experts, not just the chosen ones: n_routed_experts times dim.": (
                lambda dim, hidden, n, shared, top_k: top_k * dim + _experts_at_work(dim, hidden, top_k + shared)
            ),
            "An expert has three matrices: gate, up and down.": lambda dim, hidden, n, shared, top_k: (
                n * dim + (top_k + shared) * 2 * dim * hidden
            ),
        },
        success="The total grows with the number of experts, this number hardly: that is the whole trick.",
        difficulty=1,
        minutes=6,
        sources=("moe_lessons.accounting.parameters.parameter_table",),
    ),
)
