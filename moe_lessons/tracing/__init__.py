"""What happens inside a model, observed from outside: routing and attention."""

from typing import TYPE_CHECKING

from moe_lessons.lazy import lazy

if TYPE_CHECKING:
    from moe_lessons.tracing.ask import tracer
    from moe_lessons.tracing.attention import record_attention
    from moe_lessons.tracing.record import find_routers, observe_routing, record_routing
    from moe_lessons.tracing.snapshots import Snapshots
    from moe_lessons.tracing.steer import knock_out, only_expert, sent_to, steer_routing
    from moe_lessons.tracing.trace import RoutingTrace

# Recording needs torch and the model; reading a trace needs neither.
_HOMES = {
    "RoutingTrace": "trace",
    "record_routing": "record",
    "observe_routing": "record",
    "find_routers": "record",
    "record_attention": "attention",
    "steer_routing": "steer",
    "sent_to": "steer",
    "knock_out": "steer",
    "only_expert": "steer",
    "tracer": "ask",
    "Snapshots": "snapshots",
}
__all__ = [
    "RoutingTrace",
    "Snapshots",
    "find_routers",
    "knock_out",
    "observe_routing",
    "only_expert",
    "record_attention",
    "record_routing",
    "sent_to",
    "steer_routing",
    "tracer",
]

__getattr__ = lazy(__name__, _HOMES)
