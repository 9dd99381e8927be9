"""A trace on its way to the browser: sizes and text as JSON, arrays as bytes; trace.js reads them."""

from typing import Any

import numpy as np

from moe_lessons.tracing.trace import RoutingTrace


def facts_of(trace: RoutingTrace) -> dict[str, Any]:
    """Sizes, settings and text, and what the model made of it."""
    starts = np.flatnonzero(np.diff(trace.sequence)) + 1
    return {
        "layers": list(trace.layers),
        "tokens": trace.n_tokens,
        "experts": trace.n_experts,
        "pieces": trace.pieces,
        "starts": starts.tolist(),
        "rule": trace.rule.as_dict(),
        "model": trace.model,
        **reading_of(trace),
    }


def reading_of(trace: RoutingTrace) -> dict[str, Any]:
    """What the model made of the text, rounded for the way to the browser."""
    return {
        "nats": None if trace.nats is None else [round(float(cost), 4) for cost in trace.nats],
        "guesses": trace.guesses and [[(piece, round(share, 4)) for piece, share in guess] for guess in trace.guesses],
    }


def arrays_of(trace: RoutingTrace) -> bytes:
    """Logits, bias and weights as little-endian float32, then experts as uint16."""
    parts = [trace.logits.astype("<f4"), trace.bias.astype("<f4"), trace.weights.astype("<f4")]
    return b"".join(part.tobytes() for part in [*parts, trace.experts.astype("<u2")])
