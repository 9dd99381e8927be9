"""What things are colored: experts, loads, the parts of a model, and ink on any of them."""

import math
from collections.abc import Sequence

from matplotlib.colors import to_rgb

from moe_lessons.figures.style import INK, PALETTE

BUSY, IDLE = "#D55E00", "#0072B2"  # above and below the mean load; what is neither stays white

#: Every part in drawing order, with its color and what it is called.
PARTS = {
    "embedding": (PALETTE[4], "embedding"),
    "attention": (PALETTE[0], "attention (q, k, v, o)"),
    "scores": (PALETTE[8], "attention scores"),
    "feed_forward": (PALETTE[1], "feed-forward"),
    "experts": (PALETTE[1], "experts"),
    "shared_experts": (PALETTE[9], "shared experts"),
    "router": (PALETTE[5], "router"),
    "norms": (PALETTE[7], "norms"),
    "hyper_connections": (PALETTE[6], "hyper-connections"),
    "head": (PALETTE[2], "head"),
    "multi_token": (PALETTE[3], "multi-token modules"),
}

# For experts past the palette: its first eight hues again, darker (below 0) or lighter (above).
_LEVELS = (0, 0, -0.38, 0.66, -0.6, 0.25, -0.2, 0.4)


def expert_colors(n: int, palette: Sequence[str] = PALETTE) -> list[str]:
    """One color per expert, the same as in the browser; above 64 they repeat, so a number always stands beside them."""

    def color(expert: int) -> str:
        if expert < len(palette):
            return palette[expert].lower()
        level = _LEVELS[expert // 8 % 8]
        base = palette[expert % 8]
        channels = [int(base[i : i + 2], 16) for i in (1, 3, 5)]
        target = 0 if level < 0 else 255
        return "#" + "".join(f"{math.floor(c + (target - c) * abs(level) + 0.5):02x}" for c in channels)

    return [color(expert) for expert in range(n)]


def ink_on(color: str) -> str:
    """The text color that reads on a background."""
    red, green, blue = to_rgb(color)
    return INK if 0.3 * red + 0.6 * green + 0.1 * blue > 0.55 else "white"
