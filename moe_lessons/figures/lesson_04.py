"""Lesson 04's pictures: what tokens cost, one by one, and how far above the floor a loss is."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from moe_lessons.figures.contrast import readable
from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, new_figure, printable


def draw_costs(
    pieces: Sequence[str], costs: Sequence[float], groups: Sequence[str], title: str, ylabel: str = "nats"
) -> Figure:
    """One bar a token, colored by the group that it belongs to; a group's name stands above its first bar."""
    figure = new_figure(WIDEST, 2.6)
    axis = clean(figure.subplots())
    names = list(dict.fromkeys(groups))
    colors = [PALETTE[names.index(group)] for group in groups]
    axis.bar(range(len(pieces)), costs, color=colors, width=0.8)
    axis.set_xticks(range(len(pieces)), [printable(piece) for piece in pieces])
    axis.tick_params(axis="x", labelsize=9, labelcolor=INK, labelfontfamily="DejaVu Sans Mono")
    top = max(costs) * 1.18 or 1.0
    axis.set(ylim=(0, top), ylabel=ylabel)
    for name, color in zip(names, PALETTE, strict=False):
        axis.text(groups.index(name) - 0.4, top, name, color=readable(color), fontsize=8.5, va="top")
    heading(axis, title)
    return figure


def draw_above_floor(losses: Mapping[str, float], floors: Mapping[str, float | None], unit: str, title: str) -> Figure:
    """Loss by domain as bars: gray up to the exact floor, colored above it, outlined where no floor is known."""
    figure = new_figure(WIDEST, 0.34 * len(losses) + 0.75)
    axis = clean(figure.subplots(), grid="x")
    told = []
    for row, (name, loss) in enumerate(losses.items()):
        floor = floors.get(name)
        if floor is None:
            axis.barh(row, loss, height=0.62, fill=False, edgecolor=MUTED, linewidth=0.9)
            note = "floor unknown"
        else:
            axis.barh(row, floor, height=0.62, color="#C9C9C9")
            axis.barh(row, loss - floor, left=floor, height=0.62, color=PALETTE[3])
            note = f"floor {floor:.2f}, {loss / floor - 1:.0%} above"
        axis.text(loss, row, f" {loss:.2f}  ({note})", va="center", fontsize=8.5, color=INK)
        told.append(f"{name.replace('_', ' ')} {loss:.2f} ({note})")
    axis.set_yticks(range(len(losses)), [name.replace("_", " ") for name in losses])
    axis.tick_params(axis="y", labelcolor=INK, labelsize=9)
    axis.invert_yaxis()
    axis.set(xlim=(0, 1.42 * max(losses.values())), xlabel=unit)
    heading(axis, title)
    figure.alt = f"{title}. Across: {unit}. {'; '.join(told)}."
    return figure
