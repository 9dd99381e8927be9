"""How well a color is seen on another, by the rule of WCAG 2: 4.5 for words, 3 for lines."""

import numpy as np
from matplotlib.colors import to_hex, to_rgb

PAPER = "#EBE7DE"  # every figure's ground: four fifths of white's luminance
SHEET = "#F6F4EE"  # boxes that lie on it


def luminance(color: str | np.ndarray) -> float:
    """Relative luminance of a color, or of its red, green and blue from 0 to 1: 0 is black, 1 is white."""
    channels = np.array(to_rgb(color if isinstance(color, str) else tuple(color)))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def contrast(one: str, other: str) -> float:
    """From 1 (the same) to 21 (black on white)."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def readable(color: str, least: float = 4.5, ground: str = PAPER) -> str:
    """The color itself where it has that contrast, or else as much of its black as it needs."""
    if contrast(color, ground) >= least:
        return color
    channels, dark, light = np.array(to_rgb(color)), 0.0, 1.0
    for _ in range(12):
        middle = (dark + light) / 2
        if contrast(to_hex(tuple(channels * middle)), ground) >= least:
            dark = middle
        else:
            light = middle
    return to_hex(tuple(channels * dark))
