"""DraftView: speculative decoding played back, draft by draft: guessed, judged, kept or replaced."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import traitlets
from matplotlib.figure import Figure

from moe_lessons.figures.speculation import Pass, draw_passes
from moe_lessons.widgets.shared.view import View, front_end

MOST_TOKENS = 1000  # of one text; more would be a page that nobody reads


class Step(Protocol):
    """One pass of the main model, as `model.speculative.speculate` reports it."""

    position: int
    drafts: list[int]
    accepted: int
    token: int
    wanted: list[float]
    drafted: list[float]


class Speculation(Protocol):
    """A written text `tokens` [1, time] and the steps that it came from."""

    tokens: Any
    steps: Sequence[Step]


class Knobs(NamedTuple):
    """What tells one recording from the others."""

    text: str
    temperature: float
    drafts: int


class Totals(NamedTuple):
    """What the events so far come to; a pass counts once its own token is there."""

    tokens: int
    passes: int
    judged: int  # drafts that the main model has looked at or thrown away unread
    accepted: int


class DraftView(View):
    """Recorded runs of speculative decoding, played event by event.

    `recordings` maps (text's name, temperature, drafts a pass) to what `speculate` returned, `pieces` turns token
    ids into printable texts. An event is a round of drafts, the verdict on one of them, or the token that the pass
    adds itself; `at` counts the events that have happened. Raises ValueError for recordings that cannot be shown.
    """

    _esm, _css = front_end(__file__)

    #: knobs, prompt, first (the token that reading the prompt gave) and steps of each recording, in printable pieces.
    records = traitlets.List(traitlets.Dict()).tag(sync=True)
    record = traitlets.Int(0).tag(sync=True)
    at = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        recordings: Mapping[tuple[str, float, int], Speculation],
        pieces: Callable[[Sequence[int]], Sequence[str]],
        at: int | None = None,
    ) -> None:
        if not recordings:
            raise ValueError("recordings is empty; give at least one (text, temperature, drafts) with its Speculation")
        records = [_packed(Knobs(*_triple(key)), speculation, pieces) for key, speculation in recordings.items()]
        super().__init__()
        self.records = records
        self.at = self.n_events if at is None else at

    @property
    def n_events(self) -> int:
        """How many events the chosen recording has."""
        return sum(2 + len(step["wanted"]) for step in self.records[self.record]["steps"])

    def totals(self) -> Totals:
        """The running totals at the cursor."""
        record, left = self.records[self.record], self.at
        tokens, passes, judged, accepted = 1, 0, 0, 0
        for step in record["steps"]:
            here = min(left, 2 + len(step["wanted"]))
            left -= here
            kept = min(max(0, here - 1), step["accepted"])
            over = here == 2 + len(step["wanted"])
            tokens, accepted, passes = tokens + kept + over, accepted + kept, passes + over
            judged += len(step["drafts"]) if over else min(max(0, here - 1), len(step["wanted"]))
        return Totals(tokens, passes, judged, accepted)

    def figure(self) -> Figure:
        """The passes that are over at the cursor, a row each."""
        record, passes, left = self.records[self.record], [], self.at
        text = [*record["prompt"], record["first"]]
        for step in record["steps"]:
            left -= 2 + len(step["wanted"])
            if left < 0:
                break
            passes.append(Pass("".join(text[-12:]), step["drafts"], step["accepted"], step["token"]))
            text += [*step["drafts"][: step["accepted"]], step["token"]]
        return draw_passes(passes, self.describe().removeprefix("DraftView: "))

    def describe(self) -> str:
        knobs, totals = Knobs(*self.records[self.record]["knobs"]), self.totals()
        return (
            f"DraftView: {knobs.text}, temperature {knobs.temperature:g}, {knobs.drafts} a pass: {totals.tokens} "
            f"tokens, {totals.passes} passes, {totals.accepted} of {totals.judged} drafts accepted"
        )

    @traitlets.validate("record")
    def _known_record(self, proposal: dict) -> int:
        if not 0 <= proposal["value"] < len(self.records):
            raise ValueError(f"record is {proposal['value']}, but the recordings are 0 to {len(self.records) - 1}")
        return proposal["value"]

    @traitlets.validate("at")
    def _possible_event(self, proposal: dict) -> int:
        if not 0 <= proposal["value"] <= self.n_events:
            raise ValueError(f"at is {proposal['value']}, but the recording has events 0 to {self.n_events}")
        return proposal["value"]

    @traitlets.observe("record")
    def _stay_inside(self, _: dict) -> None:
        if self.at > self.n_events:
            self.at = self.n_events


def _triple(key: object) -> tuple:
    if not (isinstance(key, tuple) and len(key) == 3):
        raise ValueError(f"the key {key!r} must be (text's name, temperature, drafts a pass), such as ('json', 1.0, 2)")
    return key


def _packed(knobs: Knobs, speculation: Speculation, pieces: Callable[[Sequence[int]], Sequence[str]]) -> dict:
    ids = [int(token) for token in speculation.tokens[0]]
    if not speculation.steps:
        raise ValueError(f"the recording {tuple(knobs)} has no steps; write at least 2 tokens")
    if len(ids) > MOST_TOKENS:
        raise ValueError(
            f"the recording {tuple(knobs)} has {len(ids):,} tokens, but at most {MOST_TOKENS:,} fit; write fewer"
        )
    start = speculation.steps[0].position - 1
    return {
        "knobs": [knobs.text, float(knobs.temperature), int(knobs.drafts)],
        "prompt": list(pieces(ids[:start])),
        "first": pieces(ids[start : start + 1])[0],
        "steps": [
            {
                "drafts": list(pieces(step.drafts)),
                "accepted": int(step.accepted),
                "token": pieces([step.token])[0],
                "wanted": [round(float(p), 5) for p in step.wanted],
                "drafted": [round(float(q), 5) for q in step.drafted],
            }
            for step in speculation.steps
        ],
    }
