"""What a router must be before it is trained: the contract's promises, each tried out, each with one sentence.

A check either holds, or refuses the router and says what to do, or warns.
"""

import html
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from moe_lessons.capstone.contract import AnyRouter, Seat, seat_routers, spread
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


class Finding(NamedTuple):
    """What one check found."""

    check: str
    state: str  # "holds", "refused" or "warning"
    sentence: str  # what holds; or what is wrong, and what to do


class Report(tuple[Finding, ...]):
    """What all checks found, until one could not go on."""

    @property
    def accepted(self) -> bool:
        return bool(self) and all(finding.state != "refused" for finding in self)

    @property
    def refusals(self) -> list[Finding]:
        return [finding for finding in self if finding.state == "refused"]

    def __repr__(self) -> str:
        if not self:
            return "not attempted yet"
        width = max(len(finding.check) for finding in self)
        return "\n".join(f"{finding.state:>8}  {finding.check:<{width}}  {finding.sentence}" for finding in self)

    def _repr_html_(self) -> str:
        if not self:
            return "<p>not attempted yet</p>"
        sign = {"holds": "✓", "refused": "✗", "warning": "!"}
        rows = "".join(
            f"<tr><th scope='row' style='text-align:left;white-space:nowrap'>{html.escape(f.check)}</th>"
            f"<td style='text-align:left;white-space:nowrap'><span aria-hidden='true'>{sign[f.state]}</span> {f.state}"
            f"</td><td style='text-align:left'>{html.escape(f.sentence)}</td></tr>"
            for f in self
        )
        head = "".join(f"<th scope='col' style='text-align:left'>{name}</th>" for name in ("Check", "Result", ""))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


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
        return Report([_refused("made", f"a {type(router).__name__} was handed over; give a function or a module")])
    with seeded(0):
        model = Transformer(config)
    samples = arriving(model, _text(config))
    try:
        seat_routers(model, router)
    except Exception as error:
        advice = "a class of routers is made with (dim, n_experts, top_k)"
        return Report([_refused("made", f"making it stops: {crash(error)}; {advice}")])
    return inspect_seated(model, samples, dynamic=dynamic)


def inspect_seated(model: Transformer, samples: dict[int, Sample] | None = None, *, dynamic: bool = False) -> Report:
    """The same for routers that sit in a model: each check's worst finding over the layers, here as it is trained."""
    samples = samples or arriving(model, _text(model.config))
    reports = []
    for layer, sample in samples.items():
        seat = model.blocks[layer].feed_forward.router
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
        yield _refused("runs", f"it stops: {crash(error)}")
        return
    if routing is None or routing is ...:
        return
    yield _holds("runs", f"on {len(hidden)} tokens")

    fault = _shape_fault(routing, len(hidden), n_experts, top_k, dynamic) or _number_fault(routing, hidden)
    fault = fault or _choice_fault(routing, n_experts)
    if not fault and not torch.equal(hidden, sample.hidden):
        fault = _refused(
            "input", "it changes the tokens' vectors in place, which the experts still need; work on a copy"
        )
    if not fault and seat.expert_bias is not None and seat.expert_bias.shape != (n_experts,):
        shape = list(seat.expert_bias.shape)
        fault = _refused(
            "bias", f"expert_bias has shape {shape}, but must have a number for each expert: [{n_experts}]"
        )
    if fault:
        yield fault
        return
    yield _holds("returns", f"a Routing of {n_experts} experts: shapes, kinds and numbers are as agreed")
    yield _gradient(seat, routing)
    live = _live(spread(routing.experts, routing.weights.detach(), n_experts), top_k, dynamic)

    seat.eval()
    try:
        yield from _without_training(seat, sample, dynamic, live)
    except Exception as error:
        yield _refused("runs", f"it stops when it is not being trained: {crash(error)}")


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
        yield _holds("repeatable", "the same tokens get the same experts when asked again")
    else:
        advice = "let it draw random numbers, or change what it remembers, only where self.training is true"
        yield _refused("repeatable", f"asked twice about the same tokens, it chooses otherwise; {advice}")
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
        yield _holds("one by one", "a token that comes alone, as when a text is written, is routed alike")


def _looks_ahead(decide: Callable[..., Tensor], sample: Sample, before: Tensor) -> Iterator[Finding]:
    """Change the second half of every sequence; what is decided about the first half must stay."""
    hidden, ids, time = sample
    early = torch.arange(len(hidden), device=hidden.device) % time < time // 2
    for others in (hidden.flip(0), 3 * hidden.roll(time + 1, 0)):
        given = torch.where(early[:, None], hidden, others)
        after = decide(given=given, text=torch.where(early, ids, ids.flip(0)))
        if changed := _changed(before[early], after[early]):
            yield _refused(
                "causal", f"it looks ahead: after a change of what comes later, {changed} of {int(early.sum())} "
                "earlier tokens get other experts or weights, so training would be told what it is to predict; decide "
                "about a token from its own row, or compare with a number that was learned before",
            )  # fmt: skip
            return
    yield _holds("causal", "what comes later changes nothing for the tokens before it")


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
        yield _refused(
            "independent", f"{how}, {changed or alone} of a text's {time} tokens get other experts or weights; decide "
            "about a token without the rest of the batch, which nobody has when a text is written",
        )  # fmt: skip
    else:
        yield _holds("independent", "other texts of the batch change nothing")


def _live(weights: Float[Tensor, "tokens experts"], top_k: int, dynamic: bool) -> Finding:
    """A choice of weight 0 is dropped: an expert works on it, and nothing comes of it."""
    live = (weights != 0).sum(dim=1)
    if not live.any():
        return _refused(
            "nobody dropped", "all weights are 0, so that the experts have no say; look at how they are made"
        )
    if dynamic:
        mean = float(live.float().mean())
        if mean > OVER_BUDGET * top_k:
            sentence = f"{mean:.2f} experts a token before training; it is ranked if at most {top_k} are left after it"
            return Finding("nobody dropped", "warning", sentence)
        return _holds(
            "nobody dropped", f"dynamic: {mean:.2f} experts a token, {int((live == 0).sum())} tokens with none"
        )
    if short := int((live < top_k).sum()):
        return _refused(
            "nobody dropped", f"{short} of {len(live)} tokens have fewer than {top_k} experts of a weight other than "
            "0: choices are dropped without a word; give each token its experts, or enter with dynamic=True",
        )  # fmt: skip
    return _holds("nobody dropped", f"each token has {top_k} experts that count")


def _gradient(seat: Seat, routing: Routing) -> Finding:
    """Whether what the experts return can teach the router anything."""
    own = seat.own
    named = [(n, p) for n, p in own.named_parameters() if p.requires_grad] if isinstance(own, nn.Module) else []
    if not named:
        return _holds("learns", "it has no parameters, so there is nothing to learn")
    reached = [False] * len(named)
    if routing.weights.requires_grad:
        unlike = torch.randn_like(routing.weights)  # a plain sum would be constant where weights sum to 1
        found = torch.autograd.grad((routing.weights * unlike).sum(), [p for _, p in named], allow_unused=True)
        reached = [gradient is not None and bool(gradient.abs().max() > DEAF) for gradient in found]
    if all(reached):
        return _holds("learns", "a gradient reaches every parameter through the weights")
    deaf = ", ".join(name for (name, _), yes in zip(named, reached, strict=True) if not yes)
    return Finding(
        "learns", "warning", f"no gradient reaches {deaf} through the weights, so the loss cannot teach it; look for "
        ".detach(), torch.no_grad(), or a single weight that is divided by itself",
    )  # fmt: skip


def _shape_fault(routing: Any, tokens: int, n_experts: int, top_k: int, dynamic: bool) -> Finding | None:
    parts = Routing._fields
    if not isinstance(routing, tuple) or len(routing) != len(parts) or not all(isinstance(p, Tensor) for p in routing):
        got = f"a tuple of {len(routing)}" if isinstance(routing, tuple) else f"a {type(routing).__name__}"
        advice = "return Routing(weights, experts, scores, logits), or chosen(experts, weights, n_experts)"
        return _refused("returns", f"it returns {got}, but a Routing of four tensors was agreed; {advice}")
    routing = Routing(*routing)
    width = routing.experts.shape[-1] if dynamic and routing.experts.ndim == 2 else top_k
    agreed = {name: [tokens, width] for name in parts[:2]} | {name: [tokens, n_experts] for name in parts[2:]}
    for name, shape in agreed.items():
        if list(getattr(routing, name).shape) != shape:
            got = list(getattr(routing, name).shape)
            other = "" if dynamic else "; numbers that differ by token need dynamic=True" if name in parts[:2] else ""
            return _refused("shapes", f"{name} has shape {got}, but {shape} was agreed: a row for each token{other}")
    if routing.experts.dtype != torch.int64:
        got = str(routing.experts.dtype).removeprefix("torch.")
        return _refused("kinds", f"experts is {got}, but must be int64: they are indices, so use .long() or argsort")
    for name in ("weights", "scores", "logits"):
        if (got := getattr(routing, name).dtype) != torch.float32:
            advice = "half precision flips near ties" if got.itemsize < 4 else "use .float()"
            got = str(got).removeprefix("torch.")
            return _refused("kinds", f"{name} is {got}, but must be float32: {advice}")
    return None


def _number_fault(routing: Routing, hidden: Tensor) -> Finding | None:
    for name in ("weights", "scores", "logits"):
        part = getattr(routing, name)
        if part.device != hidden.device:
            return _refused("kinds", f"{name} lies on {part.device}, but the tokens on {hidden.device}; make it there")
        if part.isnan().any():
            advice = "look for 0 / 0, the logarithm of 0, or a softmax over a row that is all -inf"
            return _refused("numbers", f"{name} holds NaN, which is not a number; {advice}")
        if part.isinf().any():
            advice = (
                "mask with a large number such as -1e9 where others look on" if name == "logits" else "divide by less"
            )
            return _refused("numbers", f"{name} holds an infinity; {advice}")
    return None


def _choice_fault(routing: Routing, n_experts: int) -> Finding | None:
    experts = routing.experts
    if experts.numel() and (experts.min() < 0 or experts.max() >= n_experts):
        worst = int(experts.min() if experts.min() < 0 else experts.max())
        return _refused("choices", f"it names expert {worst}, but there are the experts 0 to {n_experts - 1}")
    twice = (experts.sort(dim=1).values.diff(dim=1) == 0).any(dim=1)
    if twice.any():
        return _refused(
            "choices", f"{int(twice.sum())} of {len(experts)} tokens have the same expert twice, who then does "
            "the same work twice; choose different ones, as topk or argsort do",
        )  # fmt: skip
    return None


def _changed(
    before: Float[Tensor, "tokens experts"], after: Float[Tensor, "tokens experts"], close: float = SAME
) -> int:
    """How many tokens get other experts or weights."""
    return int(((before - after).abs() > close).any(dim=1).sum())


def _holds(check: str, sentence: str) -> Finding:
    return Finding(check, "holds", sentence)


def _refused(check: str, sentence: str) -> Finding:
    return Finding(check, "refused", sentence)


# ---- whose fault an exception is

_NOT_THEIRS = tuple(
    str(Path(folder).resolve())
    for folder in (Path(__file__).parent.parent, *(sysconfig.get_path(n) for n in ("stdlib", "purelib", "platlib")))
)


def crash(error: BaseException) -> str:
    """An exception in one sentence, with the deepest line of the router's own code that it passed through."""
    said = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not _is_ours(f.filename)]
    if not frames:
        return f"{type(error).__name__}: {said}"
    line = (frames[-1].line or "").strip()
    return f"{type(error).__name__} in line {frames[-1].lineno} of your code{line and f' (`{line}`)'}: {said}"


def is_theirs(error: BaseException) -> bool:
    """Whether an exception passed through code that is neither the course's nor a library's."""
    return any(not _is_ours(frame.filename) for frame in traceback.extract_tb(error.__traceback__)[1:])


def _is_ours(filename: str) -> bool:
    return filename.startswith("<frozen") or str(Path(filename).resolve()).startswith(_NOT_THEIRS)
