"""Which mixtures of experts of the installed `transformers` our lens reads, which it refuses, and which it can steer.

python -m moe_lessons.studies.readable --out data/studies/readable.json

Each family's tiny random model is recorded, and the record is held to what the model did: for each token of each
layer the experts that the record names, asked one at a time and weighed as it says, must give what the layer's experts
gave. Steering is held to the same.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from moe_lessons.studies.keep import keep
from moe_lessons.studies.tiny_mixtures import Family, mixture_families, tiny_model, tiny_text
from moe_lessons.tracing import RoutingTrace, find_routers, knock_out, only_expert, record_routing, steer_routing
from moe_lessons.tracing.mixtures import parts_with_mixtures

READ, REFUSED = "read right", "refused"
STEERED = ("forced routes", "knock-out", "one expert alone")
CLOSE = 1e-4  # how far a layer's output may be from the one made by hand, of the largest number in it


class Verdict(NamedTuple):
    """What the lens can do with one family."""

    family: str
    model_type: str
    model: str  # the class that was built
    verdict: str
    why: str  # of a refusal, and of what cannot be steered
    steerable: tuple[str, ...]  # which of STEERED were proved
    rule: str  # how it chooses, as far as that was learned


class Wrong(AssertionError):
    """A record that does not give back what the model did."""


def run(model: Any, ids: Tensor) -> None:
    """One pass without gradients."""
    with torch.no_grad():
        model(input_ids=ids, **({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}))


def recorded(model: nn.Module, ids: Tensor) -> RoutingTrace:
    """The routing of one pass."""
    with record_routing(model) as trace:
        run(model, ids)
    return trace


@contextmanager
def experts_heard(model: nn.Module) -> Iterator[list[tuple[Tensor, Tensor, nn.Module]]]:
    """Inside the block, what each module of experts was given and what it answered, in the order of its calls.

    By wrapping their forward, which knows nothing of the lens.
    """
    heard: list[tuple[Tensor, Tensor, nn.Module]] = []

    def wrap(module: nn.Module) -> None:
        forward = module.forward

        def wrapped(*inputs: Any, **named: Any) -> Tensor:
            answer = forward(*inputs, **named)
            hidden = inputs[0] if inputs else named["hidden_states"]
            heard.append((hidden.detach().clone(), answer.detach().clone(), module))
            return answer

        module.forward = wrapped

    wrapped = [each for name, each in model.named_modules() if name.endswith("experts") and "shared" not in name]
    for module in wrapped:
        wrap(module)
    try:
        yield heard
    finally:
        for module in wrapped:
            del module.forward


@torch.no_grad()
def misfit(trace: RoutingTrace, heard: list[tuple[Tensor, Tensor, nn.Module]]) -> float:
    """The largest error of what the record gives, made by hand, of the largest number in its layer's answer.

    Each expert is asked about every token by itself, by its number and with a weight of one.
    """
    if len(heard) != trace.n_layers:
        raise Wrong(f"the trace has {trace.n_layers} layers, but experts were called {len(heard)} times")
    worst, width = 0.0, trace.top_k
    for row, (hidden, answer, experts) in enumerate(heard):
        by_hand = torch.zeros(trace.n_tokens, answer.shape[-1])
        chosen, weights = torch.from_numpy(trace.experts[row]), torch.from_numpy(trace.weights[row])
        for expert in chosen.unique().tolist():
            share = (weights * (chosen == expert)).sum(dim=1, keepdim=True)
            everyone = torch.full((trace.n_tokens, width), expert)
            alone = experts(hidden, everyone, torch.eye(width, dtype=hidden.dtype)[0].expand(trace.n_tokens, width))
            by_hand += share * alone.reshape(by_hand.shape).float()
        answer = answer.reshape(by_hand.shape).float()
        worst = max(worst, float((answer - by_hand).abs().max() / answer.abs().max().clamp(min=1e-9)))
    return worst


def held_to(model: nn.Module, ids: Tensor, change: Any = None) -> RoutingTrace:
    """The record of one pass, steered or not, after it gave back what the experts did; raises Wrong where not."""
    with nullcontext() if change is None else steer_routing(model, change), experts_heard(model) as heard:
        trace = recorded(model, ids)
        called = list(heard)
    if (error := misfit(trace, called)) > CLOSE:
        raise Wrong(f"{type(model).__name__}: by hand the record gives another output, by {error:.2g} of the largest")
    return trace


def steering(model: nn.Module, ids: Tensor, plain: RoutingTrace) -> tuple[tuple[str, ...], str]:
    """Which of STEERED a model can do, proved by doing it, and why not the others."""
    weight = 1 / plain.top_k

    def force(layer: int, routing: Any) -> Any:
        experts = torch.arange(plain.top_k).expand_as(routing.experts)
        return routing._replace(experts=experts, weights=torch.full_like(routing.weights, weight))

    forced = held_to(model, ids, force)
    if not (forced.experts == range(plain.top_k)).all():
        raise Wrong(f"{type(model).__name__} was sent to experts that it did not use")
    busiest = int(plain.load_per_expert()[0].argmax())
    try:
        without, alone = knock_out(model, [busiest]), only_expert(model, busiest)
    except ValueError as error:
        return STEERED[:1], str(error)
    if (held_to(model, ids, without).experts == busiest).any():
        raise Wrong(f"{type(model).__name__} used an expert that was knocked out")
    try:
        only = held_to(model, ids, alone)
    except (ValueError, RuntimeError) as error:
        return STEERED[:2], f"its experts cannot be called with one expert for a token ({error})"
    if not (only.experts == busiest).all():
        raise Wrong(f"{type(model).__name__} used another expert than the only one")
    return STEERED, ""


def judge(family: Family) -> Verdict:
    """What the lens makes of one family's tiny model; raises Wrong for a record that is not true.

    Of a model that is refused because it has several stacks, the parts are tried, too.
    """
    model: Any = built(family)
    start = (family.name, str(model.config.model_type), type(model).__name__)
    reasons = []
    for name, part in {"": model, **parts_with_mixtures(model)}.items():
        try:
            steerable, why, rule = _proved(part, tiny_text())
            return Verdict(*start, READ, f"the part {name} alone, since {reasons[0]}" if name else why, steerable, rule)
        except (ValueError, TypeError) as error:
            reasons.append(str(error) if not name else f"the part {name}: {error}")
    # What a part adds is why it is refused itself, if not for the same.
    more = [reason for reason in reasons[1:2] if (" has two " in reasons[0]) and " has two " not in reason]
    return Verdict(*start, REFUSED, "; ".join(reasons[:1] + more), (), "")


def _proved(model: nn.Module, ids: Tensor) -> tuple[tuple[str, ...], str, str]:
    """How a model that is read right can be steered, why not farther, and its first layer's rule."""
    learned = recorded(model, ids)  # here the lens proves its reading, with calls of its own
    trace = held_to(model, ids)
    if not (learned.experts == trace.experts).all() or not (learned.weights == trace.weights).all():
        raise Wrong(f"{type(model).__name__}: the pass that was learned from is read otherwise than the next")
    return *steering(model, ids, trace), repr(next(iter(find_routers(model).values())))


def built(family: Family) -> nn.Module:
    """A tiny model of the first of a family's classes that can be built and runs on tokens."""
    errors = []
    for kind in family.models:
        try:
            model = tiny_model(kind)
            run(model, tiny_text())
            return model
        except Exception as error:  # of their code, on sizes that they never had
            errors.append(f"{kind.__name__}: {type(error).__name__} {str(error).splitlines()[0]}")
    raise RuntimeError(f"no class of {family.name} was built; see its sizes in tiny_mixtures ({'; '.join(errors)})")


def main() -> None:
    import transformers

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    verdicts = [judge(family)._asdict() for family in mixture_families()]
    command = f"python -m moe_lessons.studies.readable --out {out}"
    keep(out, {"command": command, "transformers": transformers.__version__, "families": verdicts})


if __name__ == "__main__":
    main()
