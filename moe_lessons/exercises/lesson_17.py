"""Lesson 17: streams made fair, experts looked up in a table, and what a layer of 2026 keeps of a text."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from moe_lessons.exercises.exercise import Exercise
from moe_lessons.model.hyper_connections import doubly_stochastic
from moe_lessons.routing_rule import RoutingRule


def sinkhorn(matrix: Float[Tensor, "streams other"], iterations: int) -> Float[Tensor, "streams other"]:
    """A positive matrix after some iterations, in each of which rows and then columns are divided by their sums."""
    return doubly_stochastic(matrix.log()[None, None], iterations)[0, 0]


def looked_up(
    ids: Int[Tensor, " tokens"],
    table: Int[Tensor, "vocab top_k"],
    scores: Float[Tensor, "tokens experts"],
    route_scale: float,
) -> tuple[Int[Tensor, "tokens top_k"], Float[Tensor, "tokens top_k"]]:
    """Each token's experts, in the order of the table, and how much each of them counts."""
    experts = table[ids]
    rule = RoutingRule(top_k=table.shape[1], route_scale=route_scale)
    return experts, rule.weigh(scores.gather(1, experts))


def kept_numbers(kinds: Sequence[str], length: int, window: int, size: int, key_size: int) -> int:
    """Numbers that layers of these kinds keep of a text: vectors near by, entries far off, keys of the indexer."""
    numbers = 0
    for kind in kinds:
        entries = {"window": 0, "sparse": length // 4, "heavy": length // 128}[kind]
        numbers += (min(length, window) + entries) * size + (entries * key_size if kind == "sparse" else 0)
    return numbers


def _positive(rng: np.random.Generator) -> Iterator[tuple]:
    yield torch.tensor([[1.0, 3.0], [2.0, 2.0]]), 1
    for streams, iterations, spread in ((2, 2, 2.0), (4, 1, 1.0), (4, 3, 2.0), (3, 8, 1.5)):
        yield torch.from_numpy(np.exp(spread * rng.standard_normal((streams, streams)))).float(), iterations


def _divided(matrix: Tensor, axes: Sequence[int]) -> Tensor:
    for axis in axes:
        matrix = matrix / matrix.sum(dim=axis, keepdim=True)
    return matrix


def _at_once(matrix: Tensor, iterations: int) -> Tensor:
    """Both sums taken before either division."""
    for _ in range(iterations):
        matrix = matrix / matrix.sum(dim=1, keepdim=True) / matrix.sum(dim=0, keepdim=True)
    return matrix


def _by_one_number(matrix: Tensor, iterations: int) -> Tensor:
    return matrix / matrix.sum() if iterations else matrix


def _choices(rng: np.random.Generator) -> Iterator[tuple]:
    yield (
        torch.tensor([2, 0, 2]),
        torch.tensor([[0, 1], [1, 2], [3, 0]]),
        torch.tensor([[0.6, 0.9, 0.3, 0.2], [0.5, 0.5, 0.1, 0.8], [0.2, 0.9, 0.3, 0.6]]),
        1.5,
    )
    for tokens, vocab, experts, top_k, scale in ((5, 4, 6, 2, 2.5), (4, 9, 8, 3, 1.0), (6, 3, 5, 1, 2.0)):
        table = np.stack([rng.permutation(experts)[:top_k] for _ in range(vocab)])
        scores = torch.from_numpy(rng.random((tokens, experts)) + 0.05).float()
        yield torch.from_numpy(rng.integers(0, vocab, tokens)), torch.from_numpy(table), scores, scale


def _weighed(weigh: Callable[[Tensor, Tensor, float], Tensor]) -> Callable:
    """Experts of the table with other weights."""

    def answer(ids: Tensor, table: Tensor, scores: Tensor, route_scale: float) -> tuple[Tensor, Tensor]:
        experts = table[ids]
        return experts, weigh(scores.gather(1, experts), scores, route_scale)

    return answer


def _other_experts(choose: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable:
    """Right weights of other experts."""

    def answer(ids: Tensor, table: Tensor, scores: Tensor, route_scale: float) -> tuple[Tensor, Tensor]:
        experts = choose(ids, table, scores)
        chosen = scores.gather(1, experts)
        return experts, route_scale * chosen / chosen.sum(1, keepdim=True)

    return answer


def _sorted_weights(ids: Tensor, table: Tensor, scores: Tensor, route_scale: float) -> tuple[Tensor, Tensor]:
    experts, weights = looked_up(ids, table, scores, route_scale)
    return experts, weights.sort(dim=1, descending=True).values


def _sorted_pairs(ids: Tensor, table: Tensor, scores: Tensor, route_scale: float) -> tuple[Tensor, Tensor]:
    experts, weights = looked_up(ids, table, scores, route_scale)
    order = weights.argsort(dim=1, descending=True)
    return experts.gather(1, order), weights.gather(1, order)


def _texts(rng: np.random.Generator) -> Iterator[tuple]:
    yield ["window", "sparse", "heavy"], 1000, 128, 512, 128
    yield ["heavy", "sparse", "sparse"], 100, 128, 16, 4
    yield ["sparse"], 7, 4, 8, 2
    yield ["heavy", "heavy"], 300, 32, 10, 6
    yield ["window"] * 3, 5000, 64, 8, 4


def _counted(
    near: Callable[[str, int, int], int] = lambda kind, length, window: min(length, window),
    far: Callable[[str, int], int] = lambda kind, length: {"window": 0, "sparse": length // 4}.get(kind, length // 128),
    keys: Callable[[str, int, int], int] = lambda kind, entries, length: entries if kind == "sparse" else 0,
    times: int = 1,
) -> Callable[[Sequence[str], int, int, int, int], int]:
    """The same sum with one part of it counted otherwise."""

    def count(kinds: Sequence[str], length: int, window: int, size: int, key_size: int) -> int:
        numbers = 0
        for kind in kinds:
            entries = far(kind, length)
            numbers += times * (near(kind, length, window) + entries) * size + keys(kind, entries, length) * key_size
        return numbers

    return count


def _beyond_the_window(kinds: Sequence[str], length: int, window: int, size: int, key_size: int) -> int:
    """Entries of those tokens alone that the window holds no longer."""
    numbers = len(kinds) * min(length, window) * size
    for kind in kinds:
        each = {"window": (1, 0), "sparse": (4, size + key_size), "heavy": (128, size)}[kind]
        numbers += max(0, length - window) // each[0] * each[1]
    return numbers


def _rounded_up(kind: str, length: int) -> int:
    return {"window": 0, "sparse": -(-length // 4)}.get(kind, -(-length // 128))


EXERCISES = (
    Exercise(
        name="sinkhorn",
        task="Return the matrix after `iterations` of Sinkhorn's iteration. All its numbers are above 0. In each "
        "iteration first every row is divided by its sum, then every column by its own.",
        reference=sinkhorn,
        inputs=_positive,
        mistakes={
            "You divide columns first. Rows come first, so that in the end it is the columns that are exact.": (
                lambda matrix, iterations: _divided(matrix, (0, 1) * iterations)
            ),
            "Only rows are divided; what flows out of each stream is fair then, and what flows in is not.": (
                lambda matrix, iterations: _divided(matrix, (1,))
            ),
            "Only columns are divided. Divide rows first, by sums that keep their axis (keepdim=True).": (
                lambda matrix, iterations: _divided(matrix, (0,))
            ),
            "Both sums are taken of the same matrix. The columns' sums must be taken after the rows were divided.": (
                _at_once
            ),
            "You divide by the sum of all numbers; each row has one of its own, and then each column.": _by_one_number,
            "That is one iteration; do as many as are asked for.": lambda matrix, iterations: _divided(matrix, (1, 0)),
            "An iteration is both: rows and columns. You did half as many.": lambda matrix, iterations: _divided(
                matrix, [1 - step % 2 for step in range(iterations)]
            ),
            "The numbers are above 0 already; do not exponentiate them once more.": lambda matrix, iterations: sinkhorn(
                matrix.exp(), iterations
            ),
        },
        success="With this around its 4 streams, no layer of DeepSeek-V4 can make them grow by mixing them.",
        difficulty=1,
        minutes=6,
        differentiable=True,
        sources=("moe_lessons.model.hyper_connections.doubly_stochastic",),
    ),
    Exercise(
        name="looked_up",
        task="Return experts and weights of a layer that looks its routes up. A token's experts stand in the row of "
        "`table` that its id names; keep their order. Their weights are its `scores` for them, divided by their sum "
        "and then multiplied by `route_scale`.",
        reference=looked_up,
        inputs=_choices,
        mistakes={
            "Your experts have the highest scores. Here the table says who works; scores only say how much.": (
                _other_experts(lambda ids, table, scores: scores.topk(table.shape[1], dim=1).indices)
            ),
            "You read the table at the token's place in the text; its row is named by the token's id.": (
                _other_experts(lambda ids, table, scores: table[torch.arange(len(ids)) % len(table)])
            ),
            "All experts count alike here; what is looked up is who works, their weights are learned.": _weighed(
                lambda chosen, scores, scale: torch.full_like(chosen, scale / chosen.shape[1])
            ),
            "You divide by the sum over all experts; divide by that of the chosen ones alone.": _weighed(
                lambda chosen, scores, scale: scale * chosen / scores.sum(1, keepdim=True)
            ),
            "The weights sum to 1; multiply them by route_scale.": _weighed(
                lambda chosen, scores, scale: chosen / chosen.sum(1, keepdim=True)
            ),
            "The scores are above 0 already; divide them by their sum instead of passing them through a softmax.": (
                _weighed(lambda chosen, scores, scale: scale * chosen.softmax(1))
            ),
            "The scores are not divided by their sum.": _weighed(lambda chosen, scores, scale: scale * chosen),
            "Your weights are sorted and their experts are not, so that some change places.": _sorted_weights,
            "Experts and weights fit together, but are sorted; keep the order of the table's row.": _sorted_pairs,
        },
        success="Nothing in front of this layer can change who works on a token: the table was there before it.",
        difficulty=2,
        minutes=6,
        sources=("moe_lessons.model.hash_routes.HashRouter",),
    ),
    Exercise(
        name="kept_numbers",
        task="Return how many numbers the layers keep of a text of `length` tokens. Each layer keeps one vector of "
        "`size` numbers for each of the last `window` tokens. Beside them a 'sparse' layer keeps an entry of `size` "
        "numbers and a key of `key_size` numbers for every 4 whole tokens, a 'heavy' one an entry for every 128 whole "
        "tokens; 'window' layers keep no more.",
        reference=kept_numbers,
        inputs=_texts,
        mistakes={
            "A text shorter than the window has no more vectors than tokens.": _counted(
                near=lambda kind, length, window: window
            ),
            "Only 'window' layers have a window in your count; each layer keeps the last tokens as they are.": _counted(
                near=lambda kind, length, window: min(length, window) if kind == "window" else 0
            ),
            "Each layer keeps all tokens in your count; there is room for the last `window` of them.": _counted(
                near=lambda kind, length, window: length
            ),
            "Tokens that have no whole group yet have no entry; round down.": _counted(far=_rounded_up),
            "Entries are made of all tokens, those in the window too; its vectors come on top.": _beyond_the_window,
            "Parts of an entry are none: divide whole numbers, with //.": _counted(
                far=lambda kind, length: {"window": 0, "sparse": length / 4}.get(kind, length / 128)
            ),
            "The keys of the indexer are missing; a 'sparse' layer keeps one for each of its entries.": _counted(
                keys=lambda kind, entries, length: 0
            ),
            "Only 'sparse' layers have an indexer; the others read all their entries and need no keys.": _counted(
                keys=lambda kind, entries, length: entries
            ),
            "There is a key for each entry, not for each token.": _counted(
                keys=lambda kind, entries, length: length if kind == "sparse" else 0
            ),
            "One vector is key and value at once; do not count it twice.": _counted(times=2),
        },
        success="With the bytes of each number, this is what the 10% of the press report counts.",
        difficulty=2,
        minutes=7,
        sources=("moe_lessons.accounting.shared_kv.shared_kv_numbers",),
    ),
)
