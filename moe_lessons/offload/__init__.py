"""Experts that do not fit into memory: which of them stay, what the others cost, and how to run without them."""

from typing import TYPE_CHECKING

from moe_lessons.lazy import lazy

if TYPE_CHECKING:
    from moe_lessons.offload.ask_first import AskFirst
    from moe_lessons.offload.guess import frequency_guesses, guessed, next_layer_guesses, recency_guesses
    from moe_lessons.offload.resident import OffloadedExperts, Traffic, load_offloaded, offloaded, traffic
    from moe_lessons.offload.slots import POLICIES, Replay, Slots, covered, most_used, replay
    from moe_lessons.offload.store import ExpertFile

# Replaying a trace needs neither torch nor a model.
_HOMES = {
    "Slots": "slots",
    "POLICIES": "slots",
    "Replay": "slots",
    "replay": "slots",
    "most_used": "slots",
    "covered": "slots",
    "next_layer_guesses": "guess",
    "recency_guesses": "guess",
    "frequency_guesses": "guess",
    "guessed": "guess",
    "AskFirst": "ask_first",
    "ExpertFile": "store",
    "OffloadedExperts": "resident",
    "Traffic": "resident",
    "load_offloaded": "resident",
    "offloaded": "resident",
    "traffic": "resident",
}
__all__ = [
    "POLICIES",
    "AskFirst",
    "ExpertFile",
    "OffloadedExperts",
    "Replay",
    "Slots",
    "Traffic",
    "covered",
    "frequency_guesses",
    "guessed",
    "load_offloaded",
    "most_used",
    "next_layer_guesses",
    "offloaded",
    "recency_guesses",
    "replay",
    "traffic",
]

__getattr__ = lazy(__name__, _HOMES)
