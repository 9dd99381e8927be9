"""Which tokens of two texts belong together: where both begin alike, and where both end alike."""

import numpy as np
from jaxtyping import Int

from moe_lessons.tracing.trace import RoutingTrace

NONE = -1


def partners(trace: RoutingTrace, other: RoutingTrace) -> Int[np.ndarray, " tokens"]:
    """Each token's counterpart in another trace, -1 for none.

    The texts' common beginning comes first, then as much of a common end as is left; what lies between has none.
    """
    a, b = trace.pieces, other.pieces
    shorter = min(len(a), len(b))
    begin = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    end = next((i for i in range(shorter - begin) if a[-1 - i] != b[-1 - i]), shorter - begin)
    found = np.full(len(a), NONE)
    found[:begin] = np.arange(begin)
    found[len(a) - end :] = np.arange(len(b) - end, len(b))
    return found
