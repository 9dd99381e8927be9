"""What conversations cost in memory: bytes of cache against their length, beside the sizes of memories."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from moe_lessons.accounting import Kept
from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, label_ends, new_figure

SHORTEST, LONGEST = 2**10, 2**20  # tokens


class CacheCurve(NamedTuple):
    """A model's cache over the length of a text."""

    name: str
    kept: Kept  # bytes
    weights: float  # bytes
    longest: int  # tokens that the model was made for
    what_if: bool = False  # nobody published it like this


def brief_bytes(count: float) -> str:
    """Three digits with a decimal unit: 9.2e9 is "9.20 GB"."""
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if count < 999.5:
            break
        count, unit = count / 1000, larger
    return f"{count:.{0 if unit == 'B' or count >= 99.95 else 1 if count >= 9.995 else 2}f} {unit}"


def in_k(tokens: float) -> str:
    """A length in powers of two: 131072 is "128k"."""
    size, unit = (2**20, "M") if tokens >= 2**20 else (1024, "k")
    return f"{round(tokens / size, 2):g}{unit}"


def draw_context(
    curves: Sequence[CacheCurve],
    memories: Mapping[str, float],
    context: int,
    conversations: int = 1,
    title: str = "",
    colors: Sequence[str] = PALETTE,
) -> Figure:
    """Bytes of cache by length, both in powers; dashed behind the length that a model was made for, and where nobody
    published it so. Memories are heights, and `context` is where the lines are read.
    """
    figure = new_figure(WIDEST, 3.9)
    axis = clean(figure.subplots(), grid="")
    axis.set(xscale="log", yscale="log", xlim=(SHORTEST, LONGEST))
    ends = []
    for number, curve in enumerate(curves):
        color, here = colors[number % len(colors)], conversations * curve.kept.at(context)
        for low, high, dashed in ((SHORTEST, curve.longest, curve.what_if), (curve.longest, LONGEST, True)):
            start, end = np.clip([low, high], SHORTEST, LONGEST)
            tokens = np.geomspace(start, end, 41)
            sizes = [conversations * curve.kept.at(length) for length in tokens]
            axis.plot(tokens, sizes, color=color, linewidth=1.9, linestyle=(0, (4, 2)) if dashed else "-")
        axis.plot(context, here, marker="o", markersize=4.5, color=color)
        last = conversations * curve.kept.at(LONGEST)
        ends.append((LONGEST, last, f"{curve.name}  {brief_bytes(here)}", color))
    low, high = axis.get_ylim()
    axis.set_ylim(low, max(high, 1.5 * max(memories.values(), default=0)))
    for name, size in memories.items():
        axis.axhline(size, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
        axis.text(SHORTEST * 1.06, size * 1.12, name, fontsize=7.5, color=MUTED)
    axis.axvline(context, color=INK, linewidth=0.9)
    ticks = [2**power for power in range(10, 21, 2)]
    axis.set_xticks(ticks, [in_k(tick) for tick in ticks])
    axis.minorticks_off()
    axis.yaxis.set_major_locator(FixedLocator([10.0**power for power in range(3, 18)]))
    axis.yaxis.set_major_formatter(lambda value, _: brief_bytes(value).replace(".00", "").replace(".0 ", " "))
    axis.set(xlabel="tokens of context", ylabel=f"cache, {conversations:,} conversation{'s' * (conversations > 1)}")
    heading(axis, title)
    figure.draw_without_rendering()
    label_ends(axis, ends, size=8)
    return figure
