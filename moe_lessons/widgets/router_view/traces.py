"""Which traces RouterView can draw and compare, and what tells two of them apart."""

from moe_lessons.tracing.trace import RoutingTrace

MOST_TOKENS = 4096  # what the browser draws without stutter
MOST_EXPERTS = 1024  # grid.js keeps an expert's number in ten bits


def check(trace: RoutingTrace, name: str = "trace") -> None:
    """Raise ValueError for what cannot be drawn; `name` is the argument that gave it."""
    if not isinstance(trace, RoutingTrace):
        raise ValueError(f"{name} is a {type(trace).__name__}, but must be a RoutingTrace; see record_routing")
    if trace.n_tokens == 0:
        raise ValueError(f"the {name} has no tokens; route at least one")
    if trace.n_tokens > MOST_TOKENS:
        raise ValueError(
            f"the {name} has {trace.n_tokens:,} tokens, but at most {MOST_TOKENS:,} can be drawn; "
            f"cut it with trace.select(tokens=slice({MOST_TOKENS}))"
        )
    if trace.n_experts > MOST_EXPERTS:
        raise ValueError(
            f"the {name} has {trace.n_experts:,} experts, but at most {MOST_EXPERTS:,} can be drawn; "
            "look at its arrays, such as trace.experts, instead"
        )
    if not trace.rule_known:
        raise ValueError(
            f"the {name} is of a model that chooses by no rule tracing knows, so the view's knobs would say nothing; "
            "look at its arrays, such as trace.experts, instead"
        )


def same_shape(a: RoutingTrace, b: RoutingTrace) -> bool:
    """Whether two traces are of the same layers and as many experts."""
    return (a.layers, a.n_experts) == (b.layers, b.n_experts)


def check_pair(trace: RoutingTrace, other: RoutingTrace) -> None:
    """Raise ValueError for a trace that cannot be drawn, or not compared with the one that is."""
    check(other, "compare")
    if not same_shape(trace, other):
        raise ValueError(
            f"compare has {_shape(other)}, but the trace has {_shape(trace)}; "
            "compare traces of the same layers and as many experts"
        )


def _shape(trace: RoutingTrace) -> str:
    layers = ", ".join(map(str, trace.layers))
    return f"{trace.n_experts} experts in layer{'s' * (trace.n_layers > 1)} {layers}"


def settings_of(trace: RoutingTrace) -> tuple:
    """What two traces must agree in, so that the knobs of one fit the other."""
    return trace.n_experts, trace.rule, trace.layers


def names_of(a: RoutingTrace, b: RoutingTrace) -> list[str]:
    """What tells two traces apart: their models, or else how their texts begin."""
    if a.model != b.model:
        return [a.model, b.model]
    texts = ["".join(trace.pieces) for trace in (a, b)]
    return [text if len(text) <= 24 else f"{text[:23]}…" for text in (" ".join(text.split()) for text in texts)]
