"""The capstone's promises: each kind of bad router is refused with its own sentence, sound ones are scored alike."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from small import small_config
from tiny_run import sums
from torch import nn
from torch.nn import functional as F

from moe_lessons import Transformer
from moe_lessons.capstone import Arena, ExpertChoiceRouter, HashRouter, SigmoidBiasRouter, SoftmaxRouter, chosen, forget
from moe_lessons.capstone import leaderboard as boards
from moe_lessons.capstone.checks import inspect_router, inspect_seated
from moe_lessons.capstone.contract import packed, seat_of, seat_routers, spread
from moe_lessons.capstone.leaderboard import Row, board, keep
from moe_lessons.config import MoEConfig
from moe_lessons.exercises.lesson_14 import fewest_experts
from moe_lessons.model.router import Routing, choose
from moe_lessons.text.own_text import text_corpus
from moe_lessons.tracing import record_routing
from moe_lessons.widgets import LoadBoard

pytestmark = pytest.mark.usefixtures("cache")

N, K, VOCAB = 4, 2, 300
CONFIG = small_config(vocab_size=VOCAB, moe=MoEConfig(n_routed_experts=N, top_k=K, hidden_dim=8))


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(text_corpus(sums(tmp_path_factory.mktemp("text")), vocab_size=VOCAB), steps=3, model=CONFIG)


def softmax(hidden, weight):
    logits = F.linear(hidden, weight)
    scores = logits.softmax(dim=-1)
    experts = choose(scores.detach(), K)
    weights = scores.gather(1, experts)
    return Routing(weights / weights.sum(dim=1, keepdim=True), experts, scores, logits)


class Base(nn.Module):
    """A sound router, which each bad one spoils."""

    def __init__(self, dim, n_experts, top_k):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_experts, dim) / dim**0.5)

    def forward(self, hidden):
        return softmax(hidden, self.weight)


def spoiled(change):
    """A router whose sound routing goes through `change(routing, hidden, module)`."""

    class Bad(Base):
        def forward(self, hidden):
            return change(softmax(hidden, self.weight), hidden, self)

    return Bad


def peeks(routing, hidden, module):
    return softmax(hidden + hidden.mean(dim=0), module.weight)


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


def division(routing, hidden, module):
    return routing.weights / (1 // 0)


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


def test_an_exception_points_at_the_routers_line_and_not_at_ours():
    (finding,) = inspect_router(spoiled(division), CONFIG).refusals
    assert "ZeroDivisionError in line" in finding.sentence and "of your code" in finding.sentence
    (finding,) = inspect_router(lambda hidden: F.linear(hidden, torch.zeros(4, 5)), CONFIG).refusals
    assert "F.linear(hidden" in finding.sentence  # the deepest frame is torch's, the line is theirs


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


def test_a_seated_softmax_router_gives_the_models_own_logits():
    model, ids = Transformer(CONFIG).eval(), torch.arange(24).view(2, 12)
    expected = model(ids)
    own = [block.feed_forward.router.weight.detach().clone() for block in model.blocks]
    seat_routers(model, SoftmaxRouter)
    for block, weight in zip(model.blocks, own, strict=True):
        block.feed_forward.router.own.weight.data.copy_(weight)
    assert torch.equal(model.eval()(ids), expected)


def test_a_layer_in_which_nobody_sits_is_refused_by_its_number():
    assert isinstance(seat_of(seat_routers(Transformer(CONFIG), SoftmaxRouter), -1).own, SoftmaxRouter)
    with pytest.raises(ValueError, match=r"layer 1 has no seat; call seat_routers"):
        seat_of(Transformer(CONFIG), 1)


def test_only_the_router_differs_between_contestants():
    one, two = (seat_routers(Transformer(CONFIG), router) for router in (SoftmaxRouter, HashRouter))
    others = dict(two.named_parameters())
    assert others and all(torch.equal(dict(one.named_parameters())[name], p) for name, p in others.items())


def test_a_trace_of_a_seated_router_shows_its_own_choices():
    model, ids = seat_routers(Transformer(CONFIG), HashRouter).eval(), torch.arange(12)[None]
    with record_routing(model) as trace, torch.no_grad():
        model(ids)
    table = model.blocks[1].feed_forward.router.own.table
    np.testing.assert_array_equal(trace.experts[1], table[:12])
    assert (trace.n_experts, trace.top_k) == (N, K)


def test_a_router_with_a_score_function_of_its_own_is_seated_and_recorded():
    class Own(Base):
        score_function, route_scale = "cosine", 2.0

    model = seat_routers(Transformer(CONFIG), Own).eval()
    with record_routing(model) as trace, torch.no_grad():
        model(torch.arange(12)[None])
    assert (trace.score_function, trace.route_scale) == (CONFIG.moe.score_function, 2.0)


def test_spread_and_chosen_agree():
    experts, weights = torch.tensor([[2, 0], [1, 3]]), torch.tensor([[0.75, 0.25], [0.5, 0.5]])
    routing = chosen(experts, weights, N)
    assert routing.scores.tolist() == [[0.25, 0, 0.75, 0], [0, 0.5, 0, 0.5]]
    assert torch.equal(spread(experts, weights, N), routing.scores)


def test_packing_is_the_way_back_and_keeps_gradients_and_signs():
    weights = torch.tensor([[0.0, 0.5, 0, 0], [0.1, 0, -0.7, 0.2], [0, 0, 0, 0]], requires_grad=True)
    experts, few = packed(weights)
    assert experts[:2].tolist() == [[1, 0, 2], [2, 3, 0]] and few.shape == (3, 3)
    assert torch.equal(spread(experts, few, N), weights) and few.requires_grad
    assert packed(torch.zeros(0, N))[0].shape == (0, 1)


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


def test_training_is_repeatable_and_listed(arena):
    entries = [arena.enter("plain", SoftmaxRouter, ours=True) for _ in range(2)]
    assert entries[0].row.loss == entries[1].row.loss
    assert entries[0].history.steps == 3 and entries[0].row.parameters == N * 16
    (place,) = [place for place in arena.leaderboard() if place.name == "plain"]
    assert (place.rank, place.seeds, place.loss, place.live) == (1, 1, entries[0].row.loss, K)
    assert place.unbeaten and arena.leaderboard()["plain"] == place


def test_seeds_are_averaged_and_another_setting_starts_anew(arena):
    losses = [arena.enter("plain", SoftmaxRouter, seed=seed).row.loss for seed in (0, 1)]
    place = arena.leaderboard()["plain"]
    assert place.seeds == 2 and place.loss == pytest.approx(sum(losses) / 2)
    assert place.wide == pytest.approx(abs(losses[0] - losses[1]))
    arena.enter("plain", SoftmaxRouter, seed=2, balance_loss=0.01)
    assert arena.leaderboard()["plain"].seeds == 1


def test_a_bias_is_moved_by_the_loop_and_only_where_there_is_one(arena):
    entry = arena.enter("bias", SigmoidBiasRouter, bias_rate=0.01)
    assert entry.model.blocks[0].feed_forward.router.own.expert_bias.abs().max() > 0
    assert arena.enter("none", SoftmaxRouter, bias_rate=0.01).state == "accepted"
    falls = arena.enter("falls", SigmoidBiasRouter, bias_rate=0.01, bias_decay=True)
    assert falls.row.settings == {"bias_rate": 0.01, "bias_decay": True}
    rates = [(m.feed_forward.router.own.expert_bias.abs().max() / 0.01).item() for m in falls.model.blocks]
    assert all(0 < rate < 3 for rate in rates), "three steps, of which the last ones are small"


def test_a_board_draws_who_is_trained_and_nobody_else(arena):
    board = LoadBoard("")
    arena.enter("plain", SoftmaxRouter, live=board)
    arena.enter("expert choice", ExpertChoiceRouter, dynamic=True, live=board)
    assert [run["name"] for run in board.history] == ["plain"]


def test_a_dense_model_is_no_arena(arena):
    with pytest.raises(ValueError, match="model is dense"):
        Arena(arena.corpus, model=replace(CONFIG, moe=None))


def test_a_refused_router_is_listed_with_the_reason_and_has_no_rank(arena):
    entry = arena.enter("expert choice", ExpertChoiceRouter, dynamic=True)
    assert entry.state == "refused" and entry.history is None
    place = arena.leaderboard()["expert choice"]
    assert place.rank is None and "looks ahead" in place.reason
    assert "looks ahead" in repr(entry) and "refused" in repr(arena.leaderboard())


def test_a_leak_that_begins_while_training_is_caught_after_it(arena):
    def later(routing, hidden, module):
        if module.training:
            module.steps = getattr(module, "steps", 0) + 1
        return peeks(routing, hidden, module) if getattr(module, "steps", 0) > 3 else routing

    entry = arena.enter("late", spoiled(later))
    assert entry.state == "refused" and "after training, it looks ahead" in arena.leaderboard()["late"].reason


def test_a_router_that_looks_ahead_only_where_many_tokens_come_at_once_is_caught(arena):
    """On the small sample that is looked at first it is sound; the batch that it is scored on tells."""

    class Shy(Base):
        def forward(self, hidden):
            routing = softmax(hidden, self.weight)
            if len(hidden) <= 1000:
                return routing
            later = hidden.flip(0).cumsum(0).flip(0) - hidden  # the sum of what comes after
            return softmax(hidden + F.normalize(later, dim=1), self.weight)

    assert len(arena.inputs.flatten()) > 1000 and arena.inspect(Shy).accepted
    entry = arena.enter("shy", Shy)
    assert entry.state == "refused" and entry.row is None
    assert "causal" in [f.check for f in entry.report.refusals]
    assert "after training, it looks ahead" in repr(entry)


def test_a_router_that_draws_in_training_has_the_same_score_again(arena):
    class Noisy(Base):
        def forward(self, hidden):
            given = hidden + 0.5 * torch.randn_like(hidden) if self.training else hidden
            return softmax(given, self.weight)

    losses = []
    for _ in range(2):
        torch.rand(5)  # whatever else was drawn in between
        losses.append(arena.enter("noisy", Noisy).row.loss)
    assert losses[0] == losses[1]


def test_checks_and_seats_leave_the_generators_of_gpus_alone(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    monkeypatch.setattr(torch.cuda, "manual_seed", seeded.append)
    inspect_router(Base, CONFIG)
    seat_routers(Transformer(CONFIG), Base, seed=3)
    assert seeded == []


def test_a_router_that_stops_or_diverges_while_training_is_refused_with_its_line(arena):
    def tired(routing, hidden, module):
        module.calls = getattr(module, "calls", 0) + module.training
        if module.calls > 2:
            raise KeyError("tired")
        return routing

    def steep(routing, hidden, module):
        module.calls = getattr(module, "calls", 0) + module.training
        nothing = (module.weight * 0).sum().sqrt() if module.calls > 2 else 0  # no value, and a slope without end
        return routing._replace(weights=routing.weights + nothing)

    entry = arena.enter("tired", spoiled(tired))
    assert entry.state == "refused" and 'raise KeyError("tired")' in repr(entry)
    assert "gradient's norm nan" in repr(arena.enter("steep", spoiled(steep)))


def test_over_the_budget_there_is_no_rank(arena):
    def everyone(hidden):
        scores = torch.full((len(hidden), N), 1 / N)
        return Routing(scores, torch.arange(N).expand(len(hidden), N), scores, scores)

    entry = arena.enter("everyone", everyone, dynamic=True)
    place = arena.leaderboard()["everyone"]
    assert entry.state == "accepted" and place.rank is None and "4.00 experts a token" in place.reason


@pytest.mark.gpu
def test_the_arena_works_on_a_gpu(arena):
    there = Arena(arena.corpus, steps=3, model=CONFIG, device="cuda")
    for router in (SoftmaxRouter, SigmoidBiasRouter, HashRouter):
        assert there.enter(router.__name__, router, bias_rate=0.01).state == "accepted"
    assert [place.rank for place in there.leaderboard()] == [1, 2, 3] and not arena.leaderboard()


def test_a_router_whose_choices_become_impossible_is_refused_and_not_raised(arena):
    def later(routing, hidden, module):
        module.calls = getattr(module, "calls", 0) + module.training
        return routing._replace(experts=routing.experts + N * (module.calls > 2))

    entry = arena.enter("astray", spoiled(later))
    assert entry.state == "refused" and "the layer cannot work with what it returned" in repr(entry)


# ---- the board and its file


def row(name, loss=2.0, peak=1.0, pace=1.0, seed=0, **rest):
    rest = {"conditions": {"arena": "a"}, "settings": {}, "ours": False} | rest
    return Row(name=name, loss=loss, peak=peak, pace=pace, live=2.0, seconds=1.0, seed=seed, **rest)


def test_the_lowest_loss_is_first_and_unbeaten_means_by_nobody_in_everything():
    for one in (row("slow", 1.0, pace=2.0), row("quick", 1.5, pace=0.5), row("beaten", 1.6, pace=0.45, peak=1.1)):
        keep(one)
    places = board({"arena": "a"})
    assert [(place.rank, place.name, place.unbeaten) for place in places] == [
        (1, "slow", True),
        (2, "quick", True),
        (3, "beaten", False),
    ]
    with pytest.raises(KeyError, match="slow, quick, beaten"):
        places["nobody"]


def test_only_like_is_compared():
    keep(row("here"))
    keep(row("elsewhere", conditions={"arena": "a", "torch": "1.0"}))
    places = board({"arena": "a"})
    assert [place.name for place in places] == ["here"]
    assert "1 run under other conditions not shown" in repr(places) and "other conditions" in places._repr_html_()
    forget("here")
    assert "nobody has entered yet" in repr(board({"arena": "a"}))


def test_conditions_tell_budgets_and_corpora_apart(arena):
    other = Arena(arena.corpus, steps=4, model=CONFIG)
    text = Arena(arena.corpus._replace(fingerprint="other"), steps=3, model=CONFIG)
    digests = {each.conditions["arena"] for each in (arena, other, text)}
    assert len(digests) == 3 and set(arena.conditions) == {
        *("arena", "tokens", "device", "torch", "threads", "optimizer_products")
    }


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"rows": 3}', b'{"rows": [{"name": "x"}]}', b"\xff\xfe\x00", b'{"rows": [[1]]}', b"null"],
)
def test_a_damaged_board_is_set_aside_with_a_warning(cache, content):
    cache.mkdir()
    (cache / "leaderboard.json").write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        assert not board({"arena": "a"})
    assert (cache / "leaderboard.damaged.json").read_bytes() == content
    keep(row("new"))
    assert [place.name for place in board({"arena": "a"})] == ["new"]


def test_a_row_of_wrong_kinds_is_damage(cache):
    keep(row("x"))
    written = json.loads((cache / "leaderboard.json").read_text(encoding="utf-8"))
    written["rows"][0]["loss"] = "low"
    (cache / "leaderboard.json").write_text(json.dumps(written), encoding="utf-8")
    with pytest.warns(UserWarning, match="damaged"):
        assert not board({"arena": "a"})


def test_a_refused_row_survives_the_file_and_no_nan_is_written(cache):
    keep(row("bad", math.nan, math.nan, math.nan, refused="it looks ahead"))
    assert "NaN" not in (cache / "leaderboard.json").read_text(encoding="utf-8")
    (place,) = board({"arena": "a"})
    assert place.reason == "it looks ahead" and math.isnan(place.loss)


def test_a_board_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="not saved"):
        keep(row("x"))
    assert not board({"arena": "a"})


def test_the_table_is_marked_up_for_those_who_hear_it_and_names_are_escaped():
    keep(row("<b>mine</b>", settings={"balance_loss": 0.01}))
    keep(row("bad", math.nan, math.nan, math.nan, refused="a < b"))
    shown = board({"arena": "a"})._repr_html_()
    assert "<caption>" in shown and shown.count("scope='col'") == 8 and shown.count("scope='row'") == 2
    assert "&lt;b&gt;mine" in shown and "a &lt; b" in shown and "balance_loss 0.01" in shown
    assert boards.FILE.read()[0].version
