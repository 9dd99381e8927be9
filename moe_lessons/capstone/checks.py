"""What a router must be before it is trained: the contract's promises, each tried out, each with one sentence.

A check either holds, or refuses the router and says what to do, or warns.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from moe_lessons.capstone.contract import AnyRouter, Seat, seat_of, seat_routers, spread
from moe_lessons.capstone.crashes import crash
from moe_lessons.capstone.faults import choice_fault, number_fault, shape_fault
from moe_lessons.capstone.report import Finding, Report, holds, refused
from moe_lessons.config import ModelConfig
from moe_lessons.device import seeded
from moe_lessons.model.moe import MoE
from moe_lessons.model.router import Routing
from moe_lessons.model.transformer import Transformer

SAME = 1e-6  # weights that differ by less are the same
ROUNDED = 1e-4  # the same where products have other shapes, and are rounded otherwise
FEW = 0.02  # share of tokens that may change where shapes do: near ties
OVER_BUDGET = 1.05  # times top_k
DEAF = 1e-5  # a gradient below this is what rounding leaves of none


class Sample(NamedTuple):
    """Tokens as they arrive at a router: sequences of equal length, one after the other."""

    hidden: Float[Tensor, "tokens dim"]
    ids: Int[Tensor, " tokens"]
    time: int  # tokens in each sequence


def inspect_router(router: AnyRouter | None, config: ModelConfig, *, dynamic: bool = False) -> Report:
    """Try a router out on text that an untrained model of this configuration reads, without training it.

    `dynamic` routers may give tokens different numbers of experts. Nothing that the router does is raised: what it
    stops with is a finding, which points at the line in the router's own code. A router that is None, or returns
    None, has not been attempted: the report is empty.
    """
    if router is None or router is ...:
        return Report()
    if not callable(router):
        return Report([refused("made", f"a {type(router).__name__} was handed over; give a function or a module")])
    with seeded(0):
        model = Transformer(config)
    samples = arriving(model, _text(config))
    try:
        seat_routers(model, router)
    except Exception as error:
        advice = "a class of routers is made with (dim, n_experts, top_k)"
        return Report([refused("made", f"making it stops: {crash(error)}; {advice}")])
    return inspect_seated(model, samples, dynamic=dynamic)


def inspect_seated(model: Transformer, samples: dict[int, Sample] | None = None, *, dynamic: bool = False) -> Report:
    """The same for routers that sit in a model: each check's worst finding over the layers, here as it is trained."""
    samples = samples or arriving(model, _text(model.config))
    reports = []
    for layer, sample in samples.items():
        seat = seat_of(model, layer)
        training = seat.training
        with seeded(0, sample.hidden.device):
            report = list(_findings(seat, sample, dynamic))
        seat.train(training)
        seat.zero_grad(set_to_none=True)
        if not report:
            return Report()
        reports.append(report)
    # A layer whose router went wrong early has fewer findings.
    worst = min(reports, key=lambda report: (all(f.state != "refused" for f in report), len(report)))
    return Report(worst)


def arriving(model: Transformer, ids: Int[Tensor, "batch time"]) -> dict[int, Sample]:
    """What the routers of a model are asked about when it reads these texts, by layer."""
    found: dict[int, Sample] = {}
    device, handles = model.embedding.weight.device, []
    for layer, block in enumerate(model.blocks):
        if isinstance(block.feed_forward, MoE):

            def keep(module: nn.Module, inputs: tuple[Tensor, ...], layer: int = layer) -> None:
                rows = inputs[0].flatten(0, 1).detach().float()
                found[layer] = Sample(rows, ids.flatten().to(device), ids.shape[1])

            handles.append(block.feed_forward.register_forward_pre_hook(keep))
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(ids.to(device))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return found


def _text(config: ModelConfig, sequences: int = 6, time: int = 32) -> Int[Tensor, "batch time"]:
    """Token ids as in a text: a few are frequent, most are rare."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.rand(sequences, time, generator=generator).pow(4) * config.vocab_size
    return ids.long().clamp(max=config.vocab_size - 1)


# ---- the checks


def _findings(seat: Seat, sample: Sample, dynamic: bool) -> Iterator[Finding]:
    """One layer's router, the most basic promises first; nothing where it returns None."""
    top_k, n_experts = seat.top_k, len(seat.weight)
    hidden = (sample.hidden + 0.0).clone()
    seat.train()
    try:
        routing = seat.ask(hidden, sample.ids)
    except Exception as error:
        if isinstance(error, NotImplementedError):
            return
        yield refused("runs", f"it stops: {crash(error)}")
        return
    if routing is None or routing is ...:
        return
    yield holds("runs", f"on {len(hidden)} tokens")

    fault = shape_fault(routing, len(hidden), n_experts, top_k, dynamic) or number_fault(routing, hidden)
    fault = fault or choice_fault(routing, n_experts)
    if not fault and not torch.equal(hidden, sample.hidden):
        fault = refused(
            "input", "it changes the tokens' vectors in place, which the experts still need; work on a copy"
        )
    if not fault and seat.expert_bias is not None and seat.expert_bias.shape != (n_experts,):
        shape = list(seat.expert_bias.shape)
        fault = refused("bias", f"expert_bias has shape {shape}, but must have a number for each expert: [{n_experts}]")
    if fault:
        yield fault
        return
    yield holds("returns", f"a Routing of {n_experts} experts: shapes, kinds and numbers are as agreed")
    yield _gradient(seat, routing)
    live = _live(spread(routing.experts, routing.weights.detach(), n_experts), top_k, dynamic)

    seat.eval()
    try:
        yield from _without_training(seat, sample, dynamic, live)
    except Exception as error:
        yield refused("runs", f"it stops when it is not being trained: {crash(error)}")


def _without_training(seat: Seat, sample: Sample, dynamic: bool, in_training: Finding) -> Iterator[Finding]:
    """What is asked of a router that reads held-out text, or writes."""
    hidden, ids = sample.hidden, sample.ids
    n_experts = len(seat.weight)

    @torch.no_grad()
    def decide(rows: slice | Tensor = slice(None), seed: int = 1, given: Tensor = hidden, text: Tensor = ids) -> Tensor:
        with seeded(seed, given.device):
            routing = Routing(*seat.ask(given[rows].clone(), text[rows]))
        return spread(routing.experts, routing.weights, n_experts)

    first = decide()
    live = _live(first, seat.top_k, dynamic)
    if live.state == "holds" and in_training.state == "refused":
        live = in_training._replace(sentence=f"while it is being trained, {in_training.sentence}")
    yield live
    repeatable = _changed(first, decide(seed=2)) == 0
    if repeatable:
        yield holds("repeatable", "the same tokens get the same experts when asked again")
    else:
        advice = "let it draw random numbers, or change what it remembers, only where self.training is true"
        yield refused("repeatable", f"asked twice about the same tokens, it chooses otherwise; {advice}")
        return  # what follows compares choices
    leaks = [*_looks_ahead(decide, sample, first), *_looks_aside(decide, sample, first)]
    yield from leaks
    if any(leak.state == "refused" for leak in leaks):
        return
    singles = torch.cat([decide(slice(i, i + 1)) for i in range(min(16, len(hidden)))])
    if _changed(first[: len(singles)], singles, ROUNDED) > 1:
        yield Finding(
            "one by one", "warning", "it chooses otherwise when tokens come one at a time, as they do when a text is "
            "written: it looks at other tokens of the call, and writing will differ from reading",
        )  # fmt: skip
    else:
        yield holds("one by one", "a token that comes alone, as when a text is written, is routed alike")


def _looks_ahead(decide: Callable[..., Tensor], sample: Sample, before: Tensor) -> Iterator[Finding]:
    """Change the second half of every sequence; what is decided about the first half must stay."""
    hidden, ids, time = sample
    early = torch.arange(len(hidden), device=hidden.device) % time < time // 2
    for others in (hidden.flip(0), 3 * hidden.roll(time + 1, 0)):
        given = torch.where(early[:, None], hidden, others)
        after = decide(given=given, text=torch.where(early, ids, ids.flip(0)))
        if changed := _changed(before[early], after[early]):
            yield refused(
                "causal", f"it looks ahead: after a change of what comes later, {changed} of {int(early.sum())} "
                "earlier tokens get other experts or weights, so training would be told what it is to predict; decide "
                "about a token from its own row, or compare with a number that was learned before",
            )  # fmt: skip
            return
    yield holds("causal", "what comes later changes nothing for the tokens before it")


def _looks_aside(decide: Callable[..., Tensor], sample: Sample, before: Tensor) -> Iterator[Finding]:
    """Change the other sequences, then leave them away; what is decided about one sequence must stay."""
    hidden, ids, time = sample
    own = torch.zeros(len(hidden), dtype=torch.bool, device=hidden.device)
    own[2 * time : 3 * time] = True
    given, text = torch.where(own[:, None], hidden, 3 * hidden.roll(1, 0)), torch.where(own, ids, ids.flip(0))
    changed = _changed(before[own], decide(given=given, text=text)[own])
    alone = _changed(before[own], decide(own), ROUNDED)
    if changed or alone > FEW * time:
        how = "with other texts beside it" if changed else "without the other texts"
        yield refused(
            "independent", f"{how}, {changed or alone} of a text's {time} tokens get other experts or weights; decide "
            "about a token without the rest of the batch, which nobody has when a text is written",
        )  # fmt: skip
    else:
        yield holds("independent", "other texts of the batch change nothing")


def _live(weights: Float[Tensor, "tokens experts"], top_k: int, dynamic: bool) -> Finding:
    """A choice of weight 0 is dropped: an expert works on it, and nothing comes of it."""
    live = (weights != 0).sum(dim=1)
    if not live.any():
        return refused(
            "nobody dropped", "all weights are 0, so that the experts have no say; look at how they are made"
        )
    if dynamic:
        mean = float(live.float().mean())
        if mean > OVER_BUDGET * top_k:
            sentence = f"{mean:.2f} experts a token before training; it is ranked if at most {top_k} are left after it"
            return Finding("nobody dropped", "warning", sentence)
        return holds(
            "nobody dropped", f"dynamic: {mean:.2f} experts a token, {int((live == 0).sum())} tokens with none"
        )
    if short := int((live < top_k).sum()):
        return refused(
            "nobody dropped", f"{short} of {len(live)} tokens have fewer than {top_k} experts of a weight other than "
            "0: choices are dropped without a word; give each token its experts, or enter with dynamic=True",
        )  # fmt: skip
    return holds("nobody dropped", f"each token has {top_k} experts that count")


def _gradient(seat: Seat, routing: Routing) -> Finding:
    """Whether what the experts return can teach the router anything."""
    own = seat.own
    named = [(n, p) for n, p in own.named_parameters() if p.requires_grad] if isinstance(own, nn.Module) else []
    if not named:
        return holds("learns", "it has no parameters, so there is nothing to learn")
    reached = [False] * len(named)
    if routing.weights.requires_grad:
        unlike = torch.randn_like(routing.weights)  # a plain sum would be constant where weights sum to 1
        found = torch.autograd.grad((routing.weights * unlike).sum(), [p for _, p in named], allow_unused=True)
        reached = [gradient is not None and bool(gradient.abs().max() > DEAF) for gradient in found]
    if all(reached):
        return holds("learns", "a gradient reaches every parameter through the weights")
    deaf = ", ".join(name for (name, _), yes in zip(named, reached, strict=True) if not yes)
    return Finding(
        "learns", "warning", f"no gradient reaches {deaf} through the weights, so the loss cannot teach it; look for "
        ".detach(), torch.no_grad(), or a single weight that is divided by itself",
    )  # fmt: skip


def _changed(
    before: Float[Tensor, "tokens experts"], after: Float[Tensor, "tokens experts"], close: float = SAME
) -> int:
    """How many tokens get other experts or weights."""
    return int(((before - after).abs() > close).any(dim=1).sum())
