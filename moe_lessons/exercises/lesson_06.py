"""Lesson 06: bringing results back, where groups end, who finds a slot, and what multiplying by zeros costs."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from moe_lessons.exercises.draws import choices, normal
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model.capacity import within_capacity
from moe_lessons.model.dispatch import sort_by_expert


def combine(
    outputs: Float[Tensor, "choices dim"], order: Int[Tensor, " choices"], weights: Float[Tensor, "tokens top_k"]
) -> Float[Tensor, "tokens dim"]:
    """Each token's weighted sum of its choices' outputs, which lie sorted: row i belongs to choice order[i]."""
    rows = order // weights.shape[1]
    weighted = outputs * weights.flatten()[order, None]
    return outputs.new_zeros(len(weights), outputs.shape[1]).index_add(0, rows, weighted)


def group_ends(experts: Int[Tensor, "tokens top_k"], n_experts: int) -> Int[Tensor, " experts"]:
    """For choices sorted by expert, the row after each expert's last one."""
    return sort_by_expert(experts, n_experts)[1].cumsum(0)


def first_come(experts: Int[Tensor, "tokens top_k"], n_experts: int, slots: int) -> Bool[Tensor, "tokens top_k"]:
    """Which choices find a slot: all first choices in the order of the batch, then all second ones, and so on."""
    return within_capacity(experts, torch.zeros(experts.shape), n_experts, slots, "first come")


def after_dropping(
    weights: Float[Tensor, "tokens top_k"], kept: Bool[Tensor, "tokens top_k"]
) -> tuple[Float[Tensor, "tokens top_k"], int]:
    """Weights with 0 for dropped choices, the others as they were, and how many choices were dropped."""
    return weights * kept, int((~kept).sum())


def table_flops(tokens: int, dim: int, n_experts: int, slots: int) -> int:
    """FLOPs of sending tokens into slots and bringing the results back, each by one product with a table."""
    return 2 * (2 * tokens * n_experts * slots * dim)


def _sorted_outputs(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[1.0], [2.0], [4.0], [8.0]]), torch.tensor([1, 2, 0, 3]), torch.tensor([[0.7, 0.3], [0.6, 0.4]])
    for tokens, n_experts, top_k, dim in ((5, 4, 2, 3), (6, 8, 3, 2), (4, 3, 1, 4)):
        order, _ = sort_by_expert(choices(rng, tokens, n_experts, top_k), n_experts)
        yield normal(rng, tokens * top_k, dim), order, normal(rng, tokens, top_k).softmax(dim=-1)


def _routed(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[1, 0], [1, 3], [3, 1]]), 5
    for tokens, n_experts, top_k in ((6, 4, 2), (5, 8, 1), (7, 3, 3)):
        yield choices(rng, tokens, n_experts, top_k), n_experts


def _crowded(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0, 1], [0, 1], [1, 0]]), 2, 2
    for tokens, n_experts, top_k, slots in ((8, 4, 2, 3), (9, 3, 2, 5), (10, 4, 3, 6), (7, 3, 1, 2), (5, 2, 2, 0)):
        yield choices(rng, tokens, n_experts, top_k), n_experts, slots


def _dropped(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[0.6, 0.4], [0.9, 0.1]]), torch.tensor([[True, False], [True, True]])
    for tokens, top_k in ((6, 2), (5, 3)):
        kept = torch.from_numpy(rng.random((tokens, top_k)) < 0.6)
        kept[0] = False  # a token that loses everything
        yield normal(rng, tokens, top_k).softmax(dim=-1), kept
    # A choice that is kept and weighs nothing was not dropped.
    yield torch.tensor([[0.0, 1.0], [0.5, 0.5]]), torch.tensor([[True, True], [True, False]])


def _tables(rng: np.random.Generator) -> Iterator[tuple]:
    yield 10, 4, 2, 6
    for tokens, dim, n_experts, top_k in ((4096, 128, 16, 2), (100, 64, 7, 3)):
        yield tokens, dim, n_experts, -(-tokens * top_k // n_experts)


def _assigned(outputs: Tensor, order: Tensor, weights: Tensor) -> Tensor:
    result = outputs.new_zeros(len(weights), outputs.shape[1])
    result[order // weights.shape[1]] = outputs * weights.flatten()[order, None]
    return result


def _summed(outputs: Tensor, rows: Tensor, tokens: int) -> Tensor:
    return outputs.new_zeros(tokens, outputs.shape[1]).index_add(0, rows, outputs)


def _served(experts: Tensor, n_experts: int, slots: int, ahead: int = 0) -> Tensor:
    """Choices served in the order of the rows of `experts`; each finds `ahead` more in line than there are."""
    flat = experts.flatten()
    place = torch.stack([(flat[:i] == expert).sum() + ahead for i, expert in enumerate(flat)])
    return (place < slots).view_as(experts)


def _by_rank(experts: Tensor, n_experts: int, slots: int) -> Tensor:
    return torch.stack([_served(rank[:, None], n_experts, slots)[:, 0] for rank in experts.T], dim=1)


EXERCISES = (
    Exercise(
        name="combine",
        task="Find the bug: the experts' outputs lie sorted by expert; row i belongs to choice order[i], "
        "where choice = token * top_k + rank. Return each token's weighted sum of its choices' outputs.",
        reference=combine,
        inputs=_sorted_outputs,
        mistakes={
            "A token has several rows, and an assignment keeps only the last of them; add them up with index_add.": (
                _assigned
            ),
            "The weights are missing: each row counts by the weight of its choice.": lambda outputs, order, weights: (
                _summed(outputs, order // weights.shape[1], len(weights))
            ),
            "The outputs are sorted and the weights are not; take weights.flatten()[order].": (
                lambda outputs, order, weights: _summed(
                    outputs * weights.flatten()[:, None], order // weights.shape[1], len(weights)
                )
            ),
            "You take the weights in the inverse order; row i belongs to choice order[i].": (
                lambda outputs, order, weights: _summed(
                    outputs * weights.flatten()[order.argsort(), None], order // weights.shape[1], len(weights)
                )
            ),
            "You put the rows back in order by their place, but row i belongs to token order[i] // top_k.": (
                lambda outputs, order, weights: _summed(
                    outputs * weights.flatten()[order, None],
                    torch.arange(len(order)) // weights.shape[1],
                    len(weights),
                )
            ),
            "That is the mean over a token's choices; the weights sum to 1 already, so add up.": (
                lambda outputs, order, weights: combine(outputs, order, weights) / weights.shape[1]
            ),
        },
        success="Sort, multiply, bring back: with your last step the sorted layer is complete.",
        difficulty=2,
        minutes=8,
        differentiable=True,
        sources=("moe_lessons.model.dispatch.sorted_by_expert",),
    ),
    Exercise(
        name="group_ends",
        task="Find the bug: the choices are sorted by expert. Return for each of n_experts experts the row after its "
        "last one, as grouped_mm wants it; an expert without tokens ends where the one before it ended.",
        reference=group_ends,
        inputs=_routed,
        mistakes={
            "Those are the rows where the groups begin; the ends are the running sum that includes the group itself.": (
                lambda experts, n_experts: (
                    group_ends(experts, n_experts) - torch.bincount(experts.flatten(), minlength=n_experts)
                )
            ),
            "You are one short: an end is the row after the last one, not the last one.": lambda experts, n_experts: (
                group_ends(experts, n_experts) - 1
            ),
            "Those are the sizes of the groups; an end is the sum of all sizes so far.": lambda experts, n_experts: (
                torch.bincount(experts.flatten(), minlength=n_experts)
            ),
            "Experts after the last busy one are missing; bincount takes a `minlength`.": lambda experts, n_experts: (
                torch.bincount(experts.flatten()).cumsum(0)
            ),
            "Only first choices are counted; every choice is a row.": lambda experts, n_experts: group_ends(
                experts[:, :1], n_experts
            ),
            "The 0 in front is no end: there are n_experts of them.": lambda experts, n_experts: torch.cat(
                [torch.zeros(1, dtype=torch.long), group_ends(experts, n_experts)]
            ),
        },
        success="One such number wrong, and tokens are worked on by the neighbor's matrix without any error message.",
        difficulty=1,
        minutes=5,
        sources=("moe_lessons.model.dispatch.grouped",),
    ),
    Exercise(
        name="first_come",
        task="Return for each choice whether it finds a slot, where each expert has `slots` of them. All first choices "
        "are served in the order of the tokens, then all second choices, and so on.",
        reference=first_come,
        inputs=_crowded,
        mistakes={
            "You serve one token after the other; all first choices go before any second one.": _served,
            "You count each rank from zero; a slot that a first choice took is gone for the second ones.": (_by_rank),
            "You are off by one and leave one slot empty: the first in line has place 0, and place < slots is kept.": (
                lambda experts, n_experts, slots: _served(experts.T, n_experts, slots, ahead=1).T
            ),
            "You are off by one and give one slot too many: place < slots is kept, place == slots is not.": (
                lambda experts, n_experts, slots: _served(experts.T, n_experts, slots, ahead=-1).T
            ),
            "You serve the last tokens first.": lambda experts, n_experts, slots: first_come(
                experts.flip(0), n_experts, slots
            ).flip(0),
            "You drop a whole token where one choice finds no slot; its other choice may still find one.": (
                lambda experts, n_experts, slots: (
                    first_come(experts, n_experts, slots).all(dim=1, keepdim=True).expand_as(experts)
                )
            ),
            "You serve the last choices first; the first choice is the one that the token needs most.": (
                lambda experts, n_experts, slots: first_come(experts.flip(1), n_experts, slots).flip(1)
            ),
        },
        success="That is GShard's rule, and you can see whom it favors: whoever stands first in the batch.",
        difficulty=3,
        minutes=12,
        sources=("moe_lessons.model.capacity.within_capacity",),
    ),
    Exercise(
        name="after_dropping",
        task="Find the bug: return (weights, dropped). A dropped choice weighs 0, the kept weights stay as they are, "
        "and `dropped` is the number of choices that were dropped.",
        reference=after_dropping,
        inputs=_dropped,
        mistakes={
            "Two bugs: the weights are normalized again, so that a token that lost everything becomes NaN (0 / 0); "
            "and the drops go unreported.": lambda weights, kept: (
                weights * kept / (weights * kept).sum(dim=1, keepdim=True),
                0,
            ),
            "You normalize again after dropping: a kept choice then counts more because another was dropped, "
            "and a token that lost all of its choices becomes NaN (0 / 0).": lambda weights, kept: (
                weights * kept / (weights * kept).sum(dim=1, keepdim=True),
                int((~kept).sum()),
            ),
            "You normalize again after dropping: a kept choice then counts more because another one was dropped.": (
                lambda weights, kept: (
                    weights * kept / (weights * kept).sum(dim=1, keepdim=True).clamp(min=1e-9),
                    int((~kept).sum()),
                )
            ),
            "The drops go unreported: count the choices that are not kept.": lambda weights, kept: (weights * kept, 0),
            "You count the choices that were kept; report those that were dropped.": lambda weights, kept: (
                weights * kept,
                int(kept.sum()),
            ),
            "You count tokens that lost a choice; a token can lose several, and each one is a drop.": (
                lambda weights, kept: (weights * kept, int((~kept).any(dim=1).sum()))
            ),
            "You count tokens that lost everything; every dropped choice counts.": lambda weights, kept: (
                weights * kept,
                int((~kept).all(dim=1).sum()),
            ),
            "You count weights of 0, but a choice can be kept and weigh 0; count where `kept` is False.": (
                lambda weights, kept: (weights * kept, int((weights * kept == 0).sum()))
            ),
            "You keep the dropped ones and drop the kept ones.": lambda weights, kept: (
                weights * ~kept,
                int((~kept).sum()),
            ),
            "The dropped choices still count: multiply their weights by 0.": lambda weights, kept: (
                weights * 1,
                int((~kept).sum()),
            ),
        },
        success="A layer that drops must say so: from the outside, nothing else shows it.",
        difficulty=2,
        minutes=6,
        sources=("moe_lessons.model.capacity.serve",),
    ),
    Exercise(
        name="table_flops",
        task="Count the FLOPs of the two products with a table: one sends `tokens` vectors of `dim` numbers into "
        "n_experts * slots slots, one brings the results back. A multiply-add is two FLOPs.",
        reference=table_flops,
        inputs=_tables,
        mistakes={
            "Half of it is missing: there are two products, there and back, and a multiply-add is two FLOPs.": (
                lambda tokens, dim, n_experts, slots: 2 * tokens * n_experts * slots * dim
            ),
            "There are two products, there and back, and each multiply-add is two FLOPs: multiply by 4.": (
                lambda tokens, dim, n_experts, slots: tokens * n_experts * slots * dim
            ),
            "Every expert has `slots` slots: multiply by n_experts.": lambda tokens, dim, n_experts, slots: (
                4 * tokens * slots * dim
            ),
            "A product does not skip zeros: each token meets each slot.": lambda tokens, dim, n_experts, slots: (
                4 * n_experts * slots * dim
            ),
            "That is the number of slots and tokens together; each token meets each slot, so multiply.": (
                lambda tokens, dim, n_experts, slots: 4 * (tokens + n_experts * slots) * dim
            ),
        },
        success="Slots grow with the tokens, so this grows with their square, and the experts' own work does not.",
        difficulty=1,
        minutes=5,
    ),
)
