"""What a trained mixture loses with its experts: the least used, the least needed, or any, taken away for good.

    python -m moe_lessons.studies.pruned --out data/studies/pruned.json

makes the record that lesson 13 reads, from the model that the course ships. Use and need are measured on training text,
the losses on held-out text: a use is an expert's share of its layer's choices, a need what the loss rises by when this
expert alone is knocked out (found again on held-out text, to see how firm it is). Experts go in every layer "alike", in
the "first" layer alone, in all "others", or, by one order of all experts, "together". Nothing is trained afterwards.
"""

import argparse
import itertools
import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from moe_lessons.model.router import Routing, choose
from moe_lessons.model.transformer import Transformer
from moe_lessons.studies.keep import keep
from moe_lessons.text.corpus import course_corpus
from moe_lessons.tracing.record import find_routers, record_routing
from moe_lessons.tracing.steer import Change, knock_out, sent_to, steer_routing
from moe_lessons.training.held_out import held_out, held_out_loss, in_windows
from moe_lessons.training.shipped import open_shipped

LEFT = (14, 12, 10, 8, 6, 4, 2)  # experts of each layer
DRAWS = 6  # random orders
WINDOW = 257  # tokens of a window, of which the model reads all but the last
CALIBRATION, AGAIN, TEST = 16, 32, 64  # windows: to find use and need, to find need again, to measure losses
PLACES = {"alike": slice(None), "first": slice(1), "others": slice(1, None)}  # layers that lose experts

#: Who takes the place of an expert that is gone, and whether the weights of those who work sum to 1 again.
WAYS = ("next best, renormalized", "next best, as weighed", "nobody, renormalized", "nobody, as weighed")


@torch.no_grad()
def use(model: Transformer, text: Int[Tensor, "batch time"]) -> Float[np.ndarray, "layers experts"]:
    """Each expert's share of its layer's choices."""
    with record_routing(model) as trace:
        model(text[:, :-1])
    loads = trace.load_per_expert()
    return loads / loads.sum(axis=1, keepdims=True)


def need(model: Transformer, text: Int[Tensor, "batch time"]) -> Float[np.ndarray, "layers experts"]:
    """What the loss rises by, in nats per token, when one expert is knocked out and all others stay."""
    before, rises = held_out_loss(model, text), []
    for layer, router in find_routers(model).items():
        rises.append([])
        for expert in range(len(router.weight)):
            with steer_routing(model, knock_out(model, [expert], [layer])):
                rises[-1].append(held_out_loss(model, text) - before)
    return np.array(rises)


def without(model: Transformer, off: Mapping[int, Sequence[int]], way: str) -> Change:
    """A change for `steer_routing`, for weights that sum to 1: each layer's experts that are `off` work on nothing."""
    routers = find_routers(model)

    def change(layer: int, routing: Routing) -> Routing:
        gone, router = torch.tensor(off[layer], dtype=torch.long), routers[layer]
        whole = routing.scores.gather(1, routing.experts).sum(dim=1, keepdim=True)
        if way.startswith("next best"):
            left = router.preference(routing.scores.index_fill(1, gone, -torch.inf))
            routing = sent_to(router, routing, choose(left, router.top_k))
            scores = routing.scores.gather(1, routing.experts)
        else:
            scores = routing.scores.gather(1, routing.experts)
            scores = scores.masked_fill(torch.isin(routing.experts, gone), 0.0)
        if way.endswith("renormalized"):
            whole = scores.sum(dim=1, keepdim=True).clamp(min=1e-9)  # where all are gone, nothing is there to scale
        return routing._replace(weights=scores / whole)

    return change


def orders(uses: Float[np.ndarray, "layers experts"], needs: Float[np.ndarray, "layers experts"]) -> dict[str, Any]:
    """For each layer its experts, the first to go first; under "random", several such orders."""
    names = {"least used": uses, "least needed": needs, "most used": -uses}
    random = [np.random.default_rng(draw).random(uses.shape) for draw in range(DRAWS)]
    by = {name: [values] for name, values in names.items()} | {"random": random}
    return {name: [values.argsort(axis=1, kind="stable").tolist() for values in each] for name, each in by.items()}


def together(needs: Float[np.ndarray, "layers experts"], stay: int) -> list[tuple[int, int]]:
    """(layer, expert) of all layers in one order, the least needed first, but for `stay` of each layer."""
    order: dict[int, list[int]] = defaultdict(list)
    pairs = []
    for layer, expert in np.stack(np.unravel_index(needs.argsort(axis=None, kind="stable"), needs.shape), axis=1):
        if len(order[layer]) < needs.shape[1] - stay:
            order[layer].append(expert)
            pairs.append((int(layer), int(expert)))
    return pairs


class Plan(NamedTuple):
    """Whose experts go, and for each number of them left on average, which: {layer: experts}."""

    order: str
    layers: str  # of PLACES, or "together"
    draw: int
    off: list[dict[int, list[int]]]


def plans(
    uses: Float[np.ndarray, "layers experts"], needs: Float[np.ndarray, "layers experts"], left: Sequence[int] = LEFT
) -> Iterator[Plan]:
    """Every order in every place."""
    layers, experts = uses.shape
    for name, each in orders(uses, needs).items():
        for (draw, order), (where, chosen) in itertools.product(enumerate(each), PLACES.items()):
            losing = range(layers)[chosen]
            yield Plan(name, where, draw, [{i: order[i][: experts - count] for i in losing} for count in left])
    pairs = together(needs, min(left))
    gone = [pairs[: layers * (experts - count)] for count in left]
    yield Plan(
        "least needed", "together", 0, [{i: [e for j, e in each if j == i] for i in range(layers)} for each in gone]
    )


def rows_of(
    model: Transformer,
    text: Int[Tensor, "batch time"],
    uses: Float[np.ndarray, "layers experts"],
    needs: Float[np.ndarray, "layers experts"],
    known: Collection[tuple[str, str, str, int]] = (),
    left: Sequence[int] = LEFT,
) -> Iterator[dict[str, Any]]:
    """The losses in nats per token, with fewer and fewer experts left, for each plan and way not yet known.

    One way alone where not all layers lose experts.
    """
    layers = list(find_routers(model))
    for plan in plans(uses, needs, left):
        for way in WAYS[:1] if plan.layers in ("first", "others") else WAYS:
            if (plan.order, plan.layers, way, plan.draw) in known:
                continue
            losses = []
            for gone in plan.off:
                off = {layer: gone.get(place, []) for place, layer in enumerate(layers)}
                with steer_routing(model, without(model, off, way)):
                    losses.append(round(held_out_loss(model, text), 4))
            yield {"order": plan.order, "layers": plan.layers, "way": way, "draw": plan.draw, "losses": losses}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model, corpus = open_shipped("course-moe").model, course_corpus(progress=False)
    if args.out.exists():
        study = json.loads(args.out.read_text(encoding="utf-8"))
    else:
        text = in_windows(corpus.train.ids, CALIBRATION, WINDOW)
        study = {"command": f"python -m moe_lessons.studies.pruned --out {args.out}", "torch": torch.__version__}
        study |= {"threads": 1, "left": LEFT, "use": use(model, text).round(4).tolist()}
        study |= {"need": need(model, text).round(4).tolist(), "rows": []}
    if "need_again" not in study:
        study["need_again"] = need(model, held_out(corpus, AGAIN, WINDOW)).round(4).tolist()
    text = held_out(corpus, TEST, WINDOW)
    study["before"] = round(held_out_loss(model, text), 4)
    known = {(row["order"], row["layers"], row["way"], row["draw"]) for row in study["rows"]}
    for row in rows_of(model, text, np.array(study["use"]), np.array(study["need"]), known):
        study["rows"].append(row)
        keep(args.out, study)
        print(row, flush=True)


if __name__ == "__main__":
    main()
