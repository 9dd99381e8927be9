"""Experts on several processes, on one machine or on many: tokens travel, experts stay."""

from typing import TYPE_CHECKING

from moe_lessons.lazy import lazy

if TYPE_CHECKING:
    from moe_lessons.parallel.crossing import vectors_sent
    from moe_lessons.parallel.exchange import exchange
    from moe_lessons.parallel.experts import SpreadExperts, spread_experts
    from moe_lessons.parallel.launch import on_processes
    from moe_lessons.parallel.placement import Placement, busiest, in_order, place
    from moe_lessons.parallel.ranks import Ranks, team
    from moe_lessons.parallel.replicas import PlacedExperts, place_experts
    from moe_lessons.parallel.traffic import record_traffic

# Counting what would travel, and placing by load, need neither torch nor other processes.
_HOMES = {
    "Ranks": "ranks",
    "team": "ranks",
    "SpreadExperts": "experts",
    "spread_experts": "experts",
    "exchange": "exchange",
    "record_traffic": "traffic",
    "vectors_sent": "crossing",
    "on_processes": "launch",
    "Placement": "placement",
    "busiest": "placement",
    "in_order": "placement",
    "place": "placement",
    "PlacedExperts": "replicas",
    "place_experts": "replicas",
}
__all__ = [
    "PlacedExperts",
    "Placement",
    "Ranks",
    "SpreadExperts",
    "busiest",
    "exchange",
    "in_order",
    "on_processes",
    "place",
    "place_experts",
    "record_traffic",
    "spread_experts",
    "team",
    "vectors_sent",
]

__getattr__ = lazy(__name__, _HOMES)
