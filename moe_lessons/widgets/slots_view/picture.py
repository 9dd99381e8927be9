"""SlotsView's still picture: what lay in each slot at each token, and when somebody new came in."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from moe_lessons.figures.colors import expert_colors
from moe_lessons.figures.contrast import SHEET
from moe_lessons.figures.style import INK, WIDEST, clean, heading, new_figure, printable

_MOST = 48  # tokens in the picture: the last ones before the cursor


def draw_shelf(
    holds: Int[np.ndarray, "tokens slots"],
    fetched: Sequence[Int[np.ndarray, " choices"]],
    pieces: Sequence[str],
    title: str = "",
) -> Figure:
    """A row for each slot, a column for each token; a dark frame is around an expert that was fetched for it."""
    skipped = max(0, len(holds) - _MOST)
    shown, new, words = holds[skipped:], fetched[skipped:], pieces[skipped:]
    tokens, slots = shown.shape
    figure = new_figure(WIDEST, 0.9 + 0.2 * slots + 0.55)
    axis = clean(figure.subplots(), grid="")
    colors = [to_rgb(color) for color in expert_colors(int(holds.max(initial=0)) + 1)]
    picture = np.array([[colors[held] if held >= 0 else to_rgb(SHEET) for held in row] for row in shown])
    if tokens:
        axis.imshow(picture.reshape(tokens, slots, 3).transpose(1, 0, 2), aspect="auto", interpolation="nearest")
    for token, experts in enumerate(new):
        for slot in np.flatnonzero(np.isin(shown[token], experts)):
            box = np.array([-0.42, 0.42, 0.42, -0.42, -0.42])
            axis.plot(token + box, slot + np.roll(box, 1), color=INK, linewidth=1.2)
    axis.set_yticks(range(slots), [f"slot {slot + 1}" for slot in range(slots)])
    axis.set_xticks(range(tokens), [printable(piece) for piece in words], rotation=90, family="DejaVu Sans Mono")
    axis.tick_params(axis="x", labelsize=6.5)
    axis.set(xlim=(-0.5, max(tokens, 1) - 0.5), ylim=(slots - 0.5, -0.5))
    heading(axis, title)
    loads = sum(len(experts) for experts in fetched)
    figure.alt = (
        f"{title}. The last {tokens} tokens as columns, the {slots} slots as rows, colored by the expert that lies in "
        f"them; {loads} times in {len(holds)} tokens an expert was fetched, which a frame marks."
    )
    return figure
