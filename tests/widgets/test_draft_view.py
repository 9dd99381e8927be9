"""DraftView: the browser, the still picture and the recording tell the same story."""

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from in_node import javascript

from moe_lessons.figures.lesson_11 import draw_overlap
from moe_lessons.figures.speculation import BONUS, KEPT, MAIN, REFUSED, Pass, draw_passes
from moe_lessons.model.speculative import Speculation, Step
from moe_lessons.widgets import DraftView
from moe_lessons.widgets.draft_view import MOST_TOKENS


def pieces(ids) -> list[str]:
    return [f"<{i}>" if i else "\n" for i in ids]


def speculation(seed: int = 0, n_drafts: int = 2, passes: int = 6, prompt: int = 3) -> Speculation:
    """A run made up of random verdicts, the last pass without a draft as where the text is full."""
    rng, tokens, steps = np.random.default_rng(seed), list(range(prompt + 1)), []
    for number in range(passes):
        n = n_drafts if number < passes - 1 else 0
        accepted = int(rng.integers(0, n + 1))
        drafts, token = rng.integers(0, 50, n).tolist(), int(rng.integers(0, 50))
        looked_at = min(n, accepted + 1)
        p, q = rng.random((2, looked_at)).tolist()
        steps.append(Step(len(tokens), drafts, accepted, token, p, q))
        tokens += [*drafts[:accepted], token]
    return Speculation(np.array([tokens]), steps)


def view(**changes) -> DraftView:
    recordings = {
        (text, t, n): speculation(n_drafts=n) for text in ("json", "prose") for t in (0.0, 1.0) for n in (1, 2)
    }
    return DraftView(recordings, pieces, **changes)


def test_the_browser_counts_as_the_kernel_does_at_every_event(node):
    for seed in range(5):
        for n_drafts in (1, 2, 4):
            shown = DraftView({("a", 1.0, n_drafts): speculation(seed, n_drafts, passes=8)}, pieces)
            steps = shown.records[0]["steps"]
            found = javascript(
                node,
                "draft_view/rule",
                "[...Array(m.eventsOf(value).length + 1).keys()].map((at) => m.totalsOf(value, at))",
                steps,
            )
            assert len(found) == shown.n_events + 1
            for at, totals in enumerate(found):
                shown.at = at
                assert shown.totals()._asdict() == totals


def test_at_the_end_the_totals_are_the_recordings_own(node):
    recording = speculation(3, 3, passes=9)
    shown = DraftView({("a", 0.7, 3): recording}, pieces)
    totals = shown.totals()
    assert totals.tokens == recording.tokens.shape[1] - 3
    assert totals.passes == len(recording.steps)
    assert totals.accepted / totals.judged == pytest.approx(recording.acceptance_rate)
    assert (totals.tokens - 1) / totals.passes == pytest.approx(recording.tokens_per_pass)


def test_the_chips_that_stay_are_the_text_and_the_others_what_was_refused(node):
    recording = speculation(1, 3, passes=9)
    record = DraftView({("a", 1.0, 3): recording}, pieces).records[0]
    chips = javascript(node, "draft_view/rule", "m.chipsOf(value, m.eventsOf(value.steps).length)", record)
    kept = [chip["piece"] for chip in chips if chip["kind"] in ("prompt", "main", "kept", "bonus")]
    assert kept == pieces(recording.tokens[0])
    refused = sum(step.accepted < len(step.drafts) for step in recording.steps)
    assert sum(chip["kind"] == "refused" for chip in chips) == refused
    unread = sum(max(0, len(step.drafts) - step.accepted - 1) for step in recording.steps)
    assert sum(chip["kind"] == "unread" for chip in chips) == unread


def test_it_has_a_still_picture_and_a_repr_that_stays():
    shown = view()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data, _ = shown._repr_mimebundle_()
    assert data["image/png"].startswith("iVBOR")
    totals = shown.totals()
    expected = f"{totals.tokens} tokens, {totals.passes} passes, {totals.accepted} of {totals.judged} drafts accepted"
    assert data["text/plain"] == f"<DraftView: json, temperature 0, 1 a pass: {expected}>"
    assert shown.figure().get_figwidth() <= 7
    shown.at = 0
    assert repr(shown).endswith("1 tokens, 0 passes, 0 of 0 drafts accepted>")
    shown.figure().draw_without_rendering()


def test_another_recording_never_leaves_the_cursor_behind_its_end():
    shown = DraftView({("a", 1.0, 2): speculation(passes=9), ("b", 1.0, 2): speculation(passes=2)}, pieces)
    shown.record = 1
    assert shown.at == shown.n_events


@pytest.mark.parametrize(
    ("change", "named"),
    [({"at": -1}, "at is -1"), ({"at": 10_000}, "at is 10000"), ({"record": 8}, "record is 8")],
)
def test_a_cursor_that_points_nowhere_is_refused_in_one_sentence(change, named):
    shown = view()
    before = repr(shown)
    with pytest.raises(ValueError, match=re.escape(named)):
        shown.set_trait(*next(iter(change.items())))
    assert repr(shown) == before


def test_what_cannot_be_shown_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="recordings is empty"):
        DraftView({}, pieces)
    with pytest.raises(ValueError, match="the key 'json' must be"):
        DraftView({"json": speculation()}, pieces)
    with pytest.raises(ValueError, match="has no steps"):
        DraftView({("a", 1.0, 1): Speculation(np.zeros((1, 3), int), [])}, pieces)
    long = SimpleNamespace(tokens=np.zeros((1, MOST_TOKENS + 1), int), steps=speculation().steps)
    with pytest.raises(ValueError, match=f"at most {MOST_TOKENS:,} fit"):
        DraftView({("a", 1.0, 1): long}, pieces)


def test_the_picture_of_passes_strikes_out_what_was_not_accepted():
    figure = draw_passes([Pass("so", ["a", "b", "c"], 1, "x"), Pass("sox", ["d"], 1, "y"), Pass("soxdy", [], 0, "z")])
    axis = figure.axes[0]
    colors = [tuple(np.round(bar.get_facecolor()[:3], 2)) for bar in axis.patches]
    as_rgb = [
        tuple(np.round([int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)], 2)) for c in (KEPT, REFUSED, MAIN, BONUS)
    ]
    assert [colors.count(color) for color in as_rgb] == [2, 1, 2, 1]
    assert len(axis.lines) == 2


def test_the_picture_of_two_distributions_stacks_to_the_larger_of_them():
    p, q = np.array([0.5, 0.3, 0.05, 0.15]), np.array([0.2, 0.3, 0.35, 0.15])
    figure = draw_overlap(p, q, ["a", "b", "c", "d"], "t", most=3)
    tops = {}
    for bars in figure.axes[0].containers:
        for bar in bars.patches:
            place = round(bar.get_x() + bar.get_width() / 2)
            tops[place] = tops.get(place, 0) + bar.get_height()
    assert tops == pytest.approx({0: 0.5, 1: 0.3, 2: 0.35})
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert ["70%" in words[0], "30%" in words[1], "30%" in words[2]] == [True] * 3
