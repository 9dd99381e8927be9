"""SlotsView: the slots are the same in the browser, in its still picture and in the package's replay."""

import re
import warnings

import numpy as np
import pytest
from in_node import javascript
from traitlets import TraitError

from moe_lessons.offload import most_used, replay
from moe_lessons.tracing import RoutingTrace
from moe_lessons.widgets import SlotsView
from moe_lessons.widgets.slots_view import MOST_TOKENS, SHOWN
from moe_lessons.widgets.slots_view.picture import draw_shelf


def trace(tokens: int = 24, experts: int = 8, top_k: int = 2, seed: int = 0, layers: int = 2) -> RoutingTrace:
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(layers, 1, experts)) + rng.normal(size=(layers, tokens, experts))
    return RoutingTrace.from_logits(logits, [f" w{i}" for i in range(tokens - 2)] + ["$", "\n"], top_k=top_k)


def view(**changes) -> SlotsView:
    return SlotsView({"mine": trace(), "theirs": trace(seed=1, tokens=12)}, **changes)


def test_the_browser_and_the_package_replay_random_traces_alike(node):
    rng = np.random.default_rng(0)
    cases, expected = [], []
    for seed in range(150):
        experts, top_k = int(rng.integers(2, 9)), int(rng.integers(1, 3))
        given, other = (trace(20, experts, top_k, s, layers=1).experts for s in (seed, seed + 1000))
        slots, policy = int(rng.integers(top_k, experts + 1)), str(rng.choice(SHOWN))
        done = replay(given, experts, slots, policy, calibration=other)
        expected.append({"hit": done.hit[0].tolist(), "holds": done.holds[0].tolist(), "loads": done.loads[0].tolist()})
        favorites = most_used(other[0], experts)
        cases.append({"requests": given[0].tolist(), "slots": slots, "policy": policy, "favorites": favorites})
    expression = """value.map(({ requests, slots, policy, favorites }) => {
        const turns = m.replay(requests, slots, policy, favorites);
        const loads = m.loads(requests, slots, policy, favorites);
        return { hit: turns.map(({ hit }) => hit), holds: turns.map(({ holds }) => holds), loads };
    })"""
    assert javascript(node, "slots_view/rule", expression, cases) == expected


def test_rates_are_those_of_the_replay_up_to_the_cursor(node):
    shown = view(slots=3, layer=1, at=10)
    done = replay(trace().experts, 8, 3, "lru")
    assert shown.hit_rates()["lru"] == done.hit[1, :10].mean()
    turns = [{"hit": hit} for hit in done.hit[1].tolist()]
    assert javascript(node, "slots_view/rule", "m.hitRates(value)[9]", turns) == pytest.approx(done.hit[1, :10].mean())


def test_it_has_a_still_picture_and_a_repr_that_stays():
    shown = view(policy="pinned")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data, metadata = shown._repr_mimebundle_()
    assert data["image/png"].startswith("iVBOR")
    rate = shown.hit_rates()["pinned"]
    expected = f"mine, layer 0, 2 of 8 experts, pinned (favorites of mine), 24 tokens: {rate:.0%} of choices found"
    assert data["text/plain"] == f"<SlotsView: {expected} in memory>"
    assert "an expert was fetched" in metadata["image/png"]["alt"]
    assert shown.figure().get_figwidth() <= 7
    shown.at = 0
    assert repr(shown).endswith("0 tokens: nothing asked for yet>")
    shown.figure().draw_without_rendering()


def test_the_still_picture_frames_as_many_experts_as_were_fetched():
    shown = view(slots=3)
    frames = [line for line in shown.figure().axes[0].lines if len(line.get_xdata()) == 5]
    assert len(frames) == replay(trace().experts, 8, 3, "lru").loads[0].sum()


def test_a_long_text_shows_its_end():
    figure = draw_shelf(np.zeros((60, 1), int), [np.array([], int)] * 60, [str(i) for i in range(60)])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()][-1] == "59"
    assert len(figure.axes[0].get_xticks()) == 48


def test_favorites_are_those_of_the_other_text():
    other = trace(seed=5)
    shown = SlotsView({"mine": trace()}, {"other": other}, policy="pinned", slots=4)
    assert shown.facts["favorites"] == [[most_used(layer, 8) for layer in other.experts]]
    expected = replay(trace().experts, 8, 4, "pinned", calibration=other.experts)
    assert (shown.replayed().holds == expected.holds[:1]).all()


def test_another_text_never_leaves_the_cursor_behind_its_end():
    shown = view()
    shown.text = 1
    assert shown.at == 12


@pytest.mark.parametrize("experts", [2, 64])
def test_two_experts_and_64_can_be_drawn(experts):
    SlotsView({"a": trace(experts=experts, top_k=1)}).figure().draw_without_rendering()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"slots": 1}, "slots is 1"),
        ({"slots": 9}, "slots is 9"),
        ({"layer": 7}, "layer is 7"),
        ({"text": 2}, "text is 2"),
        ({"calibration": -1}, "calibration is -1"),
        ({"at": 25}, "at is 25"),
    ],
)
def test_a_knob_that_makes_no_sense_is_refused_in_one_sentence(change, named):
    shown = view()
    before = repr(shown)
    with pytest.raises(ValueError, match=re.escape(named)):
        shown.set_trait(*next(iter(change.items())))
    assert repr(shown) == before


def test_what_cannot_be_shown_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="traces is empty"):
        SlotsView({})
    with pytest.raises(ValueError, match="must be a RoutingTrace"):
        SlotsView({"a": "text"})
    with pytest.raises(ValueError, match="'b' is of another model"):
        SlotsView({"a": trace(), "b": trace(experts=4)})
    with pytest.raises(ValueError, match=f"from 1 to {MOST_TOKENS}"):
        SlotsView({"a": trace(tokens=MOST_TOKENS + 1)})
    with pytest.raises(TraitError):
        view(policy="fifo")
