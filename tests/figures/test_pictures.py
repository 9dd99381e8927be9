"""What a notebook stores of a picture: its pixels, its alt text, its card, and a board's last state."""

import base64
import io
import json
from functools import partial
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.figure
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from places import LESSONS

from moe_lessons.figures.alt_text import MOST, describe
from moe_lessons.figures.contrast import PAPER, contrast, luminance, readable
from moe_lessons.figures.lesson_03 import draw_gate
from moe_lessons.figures.lesson_09 import draw_groups
from moe_lessons.figures.paper import png
from moe_lessons.figures.style import INK, MUTED, PALETTE, clean, heading, label_ends, new_figure
from moe_lessons.figures.training import Curve, draw_training
from moe_lessons.widgets import LoadBoard, TrainingBoard


def pixels(picture: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA"))


def two_curves():
    figure = new_figure()
    axis = clean(figure.subplots())
    axis.plot([0, 1, 2], [4, 1, 2], color="#0072B2")
    axis.plot([0, 2], [5, 3], color="#E69F00")
    axis.axhline(0.5, color=MUTED)
    axis.set(xlabel="steps", ylabel="nats", xlim=(0, 2))
    heading(axis, "Two runs")
    label_ends(axis, [(2, 2, "sparse", "#0072B2"), (2, 3, "dense", "#E69F00"), (2, 0.5, "floor", MUTED)])
    return figure


# --- alt text


def test_a_line_is_told_by_its_name_its_ends_and_its_lowest_point():
    assert describe(two_curves()) == (
        "Two runs. Across: steps; up: nats. sparse: from 4 at 0 to 2 at 2, lowest 1 at 1. "
        "dense: from 5 at 0 to 3 at 2. floor: at 0.5."
    )


def test_few_bars_are_told_one_by_one_and_many_by_their_range():
    few, many = new_figure(), new_figure()
    clean(few.subplots()).barh(range(2), [3, 0.25], tick_label=["json", "german"])
    clean(many.subplots()).bar(range(20), [10 + (7 * i) % 20 for i in range(20)])
    assert describe(few) == "bars: json 3, german 0.25."
    assert describe(many) == "20 bars from 10 (0) to 29 (17)."


def test_bars_of_a_group_have_its_name_and_large_numbers_have_words():
    figure = new_figure()
    axis = clean(figure.subplots())
    for number, name in enumerate(("dense", "sparse")):
        axis.bar(np.arange(2) + (number - 0.5) * 0.4, [1.5e6 * (number + 1), 4e10], width=0.36, label=name)
    axis.set_xticks(range(2), ["json", "german"])
    assert describe(figure) == (
        "dense: bars: json 1.5 million, german 40 billion. sparse: bars: json 3 million, german 40 billion."
    )


def test_a_map_is_told_by_its_size_and_its_largest_number():
    figure = new_figure()
    axis = figure.subplots()
    axis.imshow([[0, 1, 2], [5, 4, 3]])
    axis.set_yticks([0, 1], ["layer 0", "layer 1"])
    assert describe(figure) == "a map of 2 by 3, largest 5 at layer 1, column 0."


def test_panels_are_told_in_order_and_what_has_no_room_is_counted():
    figure = new_figure()
    for number, axis in enumerate(figure.subplots(4, 8).flat):
        axis.set_title(f"A panel with the rather long name {number}")
    text = describe(figure)
    assert text.startswith("32 panels. 1: A panel with the rather long name 0. 2: A panel")
    told = text.count("rather long name")
    assert len(text) <= MOST and text.endswith(f" And {32 - told} more.")


def test_a_figure_may_carry_words_of_its_own_and_formulas_lose_their_dollars():
    figure = new_figure()
    figure.subplots().set_title(r"$10^{7}$ tokens cost \$5")
    assert describe(figure, "CostView") == "CostView. 10^7 tokens cost $5."
    figure.alt = "What it costs."
    assert describe(figure, "CostView") == "CostView. What it costs."


def test_every_picture_in_a_stored_lesson_has_an_alt_text_that_says_what_it_shows():
    silent, seen = [], []
    for path in LESSONS:
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            for output in cell.get("outputs", []):
                if "image/png" in output.get("data", {}):
                    alt = output["metadata"].get("image/png", {}).get("alt", "")
                    (seen if len(alt) > 40 and "no steps yet" not in alt else silent).append(f"{path.stem} c{number}")
    assert not silent, f"run: python -m moe_lessons.authoring run; without one: {', '.join(silent)}"
    assert seen


# --- what IPython gets


def test_a_figure_brings_its_picture_and_its_alt_text():
    figure = two_curves()
    data, metadata = figure._repr_mimebundle_()
    assert data["image/png"].startswith("iVBOR")
    assert metadata == {"image/png": {"alt": describe(figure)}}
    assert repr(figure) == "<Figure size 700x320 with 1 Axes>"


def test_ipython_draws_a_figure_once_and_as_large_as_we_do(monkeypatch):
    """`%matplotlib inline` registers a function of its own for figures; its picture is then the only one."""
    from IPython.core.formatters import DisplayFormatter
    from IPython.core.pylabtools import print_figure

    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    drawn = []
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr("moe_lessons.figures.paper.png", lambda figure: drawn.append(figure) or "iVBOR")
    assert two_curves()._repr_mimebundle_()[0] == {"image/png": "iVBOR"} and drawn
    drawn.clear()
    theirs = partial(print_figure, fmt="png", base64=True, bbox_inches="tight")
    shell.display_formatter.formatters["image/png"].for_type(mpl.figure.Figure, theirs)
    figure = two_curves()
    FigureCanvasAgg(figure)
    data, metadata = shell.display_formatter.format(figure)
    assert not drawn and metadata == {"image/png": {"alt": describe(figure)}}
    assert pixels(data["image/png"]).shape == pixels(png(two_curves())).shape


# --- the card


def test_contrast_is_that_of_the_standard():
    """Two pairs worked out by hand, from the definition in WCAG 2."""
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#FFFFFF", "#777777") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("color", PALETTE)
def test_any_color_can_be_made_dark_enough_and_no_darker(color):
    for least in (3, 4.5):
        made = readable(color, least)
        assert contrast(made, PAPER) >= least
        assert made == color or contrast(made, PAPER) < 1.05 * least


def test_a_figure_stands_on_a_card_with_round_corners_and_nothing_outside():
    picture = pixels(png(two_curves()))
    assert [picture[y, x, 3] for y in (0, -1) for x in (0, -1)] == [0] * 4
    paper = [round(255 * channel) for channel in mpl.colors.to_rgb(PAPER)]
    height, width = picture.shape[:2]
    assert [picture[2, width // 2, :3].tolist(), picture[height // 2, 2, :3].tolist()] == [paper] * 2
    assert not (picture[..., :3] == 255).all(axis=-1)[picture[..., 3] == 255].any(), "a white panel is left"


@pytest.mark.parametrize(("ink", "least"), [(INK, 7), (MUTED, 4.5)])
def test_words_are_read_easily_on_the_card(ink, least):
    assert luminance(PAPER) < 0.82
    assert contrast(ink, PAPER) >= least


def test_lines_with_names_and_their_names_are_dark_enough():
    axis = two_curves().axes[0]
    assert min(contrast(line.get_color(), PAPER) for line in axis.lines) >= 3
    assert min(contrast(text.get_color(), PAPER) for text in axis.texts) >= 4.5


# --- boards


@pytest.fixture
def shown(monkeypatch):
    """A stand-in for IPython: what it was told to show, and the end of a cell."""
    published, at_end = [], []
    shell = SimpleNamespace(events=SimpleNamespace(register=lambda event, call: at_end.append(call)))
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(
        "IPython.display.publish_display_data", lambda data, metadata, **how: published.append((data, metadata, how))
    )

    def end_of_cell():
        for call in at_end:
            call(None)
        new = list(published)
        published.clear()
        return new

    return end_of_cell


def fill_training(board):
    board.start(3)
    for step in range(3):
        board.point(step=step, seconds=step, loss=3 - step, tokens=step)
    board.finish()


def fill_loads(board):
    run = board.run("bias")
    run.start(3)
    for step in range(3):
        run.point(step=step, loss=3.0 - step, load=np.arange(1, 9).reshape(1, 8))
    run.finish()


@pytest.mark.parametrize(
    ("board", "fill"),
    [(lambda: TrainingBoard(title="A run"), fill_training), (lambda: LoadBoard("A run"), fill_loads)],
    ids=["training", "loads"],
)
def test_the_stored_picture_of_a_board_is_drawn_again_at_the_end_of_a_cell_that_changed_it(board, fill, shown):
    board = board()
    board._ipython_display_()
    (data, metadata, how), *later = shown()
    assert not later and not how["update"]
    assert "no steps yet" in metadata["image/png"]["alt"]
    board._ipython_display_()
    shown()

    fill(board)
    again = shown()
    assert len(again) == 2 and all(how["update"] for *_, how in again)
    assert how["transient"] == again[0][2]["transient"] != again[1][2]["transient"]
    new, alt = again[0][0], again[0][1]["image/png"]["alt"]
    assert new["image/png"] != data["image/png"] and "no steps yet" not in alt and "from 3 at 0 to" in alt
    assert {kind: text for kind, text in new.items() if kind != "image/png"} == {
        kind: text for kind, text in data.items() if kind != "image/png"
    }, "the same widget, under the repr that a comparison expects in that cell"
    assert shown() == [], "nothing changed since"


# --- what readers stumbled over


def overlaps(axis) -> list[tuple[str, str]]:
    axis.figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in axis.texts]
    pairs = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i]]
    return [(a[0], b[0]) for a, b in pairs if min(a[1].y1, b[1].y1) - max(a[1].y0, b[1].y0) > 1]


def test_floors_that_lie_together_share_a_name_and_no_two_names_collide():
    floors = {"arithmetic": 1.33, "json": 0.62, "german": 0.49, "phone_book": 0.58}
    points = [[step, step, 5.5 * 0.99**step + 1.5, step, 1.0] for step in range(300)]
    axis = draw_training([Curve("moe", points, [])], (), floors).axes[0]
    names = [text.get_text().replace("\n", " ") for text in axis.texts]
    assert names == ["json, phone book, german floors", "arithmetic floor", names[-1]]
    assert not overlaps(axis)


def test_runs_that_were_evaluated_once_are_bars_and_no_dots():
    runs = [Curve(name, [[9, 9, 3.0, 9, 1]], [evaluated(loss)]) for name, loss in (("moe", 2.0), ("dense", 2.5))]
    _, json_panel = draw_training(runs, ["json"]).axes
    assert [bar.get_height() for bar in json_panel.patches] == [2.0, 2.5] and not json_panel.lines
    again = [runs[0]._replace(evaluations=[evaluated(3.0), evaluated(2.0)])]
    _, json_panel = draw_training(again, ["json"]).axes
    assert not json_panel.patches and json_panel.lines[0].get_ydata().tolist() == [3.0, 2.0]


def evaluated(loss: float) -> dict:
    return {"step": 9, "seconds": 9, "tokens": 9, "values": {"json": loss}}


def test_what_a_shut_unit_passes_is_drawn_below_zero():
    gates = np.array([[-0.25, 0.0, 2.0]])
    image = draw_gate(["a"], gates).axes[1].images[0]
    below, zero, above = image.cmap(image.norm(gates[0]))
    assert image.norm.vmin == -0.25 and below[2] > below[0] and above[0] > above[2], "blue below, red above"
    assert min(zero[:3]) > 0.9


def test_a_legend_holds_what_is_drawn_and_a_sum_as_many_digits_as_decide():
    preferences = np.array([0.5, 0.501, 0.5, 0.5, 0.9, 0.0])
    figure = draw_groups(preferences, 3, [0], free=[4], limited=[1], title="t")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["lost", "taken instead"]
    sums = [text.get_text() for text in figure.axes[0].texts]
    assert sums == ["1.001", "1.000", "0.900"]
