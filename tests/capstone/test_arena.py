"""The arena: who enters is trained alike, scored alike, and refused where a promise breaks on the way."""

from dataclasses import replace

import pytest
import torch
from contestants import CONFIG, Base, K, N, peeks, softmax, spoiled
from torch.nn import functional as F

from moe_lessons.capstone import Arena, ExpertChoiceRouter, HashRouter, SigmoidBiasRouter, SoftmaxRouter
from moe_lessons.model.router import Routing
from moe_lessons.widgets import LoadBoard

pytestmark = pytest.mark.usefixtures("cache")


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


def test_conditions_tell_budgets_and_corpora_apart(arena):
    other = Arena(arena.corpus, steps=4, model=CONFIG)
    text = Arena(arena.corpus._replace(fingerprint="other"), steps=3, model=CONFIG)
    digests = {each.conditions["arena"] for each in (arena, other, text)}
    assert len(digests) == 3 and set(arena.conditions) == {
        *("arena", "tokens", "device", "torch", "threads", "optimizer_products")
    }
