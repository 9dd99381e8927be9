"""What a trained mixture loses with its experts: the least used, the least needed, or any, taken away in every layer.

    python -m moe_lessons.studies.pruned --out data/studies/pruned.json

makes the record that lesson 13 reads, from the model that the course ships. Use and need are measured on training text,
the losses on held-out text: a use is an expert's share of its layer's choices, a need what the loss rises by when this
expert alone is knocked out. Nothing is trained afterwards.
"""

import argparse
import itertools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

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
from moe_lessons.training.held_out import held_out_loss
from moe_lessons.training.shipped import open_shipped

LEFT = (14, 12, 10, 8, 6, 4, 2)  # experts of each layer
DRAWS = 3  # random orders
WINDOW = 257  # tokens of a window, of which the model reads all but the last
CALIBRATION, TEST = 16, 64  # windows

#: Who takes the place of an expert that is gone, and whether the weights of those who work sum to 1 again.
WAYS = ("next best, renormalized", "next best, as weighed", "nobody, renormalized", "nobody, as weighed")


def windows(ids: np.ndarray, n: int) -> Int[Tensor, "batch time"]:
    """The first n windows of a text."""
    return torch.from_numpy(ids[: n * WINDOW].astype(np.int64)).view(n, WINDOW)


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


def rows_of(
    model: Transformer,
    text: Int[Tensor, "batch time"],
    uses: Float[np.ndarray, "layers experts"],
    needs: Float[np.ndarray, "layers experts"],
    known: Collection[tuple[str, str, int]] = (),
    left: Sequence[int] = LEFT,
) -> Iterator[dict[str, Any]]:
    """The losses in nats per token, with fewer and fewer experts left, for each order, way and draw not yet known."""
    layers = list(find_routers(model))
    for (name, each), way in itertools.product(orders(uses, needs).items(), WAYS):
        for draw, order in enumerate(each):
            if (name, way, draw) in known:
                continue
            losses = []
            for count in left:
                off = {layer: gone[: len(gone) - count] for layer, gone in zip(layers, order, strict=True)}
                with steer_routing(model, without(model, off, way)):
                    losses.append(round(held_out_loss(model, text), 4))
            yield {"order": name, "way": way, "draw": draw, "losses": losses}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model, corpus = open_shipped("course-moe").model, course_corpus(progress=False)
    if args.out.exists():
        study = json.loads(args.out.read_text(encoding="utf-8"))
    else:
        text = windows(corpus.train.ids, CALIBRATION)
        study = {"command": f"python -m moe_lessons.studies.pruned --out {args.out}", "torch": torch.__version__}
        study |= {"threads": 1, "left": LEFT, "use": use(model, text).round(4).tolist()}
        study |= {"need": need(model, text).round(4).tolist(), "rows": []}
    text = windows(corpus.valid.ids, TEST)
    study["before"] = round(held_out_loss(model, text), 4)
    known = {(row["order"], row["way"], row["draw"]) for row in study["rows"]}
    for row in rows_of(model, text, np.array(study["use"]), np.array(study["need"]), known):
        study["rows"].append(row)
        keep(args.out, study)
        print(row, flush=True)


if __name__ == "__main__":
    main()
