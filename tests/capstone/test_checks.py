"""What a router must be: each kind of bad one is refused with its own sentence, sound ones are accepted."""

import pytest
import torch
from contestants import CONFIG, Base, K, N, division, peeks, softmax, spoiled
from torch import nn
from torch.nn import functional as F

from moe_lessons import Transformer
from moe_lessons.capstone import ExpertChoiceRouter, HashRouter, SigmoidBiasRouter, SoftmaxRouter
from moe_lessons.capstone.checks import inspect_router, inspect_seated
from moe_lessons.capstone.contract import packed, seat_routers
from moe_lessons.exercises.lesson_14 import fewest_experts
from moe_lessons.model.router import Routing

pytestmark = pytest.mark.usefixtures("cache")


def peeks_at_the_next(routing, hidden, module):
    return softmax(hidden + 0.5 * hidden.roll(-1, 0), module.weight)


def looks_aside(routing, hidden, module):
    """At the same place of the sequence before it, which no later token of its own can change."""
    return softmax(hidden + 0.5 * hidden.roll(32, 0), module.weight)


def drops(routing, hidden, module):
    late = torch.arange(len(hidden)) % 5 == 4
    return routing._replace(weights=routing.weights.masked_fill(late[:, None], 0.0))


def drops_the_second(routing, hidden, module):
    return routing._replace(weights=routing.weights * (routing.weights > 0.4))


def drops_while_training(routing, hidden, module):
    return drops(routing, hidden, module) if module.training else routing


def nan(routing, hidden, module):
    return routing._replace(weights=routing.weights * torch.tensor(0.0).log() * 0)


def infinite(routing, hidden, module):
    return routing._replace(logits=routing.logits.masked_fill(routing.scores < 0.2, -torch.inf))


def in_place(routing, hidden, module):
    hidden.mul_(1.5)
    return routing


def dice(routing, hidden, module):
    experts = torch.rand(len(hidden), N).argsort(dim=1)[:, :K]
    return routing._replace(experts=experts)


def remembers(routing, hidden, module):
    module.calls = getattr(module, "calls", 0) + 1
    return routing._replace(experts=(routing.experts + module.calls) % N)


BAD = {
    "peeks at all": (spoiled(peeks), "causal", "looks ahead"),
    "peeks at the next": (spoiled(peeks_at_the_next), "causal", "looks ahead"),
    "looks aside": (spoiled(looks_aside), "independent", "with other texts beside it"),
    "drops tokens": (spoiled(drops), "nobody dropped", "without a word"),
    "drops second choices": (spoiled(drops_the_second), "nobody dropped", "fewer than 2 experts"),
    "drops while training": (spoiled(drops_while_training), "nobody dropped", "while it is being trained, 38 of 192"),
    "peeks a little": (
        spoiled(lambda r, h, m: r._replace(weights=r.weights + 1e-5 * h.roll(-1, 0)[:, :K])),
        "causal",
        "looks ahead",
    ),
    "NaN": (spoiled(nan), "numbers", "weights holds NaN"),
    "infinite logits": (spoiled(infinite), "numbers", "logits holds an infinity"),
    "too few rows": (spoiled(lambda r, h, m: Routing(*(p[1:] for p in r))), "shapes", "a row for each token"),
    "too many choices": (spoiled(lambda r, h, m: r._replace(experts=r.experts.repeat(1, 2))), "shapes", "[192, 4]"),
    "transposed scores": (
        spoiled(lambda r, h, m: r._replace(scores=r.scores.T)),
        "shapes",
        "scores has shape [4, 192]",
    ),
    "floating experts": (spoiled(lambda r, h, m: r._replace(experts=r.experts.float())), "kinds", "use .long()"),
    "short experts": (spoiled(lambda r, h, m: r._replace(experts=r.experts.int())), "kinds", "experts is int32"),
    "half weights": (spoiled(lambda r, h, m: r._replace(weights=r.weights.bfloat16())), "kinds", "flips near ties"),
    "double weights": (spoiled(lambda r, h, m: r._replace(weights=r.weights.double())), "kinds", "use .float()"),
    "an expert too far": (spoiled(lambda r, h, m: r._replace(experts=r.experts + 1)), "choices", "names expert 4"),
    "a negative expert": (spoiled(lambda r, h, m: r._replace(experts=r.experts - 1)), "choices", "names expert -1"),
    "an expert twice": (spoiled(lambda r, h, m: r._replace(experts=r.experts * 0)), "choices", "same expert twice"),
    "not a Routing": (spoiled(lambda r, h, m: r.weights), "returns", "it returns a Tensor"),
    "three of four": (spoiled(lambda r, h, m: tuple(r)[:3]), "returns", "a tuple of 3"),
    "changes its input": (spoiled(in_place), "input", "work on a copy"),
    "dice": (spoiled(dice), "repeatable", "self.training"),
    "remembers": (spoiled(remembers), "repeatable", "asked twice"),
    "mute": (spoiled(lambda r, h, m: r._replace(weights=r.weights * 0)), "nobody dropped", "no say"),
    "stops": (spoiled(division), "runs", "(`return routing.weights / (1 // 0)`)"),
    "takes nothing": (lambda: None, "runs", "TypeError"),
    "cannot be made": (type("Bad", (nn.Module,), {"__init__": lambda self: None}), "made", "(dim, n_experts, top_k)"),
    "not callable": (3, "made", "give a function or a module"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_router_is_refused_with_its_own_sentence(name):
    router, check, words = BAD[name]
    report = inspect_router(router, CONFIG)
    assert not report.accepted
    refusals = [finding for finding in report.refusals if finding.check == check]
    assert refusals and words in refusals[0].sentence, report
    assert check in repr(report) and "refused" in report._repr_html_()


@pytest.mark.parametrize("router", [None, ..., lambda hidden: None, spoiled(lambda r, h, m: None)])
def test_a_stub_is_not_attempted(router, arena):
    assert repr(inspect_router(router, CONFIG)) == "not attempted yet"
    entry = arena.enter("mine", router)
    assert repr(entry) == "mine: not attempted yet"
    assert not any(place.name == "mine" for place in arena.leaderboard())


@pytest.mark.parametrize("router", [SoftmaxRouter, SigmoidBiasRouter, Base, Base(16, N, K), HashRouter])
def test_sound_routers_are_accepted_without_a_warning(router):
    report = inspect_router(router, CONFIG)
    assert report.accepted and all(finding.state == "holds" for finding in report), report


def test_a_plain_function_is_accepted_and_has_nothing_to_learn():
    rows = torch.randn(N, 16)
    report = inspect_router(lambda hidden: softmax(hidden, rows), CONFIG)
    assert report.accepted
    assert "nothing to learn" in repr(report)


def test_expert_choice_is_refused_for_its_leak_and_by_threshold_it_is_not():
    report = inspect_router(ExpertChoiceRouter, CONFIG, dynamic=True)
    assert [finding.check for finding in report.refusals] == ["causal", "independent"]

    class Threshold(Base):
        def forward(self, hidden):
            logits = F.linear(hidden, self.weight)
            scores = logits.softmax(dim=-1)
            best = (scores * (scores > 0.3)).topk(N)
            return Routing(best.values, best.indices, scores, logits)

    assert inspect_router(Threshold, CONFIG, dynamic=True).accepted
    assert not inspect_router(Threshold, CONFIG).accepted  # without saying so, dropped choices are refused


def test_a_router_that_reads_earlier_tokens_of_the_call_is_warned_about_writing():
    def backward(routing, hidden, module):
        rows = hidden.view(-1, 32, hidden.shape[1]) if len(hidden) % 32 == 0 else hidden[None]
        earlier = rows.cumsum(dim=1) / torch.arange(1, rows.shape[1] + 1)[:, None]
        return softmax(earlier.flatten(0, 1), module.weight)

    report = inspect_router(spoiled(backward), CONFIG)
    assert report.accepted
    assert [finding.check for finding in report if finding.state == "warning"] == ["one by one"]


@pytest.mark.parametrize("how", ["detached", "one of one", "half deaf"])
def test_a_router_that_nothing_can_teach_is_warned(how):
    def change(routing, hidden, module):
        if how == "one of one":
            weights = torch.zeros_like(routing.weights) + routing.weights[:, :1] / routing.weights[:, :1] / K
        else:
            weights = routing.weights.detach() if how == "detached" else routing.weights
        return routing._replace(weights=weights)

    class Deaf(spoiled(change)):
        def __init__(self, *sizes):
            super().__init__(*sizes)
            if how == "half deaf":
                self.unused = nn.Parameter(torch.zeros(3))

    report = inspect_router(Deaf, CONFIG)
    (warned,) = [finding for finding in report if finding.state == "warning"]
    assert report.accepted and warned.check == "learns"
    assert ("no gradient reaches unused" if how == "half deaf" else "no gradient reaches weight") in warned.sentence


def test_noise_in_training_alone_is_allowed():
    class Noisy(Base):
        def forward(self, hidden):
            return softmax(hidden + torch.randn_like(hidden) if self.training else hidden, self.weight)

    assert inspect_router(Noisy, CONFIG).accepted


def test_checks_leave_the_model_its_mode_and_the_random_numbers_alone():
    model = seat_routers(Transformer(CONFIG), SoftmaxRouter).train()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert inspect_seated(model).accepted and inspect_router(Base, CONFIG).accepted
    assert torch.equal(torch.rand(3), expected)
    assert model.training and all(parameter.grad is None for parameter in model.parameters())


def test_the_exercise_on_as_many_experts_as_it_takes_makes_a_router_for_the_arena():
    class Enough(Base):
        def forward(self, hidden):
            logits = 4 * F.linear(hidden, self.weight)
            scores = logits.softmax(dim=-1)
            experts, weights = packed(scores * fewest_experts(scores.detach(), 0.6))
            return Routing(weights, experts, scores, logits)

    report = inspect_router(Enough, CONFIG, dynamic=True)
    assert report.accepted and "dynamic" in repr(report)
    assert not inspect_router(Enough, CONFIG).accepted


def test_checks_and_seats_leave_the_generators_of_gpus_alone(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    monkeypatch.setattr(torch.cuda, "manual_seed", seeded.append)
    inspect_router(Base, CONFIG)
    seat_routers(Transformer(CONFIG), Base, seed=3)
    assert seeded == []
