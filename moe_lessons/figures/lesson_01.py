"""Lesson 01's pictures: how merging shortens a text, what a vocabulary buys, and where a token comes from."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, name_ends, new_figure, plot_named, printable


def draw_merging(steps: Sequence[Sequence[str]], notes: Sequence[str]) -> Figure:
    """One text, once for each step, as chips of the pieces it then consists of; a note at the left of each row.

    Raises ValueError where there is not one note for each step.
    """
    if len(notes) != len(steps):
        raise ValueError(f"there are {len(notes)} notes for {len(steps)} steps; give one note for each step")
    figure = new_figure(WIDEST, 0.27 * len(steps) + 0.15)
    axis = figure.subplots()
    axis.axis("off")
    rows = [[printable(piece) for piece in step] for step in steps]
    width = max(sum(map(len, row)) for row in rows)
    axis.set(xlim=(-0.32 * width, width), ylim=(len(rows), 0))
    seen: set[str] = set(rows[0])
    for at, (row, note) in enumerate(zip(rows, notes, strict=True)):
        axis.text(-0.02 * width, at + 0.5, note, ha="right", va="center", fontsize=8.5, color=MUTED)
        column = 0
        for piece in row:
            fresh = piece not in seen
            axis.barh(
                at + 0.5, len(piece) - 0.12, left=column, height=0.78, color=PALETTE[1 if fresh else 4], linewidth=0,
                alpha=0.75 if fresh else 0.26,
            )  # fmt: skip
            axis.text(column + len(piece) / 2 - 0.06, at + 0.5, piece, family="DejaVu Sans Mono", size=8.5, ha="center",
                      va="center", color=INK)  # fmt: skip
            column += len(piece)
        seen |= set(row)
    told = [f"{note}: {len(row)} pieces, {'|'.join(row)}" for note, row in zip(notes, rows, strict=True)]
    figure.alt = f"One text, once for each of {len(rows)} steps, as chips of the pieces it then consists of. "
    figure.alt += ". ".join(dict.fromkeys((told[0], told[-1]))) + "."
    return figure


def draw_vocabulary(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    xlabel: str,
    ylabel: str,
    *,
    log: bool = False,
    line: tuple[float, str] | None = None,
) -> Figure:
    """One curve for each name, through points (x, y); `line` is a height to compare with, and its name."""
    figure = new_figure(WIDEST, 3.3)
    axis = clean(figure.subplots())
    named = {name.replace("_", " "): curve for name, curve in curves.items()}
    ends = plot_named(axis, named, dots=20, linewidth=1.6, markersize=3)
    axis.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, None), xscale="log" if log else "linear")
    if log:
        marks = [256, 512, 1024, 2048, 4096, 8192]
        axis.set_xticks(marks, [f"{mark:,}" for mark in marks])
        axis.minorticks_off()
    if line is not None:
        height, name = line
        axis.axhline(height, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axis.annotate(name, (axis.get_xlim()[0], height), xytext=(6, -4), textcoords="offset points", va="top",
                      fontsize=8.5, color=INK)  # fmt: skip
    name_ends(axis, title, ends)
    return figure


def draw_origins(pieces: Sequence[str], shares: Sequence[Sequence[float]], names: Sequence[str]) -> Figure:
    """For each piece, one bar divided among the domains that it comes from.

    `shares` is [pieces][names], and each row adds up to 1. Raises ValueError where a row has another length.
    """
    if any(len(row) != len(names) for row in shares):
        raise ValueError(f"a row of shares does not have {len(names)} entries; give one for each of {', '.join(names)}")
    figure = new_figure(WIDEST, 0.26 * len(pieces) + 0.75)
    axis = clean(figure.subplots(), grid="")
    axis.spines["bottom"].set_visible(False)
    left = [0.0] * len(pieces)
    shown = [printable(piece) for piece in pieces]
    for at, name in enumerate(names):
        part = [row[at] for row in shares]
        label = name.replace("_", " ")
        axis.barh(range(len(pieces)), part, left=left, height=0.74, color=PALETTE[at], label=label)
        left = [a + b for a, b in zip(left, part, strict=True)]
    axis.set_yticks(range(len(pieces)), shown, family="DejaVu Sans Mono")
    axis.tick_params(axis="y", labelcolor=INK)
    axis.set(xlim=(0, 1), xticks=[0, 0.5, 1])
    axis.set_xticklabels(["0", "half", "all of its occurrences"])
    axis.get_xticklabels()[-1].set_horizontalalignment("right")
    axis.invert_yaxis()
    figure.legend(loc="outside upper center", ncols=len(names), fontsize=8, frameon=False, handlelength=1,
                  columnspacing=1.1, labelcolor=INK)  # fmt: skip
    return figure
