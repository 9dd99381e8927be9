"""What a picture shows, in words: the alt text of every figure, read from the figure itself.

Who cannot see a picture gets its title, its axes, and the numbers that the eye would take from it: where a line
begins and ends, how high the bars are, where a map is darkest. A figure that knows better carries its own `alt`.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, Container
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

CAPTION = "caption"  # of a label below a panel that says what is in it, rather than what its axis measures
MOST = 600  # signs; a screen reader speaks them in about half a minute
_NAMED_BARS = 8  # above that, their range
_NAMED_LINES = 6


def describe(figure: Figure, name: str = "") -> str:
    """The figure's own `alt` where it has one, otherwise sentences made of its titles, axes and data.

    `name` comes first, and a title that only says it again is left out.
    """
    if own := getattr(figure, "alt", ""):
        return _cut(own if own.startswith(name) else f"{name}. {own}")
    heads = [_plain(part.get_suptitle()) for part in (figure, *figure.subfigs) if part.get_suptitle()]
    panels = [words for axis in figure.axes if axis.get_visible() and (words := _panel(axis))]
    notes = [_plain(text.get_text()) for part in (figure, *figure.subfigs) for text in _loose_texts(part)]
    heads = [name, *(head for head in heads if head not in name)]
    if len(panels) == 1:
        parts = [*heads, *panels[0], *notes]
    else:
        parts = [*heads, *notes, *([f"{len(panels)} panels"] if panels else [])]
        for number, panel in enumerate(panels, start=1):
            parts += [f"{number}: {panel[0]}", *panel[1:]]
    return _sentences(parts) or f"A figure with {len(figure.axes)} panels."


def _sentences(parts: Sequence[str]) -> str:
    """Parts as sentences while there is room; what does not fit is counted at the end, not cut in the middle."""
    parts = [part for part in parts if part]
    text = ""
    for number, part in enumerate(parts):
        sentence = part if part[-1:] in ".?!" else part + "."
        left = len(parts) - number - 1
        if len(text) + len(sentence) + (25 if left else 0) > MOST:
            if not text:
                return _cut(sentence)
            return f"{text} And {left + 1} more."
        text += (" " if text else "") + sentence
    return text


def _cut(text: str) -> str:
    return text if len(text) <= MOST else text[: MOST - 1].rsplit(" ", 1)[0] + "…"


def _panel(axis: Axes) -> list[str]:
    """One panel's title and axes, then a sentence for each kind of thing drawn in it; empty for a bare panel."""
    titles = [_plain(axis.get_title(loc=where)) for where in ("left", "center", "right")]
    title = ", ".join(words for words in titles if words)
    if not title and not _label(axis).startswith(("_", "<")):
        title = _label(axis)
    named: set[str] = set()
    # Without axes it is a diagram, whose lines and boxes measure nothing.
    drawn = [*_lines(axis, named), *_bars(axis), *_maps(axis), *_clouds(axis)] if axis.axison else []
    words = [_plain(text.get_text()) for text in axis.texts if _is_prose(text.get_text())]
    said = " ".join((title, *drawn))
    words = [text for text in dict.fromkeys(words) if text not in named and text not in said]
    if not (title or drawn or words):
        return []
    labels = [f"{name}: {label}" if name else label for name, label in _axis_labels(axis) if label]
    first = title or (labels.pop(0) if labels else "")
    axes = "; ".join(labels) if drawn else ""
    return [part for part in (first, axes, *drawn, _listed(words)) if part]


def _label(one: Artist | Container) -> str:
    """Its label as text; matplotlib takes any object, and none."""
    label = one.get_label()
    return "" if label is None else str(label)


def _axis_labels(axis: Axes) -> Iterator[tuple[str, str]]:
    below = _plain(axis.get_xlabel()) if axis.axison else ""
    yield "" if axis.xaxis.label.get_gid() == CAPTION else "Across", below
    yield "up", _plain(axis.get_ylabel()) if axis.axison else ""


def _lines(axis: Axes, named: set[str]) -> Iterator[str]:
    """Each curve by its name, with its first and last value and, where they lie elsewhere, its extremes.

    A curve without a label is called what a text in its color says; a faint line under a strong one of the same color
    or name is the same curve. Of a level line that has a name, its height is said.
    """
    curves: dict[str, Line2D] = {}
    levels: dict[str, list[float]] = {}
    for line in axis.lines:
        label = _label(line) or "_"
        if not line.get_visible():
            continue
        if line.get_transform() != axis.transData:  # drawn from edge to edge
            if not label.startswith("_"):
                named.add(_plain(label))
                levels.setdefault(_plain(label), []).append(float(np.asarray(line.get_ydata())[0]))
            continue
        if np.size(line.get_xdata()) < 2:
            continue
        key = to_hex(line.get_color()) if label.startswith("_") else label
        if key not in curves or line.get_linewidth() >= curves[key].get_linewidth():
            curves[key] = line
    names = _names_by_color(axis)
    sentences = []
    for key, line in curves.items():
        name = names.get(key, "") if key.startswith("#") else _plain(key)
        if name:
            named.add(name)
        if words := _course(np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), line):
            sentences.append(f"{name}: {words}" if name else words)
        elif name and (height := _level(axis, line)) is not None:
            levels.setdefault(name, []).append(height)
    if len(sentences) > _NAMED_LINES:
        yield f"{len(sentences)} lines"
    yield from sentences[:_NAMED_LINES]
    yield from (f"{name}: at {_range(min(heights), max(heights))}" for name, heights in levels.items())


def _level(axis: Axes, line: Line2D) -> float | None:
    """The height of a level line that runs as far as all that is drawn; None for any other line."""
    x, y = (np.asarray(each, dtype=float) for each in (line.get_xdata(orig=False), line.get_ydata(orig=False)))
    spans = x.min() <= axis.dataLim.x0 and x.max() >= axis.dataLim.x1
    return float(y[0]) if spans and len(set(y)) == 1 else None


def _names_by_color(axis: Axes) -> dict[str, str]:
    names: dict[str, str] = {}
    for text in axis.texts:
        if _is_prose(text.get_text()):
            names.setdefault(to_hex(text.get_color()), _plain(text.get_text()))
    return names


def _course(x: Any, y: Any, line: Line2D) -> str:
    """How a line runs, in one clause; nothing for a line that has no numbers."""
    try:
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    except (TypeError, ValueError):
        return ""
    kept = np.isfinite(x) & np.isfinite(y)
    x, y = x[kept], y[kept]
    if not len(y):
        return ""
    if line.get_linestyle() in ("None", "", " "):
        return f"{len(y)} points from {_number(y.min())} to {_number(y.max())}"
    if len(set(x)) == 1 or (len(y) == 2 and y[0] == y[1]):
        return ""  # a mark, not a curve
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    words = f"from {_number(y[0])} at {_number(x[0])} to {_number(y[-1])} at {_number(x[-1])}"
    ends = (y[0], y[-1])
    margin = 0.02 * (y.max() - y.min())
    if y.min() < min(ends) - margin:
        words += f", lowest {_number(y.min())} at {_number(x[y.argmin()])}"
    if y.max() > max(ends) + margin:
        words += f", highest {_number(y.max())} at {_number(x[y.argmax()])}"
    return words


def _bars(axis: Axes) -> Iterator[str]:
    """Bars by name and length, where they are few; otherwise the shortest and the longest."""
    bars = [one for one in axis.containers if isinstance(one, BarContainer) and len(one.patches)]
    if len(bars) > 1 and all(len(one.patches) == 1 for one in bars):
        known = ["" if _label(one).startswith("_") else _plain(_label(one)) for one in bars]
        bars = [BarContainer([one.patches[0] for one in bars], orientation=bars[0].orientation)]
    else:
        known = []
    for container in bars:
        flat = container.orientation == "horizontal"
        lengths, names = [], []
        for bar in container.patches:
            length, middle = (bar.get_width(), bar.get_y() + bar.get_height() / 2)
            if not flat:
                length, middle = (bar.get_height(), bar.get_x() + bar.get_width() / 2)
            lengths.append(length)
            names.append(_tick_name(axis, "y" if flat else "x", middle))
        names = [name or known for name, known in zip_longest(names, known, fillvalue="")]
        if not np.isfinite(lengths).any() or not np.any(lengths):
            continue
        label = _label(container)
        head = f"{_plain(label)}: " if label and not label.startswith("_") else ""
        if len(lengths) <= _NAMED_BARS:
            pairs = zip(names, lengths, strict=True)
            yield f"{head}bars: " + ", ".join(f"{name} {_number(length)}".strip() for name, length in pairs)
        else:
            low, high = int(np.nanargmin(lengths)), int(np.nanargmax(lengths))
            yield (
                f"{head}{len(lengths)} bars from {_number(lengths[low])} ({names[low] or low}) "
                f"to {_number(lengths[high])} ({names[high] or high})"
            )


def _maps(axis: Axes) -> Iterator[str]:
    """A picture's size, and where its largest number is."""
    for image in axis.images:
        numbers = np.ma.filled(np.ma.asarray(image.get_array(), dtype=float), np.nan)
        if numbers.ndim == 3:  # colors: their numbers say nothing to a reader
            yield f"a colored map, {_span(image, axis)}"
            continue
        rows, columns = numbers.shape
        if not np.isfinite(numbers).any():
            continue
        row, column = map(int, np.unravel_index(int(np.nanargmax(numbers)), numbers.shape))
        where = f"{_tick_name(axis, 'y', row) or f'row {row}'}, {_tick_name(axis, 'x', column) or f'column {column}'}"
        yield f"a map of {rows} by {columns}, largest {_number(numbers[row, column])} at {where}"


def _span(image: Any, axis: Axes) -> str:
    left, right, bottom, top = image.get_extent()
    return f"{_number(abs(right - left))} wide and {_number(abs(bottom - top))} high"


def _clouds(axis: Axes) -> Iterator[str]:
    for cloud in axis.collections:
        if not isinstance(cloud, PathCollection) or not cloud.get_visible():
            continue
        points = np.ma.filled(np.ma.asarray(cloud.get_offsets(), dtype=float), np.nan)
        points = points[np.isfinite(points).all(axis=-1)]
        if not len(points):
            continue
        label = _label(cloud)
        head = f"{_plain(label)}: " if label and not label.startswith("_") else ""
        (left, low), (right, high) = points.min(axis=0), points.max(axis=0)
        across, up = _range(left, right), _range(low, high)
        yield f"{head}{len(points)} point{'s' if len(points) > 1 else ''}, across {across}, up {up}"


def _range(low: float, high: float) -> str:
    return _number(low) if low == high else f"{_number(low)} to {_number(high)}"


def _tick_name(axis: Axes, which: str, place: float) -> str:
    """What the axis writes at a place, where somebody chose the words."""
    scale = axis.xaxis if which == "x" else axis.yaxis
    written = scale.get_major_formatter()
    if not isinstance(scale.get_major_locator(), FixedLocator) or not isinstance(written, FuncFormatter):
        return ""
    for number, tick in enumerate(scale.get_majorticklocs()):
        if abs(tick - place) < 0.45:  # bars of a group stand around its tick
            return _plain(str(written(tick, number)))
    return ""


def _loose_texts(part: Any) -> Iterator[Any]:
    """Texts of a page that are in no panel, its suptitle aside."""
    heads = {getattr(part, name, None) for name in ("_suptitle", "_supxlabel", "_supylabel")}
    yield from (text for text in part.texts if text not in heads and _is_prose(text.get_text()))


def _is_prose(text: str) -> bool:
    """Words rather than a number, a sign or a piece of a drawn text."""
    return len(re.findall(r"[A-Za-z]", text)) >= 3


def _listed(words: Sequence[str], room: int = 220) -> str:
    """Texts of a panel, as many as fit."""
    text = ""
    for number, word in enumerate(words):
        if len(text) + len(word) > room:
            return f"{text}; and {len(words) - number} more texts" if text else word[:room]
        text += ("; " if text else "") + word
    return text


def _plain(text: str) -> str:
    """One line without mathtext's dollar signs."""
    text = text.replace(r"\$", "\0")
    text = re.sub(r"\$([^$]*)\$", lambda found: re.sub(r"\\(?:mathrm|mathbf|mathit)|[{}]", "", found[1]), text)
    return re.sub(r"\s+", " ", text.replace("\0", "$")).strip()


def _number(value: float) -> str:
    """Three digits, and words or an exponent where a reader would count zeros."""
    value = float(value)
    size = abs(value)
    for unit, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if unit <= size < 1000 * unit:
            return f"{value / unit:.3g} {word}"
    if size < 1e6 and (value == round(value) or size >= 1000):
        return f"{value:,.0f}"
    return f"{value:.3g}" if 1e-4 <= size < 1e6 else f"{value:.2g}"
