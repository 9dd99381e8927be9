"""Experts on several processes, on one machine or on many: tokens travel, experts stay."""

from moe_lessons.lazy import lazy

# Counting what would travel needs neither torch nor other processes.
_HOMES = {
    "Ranks": "ranks",
    "team": "ranks",
    "SpreadExperts": "experts",
    "spread_experts": "experts",
    "exchange": "exchange",
    "record_traffic": "traffic",
    "vectors_sent": "crossing",
    "on_processes": "launch",
}
__all__ = [
    "Ranks",
    "SpreadExperts",
    "exchange",
    "on_processes",
    "record_traffic",
    "spread_experts",
    "team",
    "vectors_sent",
]

__getattr__ = lazy(__name__, _HOMES)
