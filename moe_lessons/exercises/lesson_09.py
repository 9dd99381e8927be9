"""Lesson 09: small experts, a gate of sigmoids, groups of experts, and what is at work in a whole model."""

from collections.abc import Iterator
from dataclasses import replace
from math import comb

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import functional_call

from moe_lessons.config import AttentionConfig, LatentAttentionConfig, ModelConfig, MoEConfig
from moe_lessons.exercises.draws import normal
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model import load_balance
from moe_lessons.model.router import Router, choose, within_best_groups


def cut(n_routed_experts: int, top_k: int, hidden_dim: int, parts: int, n_shared_experts: int) -> tuple[int, ...]:
    """The new (n_routed_experts, top_k, hidden_dim) and how many sets of routed experts a token can choose from."""
    routed, chosen = parts * n_routed_experts - n_shared_experts, parts * top_k - n_shared_experts
    return routed, chosen, hidden_dim // parts, comb(routed, chosen)


def gate(
    logits: Float[Tensor, "tokens experts"], bias: Float[Tensor, " experts"], top_k: int, route_scale: float
) -> tuple[Float[Tensor, "tokens top_k"], Int[Tensor, "tokens top_k"]]:
    """DeepSeek-V3's weights and experts, best first, for a single group."""
    n_experts = len(bias)
    sizes = {"n_routed_experts": n_experts, "top_k": top_k, "hidden_dim": 1, "expert_bias": True}
    router = Router(n_experts, MoEConfig(score_function="sigmoid", route_scale=route_scale, **sizes))
    # With the identity as its matrix, the package's router passes the logits through.
    routing = functional_call(router, {"weight": torch.eye(n_experts), "expert_bias": bias}, logits)
    return routing.weights, routing.experts


def within_groups(
    scores: Float[Tensor, "tokens experts"], n_groups: int, top_groups: int, top_k: int
) -> Int[Tensor, "tokens top_k"]:
    """Each token's experts, best first, all from its best groups; a group is as good as its two best together."""
    return choose(within_best_groups(scores, n_groups, top_groups, "top2"), top_k)


def sigmoid_balance(scores: Float[Tensor, "tokens experts"], experts: Int[Tensor, "tokens top_k"]) -> Tensor:
    """experts * sum over experts of (share of all choices) * (mean of each token's scores divided by their sum)."""
    return load_balance.balance_loss(scores, experts)


def machines(experts: Int[Tensor, "tokens top_k"], experts_per_machine: int) -> float:
    """On how many different machines a token's experts lie, on average."""
    of_choice = experts // experts_per_machine
    on = torch.zeros(len(experts), int(of_choice.max()) + 1).scatter(1, of_choice, 1.0)
    return float(on.sum(dim=1).mean())


def total_and_active(config: ModelConfig, attention: int) -> tuple[int, int]:
    """Parameters of a whole model and those at work on one token; `attention` are one layer's, its norms included."""
    return _count(config, attention)


def _count(
    config: ModelConfig,
    attention: int,
    *,
    heads: int | None = None,
    layers: int | None = None,
    norms: int | None = None,
    biases: bool = True,
    rows: int | None = None,
) -> tuple[int, int]:
    """The count, or what it becomes with one of its parts counted otherwise."""
    moe, dim = config.mixture, config.dim
    sparse = config.n_layers - moe.n_dense_layers if layers is None else layers
    outside = config.vocab_size * dim * ((1 if config.tie_embeddings else 2) if heads is None else heads)
    outside += (2 * config.n_layers + 1) * dim if norms is None else norms
    outside += config.n_layers * attention + (config.n_layers - sparse) * 3 * dim * config.hidden_dim
    expert = 3 * dim * moe.hidden_dim
    scored = moe.n_routed_experts if rows is None else rows
    everybody = scored * (dim + (moe.expert_bias and biases)) + moe.n_shared_experts * expert
    total, active = (outside + sparse * (everybody + n * expert) for n in (moe.n_routed_experts, moe.top_k))
    return int(total), int(active)


def _layers_to_cut(rng: np.random.Generator) -> Iterator[tuple]:
    yield 16, 2, 64, 2, 1
    yield 8, 2, 96, 1, 0
    yield 16, 2, 64, 4, 0
    for parts in (2, 3, 4):
        yield int(rng.integers(6, 20)), int(rng.integers(2, 4)), 12 * int(rng.integers(1, 9)), parts, 1 + parts // 4


def _gates(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[2.0, 1.0, 0.0, -1.0]]), torch.tensor([-0.5, 0.0, 0.0, 0.0]), 2, 2.5
    for tokens, n_experts, top_k, route_scale in ((4, 6, 3, 2.5), (6, 8, 2, 1.0), (5, 16, 4, 0.5)):
        # Biases that decide: neighbors are farther apart than rounding.
        bias = torch.from_numpy(rng.permutation(n_experts).astype(np.float32)) / n_experts
        yield 2 * normal(rng, tokens, n_experts), bias, top_k, route_scale


def _scores_in_groups(rng: np.random.Generator) -> Iterator[tuple]:
    # The best expert has a poor neighbor; and with a bias, good scores can lie below 0.
    yield torch.tensor([[0.9, 0.1, 0.7, 0.6]]), 2, 1, 2
    yield torch.tensor([[-0.1, -0.2, -0.3, -0.8]]), 2, 1, 2
    for tokens, n_groups, size, top_groups, top_k in ((6, 4, 4, 2, 4), (8, 8, 3, 3, 6), (5, 2, 6, 1, 6)):
        yield normal(rng, tokens, n_groups * size), n_groups, top_groups, top_k


def _scores_and_choices(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0.9, 0.6, 0.1], [0.8, 0.1, 0.6]]), torch.tensor([[0], [0]])
    for tokens, n_experts, top_k in ((6, 4, 2), (10, 8, 3)):
        scores = normal(rng, tokens, n_experts).sigmoid()
        yield scores, choose(scores, top_k)


def _placed(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0, 1, 5], [2, 4, 7]]), 4
    for tokens, n_experts, top_k, size in ((6, 32, 4, 4), (9, 24, 6, 8), (4, 6, 2, 1)):
        chosen = [rng.permutation(n_experts)[:top_k] for _ in range(tokens)]
        yield torch.from_numpy(np.stack(chosen)), size
    yield torch.tensor([[0, 1, 2], [0, 1, 3], [0, 4, 8]]), 4  # 5/3 is no round number, and not the median


def _models(rng: np.random.Generator) -> Iterator[tuple]:
    moe = MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=3, n_shared_experts=1, n_dense_layers=1, expert_bias=True)
    small = ModelConfig(
        vocab_size=10, dim=4, n_layers=3, hidden_dim=8, max_length=8, attention=AttentionConfig(n_heads=2), moe=moe
    )
    yield small, 64
    yield replace(small, tie_embeddings=False), 64
    yield replace(small, n_layers=5, moe=replace(moe, expert_bias=False, n_shared_experts=2)), 100
    latent = LatentAttentionConfig(
        n_heads=int(rng.integers(2, 5)), kv_lora_rank=6, qk_nope_head_dim=4, qk_rope_head_dim=2, v_head_dim=4
    )
    yield replace(small, dim=12, attention=latent, tie_embeddings=False, moe=replace(moe, n_dense_layers=2)), 777


def _weighed(raw: Tensor, experts: Tensor, route_scale: float) -> tuple[Tensor, Tensor]:
    weights = raw.gather(1, experts)
    return weights / weights.sum(dim=-1, keepdim=True) * route_scale, experts


def _in_groups(scores: Tensor, n_groups: int, top_groups: int, top_k: int, worth, outside: float) -> Tensor:
    """The choice when groups are ranked by `worth` of their members, and others' scores become `outside`."""
    groups = scores.unflatten(1, (n_groups, -1))
    best = choose(worth(groups), top_groups)
    closed = torch.ones(groups.shape[:2], dtype=torch.bool).scatter(1, best, False)
    return choose(groups.masked_fill(closed[..., None], outside).flatten(1), top_k)


def _top2(groups: Tensor) -> Tensor:
    return groups.topk(2, dim=-1).values.sum(dim=-1)


def _mixed(scores: Tensor, experts: Tensor, probability: Tensor) -> Tensor:
    share = load_balance.expert_load(experts, scores.shape[1]) / experts.numel()
    return scores.shape[1] * (share * probability.mean(dim=0)).sum()


def _over_the_chosen(scores: Tensor, experts: Tensor, values: Tensor) -> Tensor:
    """Each chosen expert's value over the sum of the chosen ones, 0 for the others."""
    return torch.zeros_like(scores).scatter(1, experts, values / values.sum(dim=-1, keepdim=True))


EXERCISES = (
    Exercise(
        name="cut",
        task="Cut every expert into `parts` equal ones, take `parts` times as many, and let n_shared_experts of the "
        "small ones be always on, in place of routed ones. Return the new (n_routed_experts, top_k, hidden_dim, "
        "number of different sets of routed experts).",
        reference=cut,
        inputs=_layers_to_cut,
        mistakes={
            "The shared experts come on top of the routed ones; they take the place of some, in the layer and among "
            "the chosen, or a token does more work than before.": lambda n, k, hidden, parts, shared: cut(
                n, k, hidden, parts, 0
            ),
            "A shared expert is always on, so it takes a place among the chosen too: subtract it from top_k.": (
                lambda n, k, hidden, parts, shared: (
                    parts * n - shared,
                    parts * k,
                    hidden // parts,
                    comb(parts * n - shared, parts * k),
                )
            ),
            "You subtract the shared experts from top_k only; they are no longer routed, so subtract them there too.": (
                lambda n, k, hidden, parts, shared: (
                    parts * n,
                    parts * k - shared,
                    hidden // parts,
                    comb(parts * n, parts * k - shared),
                )
            ),
            "The experts keep their width; each part has only a share of the hidden units.": (
                lambda n, k, hidden, parts, shared: (
                    *cut(n, k, hidden, parts, shared)[:2],
                    hidden,
                    cut(n, k, hidden, parts, shared)[3],
                )
            ),
            "You count in which order the experts are named; a set has no order, so divide by top_k factorial.": (
                lambda n, k, hidden, parts, shared: (
                    *cut(n, k, hidden, parts, shared)[:3],
                    int(np.prod([parts * n - shared - i for i in range(parts * k - shared)], dtype=object)),
                )
            ),
            "You count the sets of all experts; the shared ones are in every set, so only routed ones are chosen.": (
                lambda n, k, hidden, parts, shared: (
                    *cut(n, k, hidden, parts, shared)[:3],
                    comb(parts * n, parts * k),
                )
            ),
        },
        success="The same work and the same parameters, and a great many more ways to put a layer together.",
        difficulty=1,
        minutes=6,
    ),
    Exercise(
        name="gate",
        task="Write DeepSeek-V3's gate for one group: sigmoid scores; top_k experts by score + bias, best first; "
        "weights from the scores alone, divided by their sum, times route_scale. Return (weights, experts).",
        reference=gate,
        inputs=_gates,
        mistakes={
            "The weights come from the biased scores; the bias chooses and never weighs.": (
                lambda logits, bias, k, scale: _weighed(
                    logits.sigmoid() + bias, choose(logits.sigmoid() + bias, k), scale
                )
            ),
            "The bias is added to the logits; it is added to the scores, after the sigmoid.": (
                lambda logits, bias, k, scale: _weighed(logits.sigmoid(), choose(logits + bias, k), scale)
            ),
            "The bias takes no part in the choice; choose by score + bias.": lambda logits, bias, k, scale: _weighed(
                logits.sigmoid(), choose(logits, k), scale
            ),
            "The scores are a softmax; this gate takes the sigmoid of each logit by itself.": (
                lambda logits, bias, k, scale: _weighed(
                    logits.softmax(dim=-1), choose(logits.softmax(dim=-1) + bias, k), scale
                )
            ),
            "You choose well, but weigh by a softmax over the chosen logits; divide their sigmoids by the sum.": (
                lambda logits, bias, k, scale: (
                    logits.gather(1, choose(logits.sigmoid() + bias, k)).softmax(dim=-1) * scale,
                    choose(logits.sigmoid() + bias, k),
                )
            ),
            "The weights are not divided by their sum: k sigmoids may add up to anything between 0 and k.": (
                lambda logits, bias, k, scale: (
                    logits.sigmoid().gather(1, choose(logits.sigmoid() + bias, k)) * scale,
                    choose(logits.sigmoid() + bias, k),
                )
            ),
            "route_scale is missing: multiply by it after the division.": lambda logits, bias, k, scale: gate(
                logits, bias, k, 1.0
            ),
            "You divide by the sum over all experts; the sum is over the chosen ones.": (
                lambda logits, bias, k, scale: (
                    logits.sigmoid().gather(1, choose(logits.sigmoid() + bias, k))
                    / logits.sigmoid().sum(dim=-1, keepdim=True)
                    * scale,
                    choose(logits.sigmoid() + bias, k),
                )
            ),
        },
        success="A few lines that decide, 58 times for each token, which 8 of 256 experts' weights are read at all.",
        difficulty=2,
        minutes=10,
        differentiable=True,
        sources=("moe_lessons.model.router.Router",),
    ),
    Exercise(
        name="within_groups",
        task="Find the two bugs: each token may use its top_groups best of n_groups groups of neighboring experts, and "
        "a group is as good as its two best scores together. Return its top_k experts in these groups, best first; "
        "scores include a bias and may be negative.",
        reference=within_groups,
        inputs=_scores_in_groups,
        mistakes={
            "A group is ranked by its best expert alone, and closed groups get a score of 0, which beats a negative "
            "one; take the sum of the best two, and -inf.": lambda scores, n, best, k: _in_groups(
                scores, n, best, k, lambda groups: groups.amax(dim=-1), 0.0
            ),
            "A closed group's score of 0 beats the negative scores of an open one; mask with -inf.": (
                lambda scores, n, best, k: _in_groups(scores, n, best, k, _top2, 0.0)
            ),
            "A group is ranked by its best expert alone; DeepSeek-V3 adds up its two best.": (
                lambda scores, n, best, k: _in_groups(
                    scores, n, best, k, lambda groups: groups.amax(dim=-1), float("-inf")
                )
            ),
            "A group is ranked by the sum of all of its experts; add up the two best only.": (
                lambda scores, n, best, k: _in_groups(
                    scores, n, best, k, lambda groups: groups.sum(dim=-1), float("-inf")
                )
            ),
            "Every group stays open: mask the experts outside a token's best groups with -inf before the choice.": (
                lambda scores, n, best, k: choose(scores, k)
            ),
            "The experts are right, but numbered within the groups that are left; return their numbers in the layer.": (
                lambda scores, n, best, k: choose(
                    scores.unflatten(1, (n, -1))
                    .gather(
                        1,
                        choose(_top2(scores.unflatten(1, (n, -1))), best)
                        .sort(dim=1)
                        .values[..., None]
                        .expand(-1, -1, scores.shape[1] // n),
                    )
                    .flatten(1),
                    k,
                )
            ),
            "Groups are made of every n_groups-th expert; a group is a run of neighbors.": (
                lambda scores, n, best, k: _scattered(scores, n, best, k)
            ),
        },
        success="A token's vector now travels to at most top_groups machines, however many experts it uses.",
        difficulty=2,
        minutes=10,
        sources=("moe_lessons.model.router.within_best_groups",),
    ),
    Exercise(
        name="sigmoid_balance",
        task="Find the two bugs: return n_experts times the sum over experts of f * p, where f is the expert's share "
        "of all choices and p the mean over tokens of its score divided by the sum of the token's scores. The scores "
        "are sigmoids.",
        reference=sigmoid_balance,
        inputs=_scores_and_choices,
        mistakes={
            "The scores get a softmax on top, and p is over the chosen experts only; divide each token's scores by the "
            "sum of all of them.": lambda scores, experts: _mixed(
                scores,
                experts,
                torch.zeros_like(scores).scatter(1, experts, scores.gather(1, experts).softmax(dim=-1)),
            ),
            "A softmax of scores that are scores already makes all experts look nearly alike; divide by the sum.": (
                lambda scores, experts: _mixed(scores, experts, scores.softmax(dim=-1))
            ),
            "p is over the chosen experts only, so that idle ones never feel it; divide by the sum over all experts.": (
                lambda scores, experts: _mixed(
                    scores, experts, _over_the_chosen(scores, experts, scores.gather(1, experts))
                )
            ),
            "The scores are not divided by their sum, so the loss can fall by making all of them small.": (
                lambda scores, experts: _mixed(scores, experts, scores)
            ),
            "You divide by the sum over the tokens; each token's scores are divided by their own sum (dim=-1).": (
                lambda scores, experts: _mixed(scores, experts, scores / scores.sum(dim=0)) * len(scores)
            ),
            "You average first and divide by the sum afterwards; each token has one vote, so divide first.": (
                lambda scores, experts: _mixed(
                    scores, experts, (scores.mean(dim=0) / scores.mean(dim=0).sum()).expand_as(scores)
                )
            ),
            "The factor n_experts is missing; with it, perfect balance gives 1.": lambda scores, experts: (
                sigmoid_balance(scores, experts) / scores.shape[1]
            ),
        },
        success="DeepSeek-V3 keeps this loss, within each sequence and with a weight of 0.0001, beside its bias.",
        difficulty=2,
        minutes=8,
        differentiable=True,
        sources=("moe_lessons.model.load_balance.balance_loss",),
    ),
    Exercise(
        name="machines",
        task="Each machine holds experts_per_machine neighboring experts. Return on how many different machines a "
        "token's chosen experts lie, as a mean over the tokens.",
        reference=machines,
        inputs=_placed,
        mistakes={
            "You count the experts; two of them on one machine cost one journey.": lambda experts, size: float(
                experts.shape[1]
            ),
            "You count the machines that anybody uses; count for each token, then take the mean.": (
                lambda experts, size: float(len((experts // size).unique()))
            ),
            "You divide all machines by the number of tokens; count for each token, then take the mean.": (
                lambda experts, size: len((experts // size).unique()) / len(experts)
            ),
            "Expert e lies on machine e // experts_per_machine, since neighbors share a machine; you take the "
            "remainder.": lambda experts, size: machines(experts % size, 1),
            "That is the busiest token's number; take the mean over the tokens.": lambda experts, size: float(
                max(len(set(row)) for row in (experts // size).tolist())
            ),
        },
        success="Times 7,168 numbers there and back, this is what one layer of DeepSeek-V3 sends for one token.",
        difficulty=1,
        minutes=6,
    ),
    Exercise(
        name="total_and_active",
        task="Count a whole model: (parameters in all, parameters at work on one token). `attention` is what one "
        "layer's attention holds, its own norms included; all else follows from the configuration, the router's bias "
        "too.",
        reference=total_and_active,
        inputs=_models,
        mistakes={
            "The output head is missing where the embeddings are not tied.": lambda config, attention: _count(
                config, attention, heads=1
            ),
            "A tied head is counted twice: it works with the embedding's own numbers.": lambda config, attention: (
                _count(config, attention, heads=2)
            ),
            "The first moe.n_dense_layers layers have a dense feed-forward of hidden_dim; you give them experts.": (
                lambda config, attention: _count(config, attention, layers=config.n_layers)
            ),
            "The norms are missing: two of dim numbers in each layer, and one at the end.": lambda config, attention: (
                _count(config, attention, norms=0)
            ),
            "The last norm is missing: dim more.": lambda config, attention: _count(
                config, attention, norms=2 * config.n_layers * config.dim
            ),
            "The router's bias is missing: one number for each routed expert, where expert_bias is true.": (
                lambda config, attention: _count(config, attention, biases=False)
            ),
            "The shared experts are missing; they are always at work.": lambda config, attention: _count(
                replace(config, moe=replace(config.moe, n_shared_experts=0)), attention
            ),
            "You swapped the two: all routed experts count in the first number, top_k of them in the second.": (
                lambda config, attention: _count(config, attention)[::-1]
            ),
            "The router scores every routed expert for each token, so all of its rows are at work.": (
                lambda config, attention: (
                    _count(config, attention)[0],
                    _count(config, attention, rows=config.moe.top_k)[1],
                )
            ),
        },
        success="Give it DeepSeek-V3's card and 187,107,328 numbers of attention, and the claim is in your hand.",
        difficulty=3,
        minutes=12,
        sources=("moe_lessons.accounting.parameters.parameter_table", "moe_lessons.accounting.parameters.layer_table"),
    ),
)


def _scattered(scores: Tensor, n_groups: int, top_groups: int, top_k: int) -> Tensor:
    """The choice when group g holds the experts g, g + n_groups, ..."""
    order = torch.arange(scores.shape[1]).view(-1, n_groups).T.flatten()
    return order[within_groups(scores[:, order], n_groups, top_groups, top_k)]
