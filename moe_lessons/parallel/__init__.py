"""Experts on several processes, on one machine or on many: tokens travel, experts stay."""

from importlib import import_module

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


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"moe_lessons.parallel.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'moe_lessons.parallel' has no attribute {name!r}")
