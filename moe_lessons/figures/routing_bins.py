"""The bins of RouterView's still picture: one for each expert, filled as far as it is loaded; groups have borders."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from moe_lessons.figures.contrast import readable
from moe_lessons.figures.routing_parts import Still, mixed
from moe_lessons.figures.style import INK, MUTED, RULE
from moe_lessons.tracing.rule import best_groups, slots_per_expert

FULL = 0.78  # of a bin's height is the fill of the busiest one
_HOT = "#A84300"


def bin_panel(axis: Axes, view: Still, load: np.ndarray) -> None:
    """A bin for each expert, filled as far as it is loaded, what was dropped pale; groups have a border."""
    n, routed, knobs = len(load), view.routed[view.row], view.knobs
    kept = np.bincount(routed.experts[~routed.dropped], minlength=n)
    most = max(1, int(load.max()))
    mine = set(routed.experts[view.pinned].tolist())
    faces = [mixed(c, 0.85 if view.highlight in (None, e) else 0.25) for e, c in enumerate(view.colors)]
    if (kept < load).any():
        axis.bar(range(n), load, width=0.8, color=[mixed(face, 0.3) for face in faces], linewidth=0)
    axis.bar(range(n), kept, width=0.8, color=faces, linewidth=0)
    axis.set(xlim=(-0.5, n - 0.5), ylim=(0, most / FULL), yticks=[])
    axis.axis("on")
    for expert in range(n if n <= 128 else 0):
        off, own = expert in knobs.off, expert in mine
        color = MUTED if off else INK if own else readable(view.colors[expert], 2)
        axis.plot(
            [expert - 0.4, expert - 0.4, expert + 0.4, expert + 0.4],
            [most / FULL, 0, 0, most / FULL],
            color=color,
            linewidth=1.6 if own else 0.9,
            linestyle=(0, (2, 2)) if off else "-",
            clip_on=False,
        )
    if n <= 24:
        for expert, count in enumerate(load):
            lost = count - kept[expert]
            words = "off" if expert in knobs.off else f"{kept[expert]}+{lost}" if lost else str(count)
            axis.annotate(
                words, (expert, count), (0, 2), textcoords="offset points", fontsize=7, ha="center", color=INK
            )
    if knobs.capacity:
        slots = slots_per_expert(knobs.capacity, len(routed.experts), routed.experts.shape[1], n)
        if slots <= most / FULL:
            axis.axhline(slots, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
        axis.annotate(
            f"{slots} slots",
            (1, min(1.0, slots * FULL / most)),
            xycoords="axes fraction",
            xytext=(-2, 2),
            textcoords="offset points",
            fontsize=7,
            color=MUTED,
            ha="right",
        )
    _number(axis, view, mine)
    _groups(axis, view)


def _groups(axis: Axes, view: Still) -> None:
    """A box around each group; the pinned token's experts come from the open ones."""
    knobs, n = view.knobs, view.trace.n_experts
    if knobs.n_groups < 2:
        return
    shut = shut_groups(view)
    size = n / knobs.n_groups
    # Neighbors must not overprint each other; a dashed box and a color of its own say "shut" too.
    name = "group " if knobs.n_groups <= 8 else ""
    closed = ", shut out" if knobs.n_groups <= 6 else ", shut" if knobs.n_groups <= 12 else ""
    for group in range(knobs.n_groups):
        box = Rectangle(
            (group * size - 0.48, -0.42),
            size - 0.04,
            1.46,
            transform=axis.get_xaxis_transform(),
            fill=False,
            edgecolor=MUTED if group in shut else INK,
            linewidth=0.8,
            linestyle=(0, (3, 2)) if group in shut else "-",
            clip_on=False,
        )
        axis.add_patch(box)
        words = f"{name}{group}{closed if group in shut else ''}"
        axis.annotate(
            words,
            ((group + 0.5) * size - 0.5, -0.34),
            xycoords=axis.get_xaxis_transform(),
            fontsize=6.5,
            color=_HOT if group in shut else MUTED,
            ha="center",
            va="center",
            annotation_clip=False,
        )


def shut_groups(view: Still) -> list[int]:
    """The groups that the pinned token may not choose from."""
    knobs = view.knobs
    wanted = view.routed[view.row].scores[view.pinned] + view.trace.bias[view.row]
    wanted = wanted + (np.array(knobs.bias) if knobs.bias else 0)
    wanted[list(knobs.off)] = -np.inf
    return np.flatnonzero(~best_groups(wanted, knobs)).tolist()


def _number(axis: Axes, view: Still, mine: set[int]) -> None:
    """Number the experts; with their bias below, and in brackets where they are off."""
    n, knobs = view.trace.n_experts, view.knobs
    ticks = range(0, n, 1 if n <= 24 else 4 if n <= 64 else 8 if n <= 128 else 64)

    def name(expert: int) -> str:
        number = f"({expert})" if expert in knobs.off else str(expert)
        return f"{number}\n{knobs.bias[expert]:+.3g}" if knobs.bias and knobs.bias[expert] else number

    axis.set_xticks(ticks, [name(expert) for expert in ticks])
    axis.tick_params(axis="x", labelsize=7.5 if n <= 16 else 6.5, pad=2)
    axis.spines["bottom"].set_color(RULE)
    for label, expert in zip(axis.get_xticklabels(), axis.get_xticks(), strict=True):
        if expert in mine:
            label.set(color=INK, fontweight="bold")
