"""The last lesson's stage: a router of one's own in the course's model, checked, trained, scored, and on a board."""

from moe_lessons.capstone.arena import Arena, Entry
from moe_lessons.capstone.checks import inspect_router
from moe_lessons.capstone.contract import chosen, packed, seat_routers, spread
from moe_lessons.capstone.leaderboard import Board, forget
from moe_lessons.capstone.report import Report
from moe_lessons.capstone.routers import ExpertChoiceRouter, HashRouter, SigmoidBiasRouter, SoftmaxRouter

__all__ = [
    "Arena",
    "Board",
    "Entry",
    "ExpertChoiceRouter",
    "HashRouter",
    "Report",
    "SigmoidBiasRouter",
    "SoftmaxRouter",
    "chosen",
    "forget",
    "inspect_router",
    "packed",
    "seat_routers",
    "spread",
]
