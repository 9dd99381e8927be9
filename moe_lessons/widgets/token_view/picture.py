"""A text's tokens as colored chips, and bytes per token by domain."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from moe_lessons.figures.style import INK, MUTED, PALETTE, WIDEST, clean, heading, new_figure, printable

_COLUMNS = 92  # characters a line, in the monospaced font at this size
_MOST_LINES = 14


def draw_tokens(pieces: Sequence[str], title: str = "", bytes_per_token: Mapping[str, float] | None = None) -> Figure:
    """The pieces as a strip of chips, wrapped; below, one bar for each domain."""
    lines = wrap([printable(piece) for piece in pieces])
    n_lines = max(1, len(lines))
    domains = dict(bytes_per_token or {})
    heights = [0.25 * n_lines + 0.3, 0.22 * len(domains) + 0.45] if domains else [0.25 * n_lines + 0.3]
    figure = new_figure(WIDEST, sum(heights))
    # Each in its own part of the figure, so that the names of the domains do not push the chips to the right.
    panels = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_chips(panels[0].subplots(), lines, title)
    if domains:
        _draw_bars(panels[1].subplots(), domains)
    figure.alt = f"{title or 'Tokens'}. {len(pieces)} tokens as chips: {'|'.join(map(printable, pieces[:20]))}"
    figure.alt += "…" * (len(pieces) > 20) + "."
    if domains:
        told = [f"{name.replace('_', ' ')} {value:.2f}" for name, value in domains.items()]
        figure.alt += f" Bytes per token: {', '.join(told)}."
    return figure


def wrap(pieces: Sequence[str], columns: int = _COLUMNS, most: int = _MOST_LINES) -> list[list[tuple[int, int, str]]]:
    """Lines of (index, column, text): chips one after the other, a new line where one would not fit.

    What does not fit in `most` lines is left out, and the last line ends with "…".
    """
    lines: list[list[tuple[int, int, str]]] = [[]]
    column = 0
    for index, piece in enumerate(pieces):
        shown = piece if len(piece) <= columns else piece[: columns - 1] + "…"
        if lines[-1] and (column + len(shown) > columns or pieces[index - 1].endswith("↵")):
            if len(lines) == most:
                lines[-1].append((-1, column, "…"))
                break
            lines.append([])
            column = 0
        lines[-1].append((index, column, shown))
        column += len(shown)
    return lines if pieces else []


def _draw_chips(axis, lines, title: str) -> None:
    axis.axis("off")
    axis.set(xlim=(0, _COLUMNS), ylim=(max(1, len(lines)), 0))
    heading(axis, title)
    for row, line in enumerate(lines):
        for index, column, text in line:
            color = PALETTE[index % 5] if index >= 0 else "white"
            axis.barh(row + 0.5, len(text) - 0.12, left=column, height=0.78, color=color, alpha=0.26, linewidth=0)
            axis.text(
                column + len(text) / 2, row + 0.5, text, family="DejaVu Sans Mono", size=8, ha="center", va="center"
            )


def _draw_bars(axis, domains: dict[str, float]) -> None:
    clean(axis, grid="")
    axis.spines["bottom"].set_visible(False)
    axis.set_xticks([])
    axis.set_title("bytes per token, by domain", loc="left", fontsize=8.5, color=MUTED)
    names = [name.replace("_", " ") for name in domains]
    bars = axis.barh(names, list(domains.values()), height=0.68, color=PALETTE[0])
    axis.bar_label(bars, fmt="%.2f", padding=4, fontsize=8, color=MUTED)
    axis.tick_params(axis="y", labelcolor=INK)
    axis.invert_yaxis()
