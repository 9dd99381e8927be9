"""LoadBoard: load over steps, what it sends, and both languages against each other."""

import base64
import math
import warnings

import numpy as np
import pytest
from in_node import javascript
from matplotlib.colors import to_hex
from matplotlib.text import Text
from view_samples import random_loads

from moe_lessons.figures import loads as figures
from moe_lessons.figures.contrast import readable
from moe_lessons.figures.lesson_08 import draw_alone, draw_over_steps
from moe_lessons.figures.loads import evenness, idle, over_window, peak, shade
from moe_lessons.tracing.drift import drift
from moe_lessons.widgets import LoadBoard
from moe_lessons.widgets import load_board as board_module
from moe_lessons.widgets.shared.view import png

PIECES = ["In", " the", "\n", "$", " é"]


def filled(board: LoadBoard, name: str = "bias", points: int = 30, **text) -> LoadBoard:
    run = board.run(name)
    run.start(points)
    for step, load in enumerate(random_loads(points), start=1):
        run.point(step=step, seconds=step / 9, loss=5 - step / 20, tokens=60 * step, lr=0.5, load=load)
    if board.pieces:
        rng = np.random.default_rng(1)
        experts = np.stack([rng.permutation(5)[:2] for _ in range(4 * 2 * len(board.pieces))])
        run.text([0, 10, 20, 30], experts.reshape(4, 2, len(board.pieces), 2))
    run.finish()
    return board


def test_a_board_has_a_still_picture_and_a_repr_without_numbers():
    for board in (LoadBoard(), LoadBoard("empty", PIECES), filled(LoadBoard("one", PIECES)), filled(LoadBoard())):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            data, _ = board._repr_mimebundle_()
        assert data["image/png"].startswith("iVBOR")
        assert board.figure().get_figwidth() <= 7
    assert repr(filled(LoadBoard("one", PIECES))) == "<LoadBoard 'one': bias>"


def test_a_run_has_one_color_in_the_still_picture_the_browser_and_pictures_beside_the_board():
    board = filled(filled(LoadBoard(), "none"), "bias")
    assert board.colors() == {"none": board.palette[0], "bias": board.palette[1]}
    texts = [text for axis in board.figure().axes for text in axis.findobj(Text)]
    assert {text.get_text(): text.get_color() for text in texts if text.get_text() in board.colors()} == board.colors()
    points, tokens = {"bias": (range(9), range(9))}, {"bias": np.arange(1, 4)}
    (line,) = draw_over_steps(points, "", "", colors=board.colors()).axes[0].lines
    (dots,) = draw_alone(tokens, tokens, "", colors=board.colors()).axes[0].collections
    assert to_hex(dots.get_facecolor()[0]).upper() == board.colors()["bias"]
    assert to_hex(line.get_color()) == readable(board.colors()["bias"], 3).lower()


def test_a_picture_can_be_drawn_at_any_step_of_any_run():
    board = filled(filled(LoadBoard("two", PIECES), "bias"), "none", points=4)
    board.run("not begun")
    for board.at in (-1, 0, 1, 17, 30, 99):
        for board.layer in (0, 1, 7):
            png(board.figure())


def arrived(state: dict) -> tuple[list, np.ndarray]:
    loads = np.frombuffer(state["loads"], np.float32).reshape(-1, state["layers"], state["experts"])
    return state["points"], loads


def test_what_is_sent_is_what_was_given(monkeypatch):
    monkeypatch.setattr("moe_lessons.widgets.shared.board._PAUSE", 0.0)
    board = LoadBoard("", PIECES)
    messages = []
    board.observe(lambda change: messages.append((change["name"], change["new"])), ["news", "history"])
    filled(board)
    points, loads = arrived(board.history[0])
    assert np.array_equal(loads, random_loads(30))
    assert points == [[step, pytest.approx(5 - step / 20)] for step in range(1, 31)]
    news = [new for name, new in messages if name == "news"]
    assert [one["first"] for one in news] == list(range(1, 30))
    gained = np.concatenate([np.frombuffer(one["loads"], np.float32).reshape(-1, 2, 5) for one in news])
    assert np.array_equal(gained, random_loads(30)[1:])
    assert board.get_state()["history"] == board.history


def test_messages_are_few_and_a_reloaded_page_gets_everything():
    board = LoadBoard()
    messages = []
    board.observe(lambda change: messages.append(change["name"]), ["news", "history"])
    run = board.run("long")
    run.start(500)
    for step in range(1, 501):
        run.point(step=step, loss=1.0, load=np.ones((2, 4)))
    assert len(messages) < 20
    assert len(board.get_state()["history"][0]["points"]) == 500


def test_a_long_run_is_thinned_by_averaging_neighbors():
    board = LoadBoard()
    run = board.run("long")
    run.start(2403)
    loads = random_loads(2403)
    for step, load in enumerate(loads, start=1):
        run.point(step=step, loss=float(step), load=load)
    run.finish()
    curve = run.curve()
    assert len(curve.steps) <= board_module._MOST_POINTS + 1
    assert curve.steps[-1] == 2403
    sizes = np.diff([0, *curve.steps])
    assert np.allclose((sizes[:, None, None] * curve.loads).sum(axis=0), loads.sum(axis=0), rtol=1e-4)
    assert (sizes * curve.losses).sum() == pytest.approx(2403 * 2404 / 2, rel=1e-6)


def test_runs_of_another_board_can_be_shown_beside_new_ones():
    pair = filled(filled(LoadBoard("pair", PIECES), "none"), "bias")
    arms = LoadBoard("arms", PIECES)
    arms.add(pair, "none", "bias")
    assert [run["name"] for run in arms.history] == ["none", "bias"]
    assert arms.history[0]["loads"] == pair.history[0]["loads"]
    arms.run("none").start(5)
    assert pair.run("none").curve().steps[-1] == 30
    with pytest.raises(ValueError, match=r"no run 'aux'; it has: none, bias"):
        arms.add(pair, "aux")


def test_bad_input_is_one_sentence():
    board = LoadBoard("", PIECES)
    run = board.run("dense")
    run.start(3)
    run.point(step=1, loss=2.0, load=None)
    assert board.message == "the run 'dense' has no experts, so there is no load to show"
    run.point(step=1, loss=2.0, load=np.ones((2, 4)))
    run.point(step=2, loss=2.0, load=np.ones((3, 4)))
    assert board.message == "step 2 of 'dense' has a load of shape (3, 4), and is left out"
    run.point(step=3, loss=math.nan, load=np.zeros((2, 4)))
    assert "the loss of step 3 is nan" in board.message
    assert board.get_state()["history"][0]["points"] == [[1, 2.0], [3, None]]
    run.finish()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png(board.figure())
    with pytest.raises(ValueError, match=r"experts has shape \(1, 2, 9, 1\), but 1 snapshots of a text of 5 tokens"):
        run.text([0], np.zeros((1, 2, 9, 1)))
    with pytest.raises(ValueError, match="in the order they were taken"):
        run.text([5, 3], np.zeros((2, 2, 5, 1)))
    with pytest.raises(ValueError, match="100,000 tokens, but at most 512 are shown"):
        LoadBoard("", ["a"] * 100_000)


# ---------------------------------------------------------------- in the browser


def test_the_browser_measures_load_as_python_does(node):
    loads = random_loads(20, layers=3, experts=6).astype(np.float32)
    loads[4, 1] = [0, 0, 9, 0, 0, 0]
    state = {"points": [[i, 1] for i in range(20)], "layers": 3, "experts": 6, "loads": loads.ravel().tolist()}
    for window in (1, 4, 50):
        expression = (
            f"(() => {{ const w = m.windowed(value, 1, {window}); return value.points.map((_, i) => "
            "m.measures(w.subarray(6 * i, 6 * i + 6))); })()"
        )
        means = over_window(loads[:, 1], window)
        found = javascript(node, "load_board/rule", expression, state)
        assert [one["peak"] for one in found] == pytest.approx(peak(means).tolist())
        assert [one["evenness"] for one in found] == pytest.approx(evenness(means).tolist())
        assert [one["idle"] for one in found] == idle(means).tolist()


def test_the_browser_shades_load_as_python_does(node):
    ratios = [0, 0.05, 0.3, 1, 1.7, 5, 8, 16]
    found = np.array(javascript(node, "load_board/rule", "value.map(m.shade)", ratios)) / 255
    assert np.allclose(found, shade(np.array(ratios, dtype=float)), atol=0.003)


def test_the_browser_sees_the_same_drift(node):
    experts = np.random.default_rng(3).integers(-1, 5, (6, 2, 11, 3)).astype(np.int16)
    state = {"text_steps": list(range(6)), "text_shape": [2, 11, 3], "text": experts.ravel().tolist()}
    for layer in (0, 1):
        expression = f"m.drift({{ ...value, text: Int16Array.from(value.text) }}, {layer})"
        found = javascript(node, "load_board/rule", expression, state)
        assert found == pytest.approx(drift(experts)[:, layer].tolist())


def test_the_browser_puts_a_run_together_from_its_messages(node, monkeypatch):
    monkeypatch.setattr("moe_lessons.widgets.shared.board._PAUSE", 0.0)
    board = LoadBoard()
    messages = []
    board.observe(lambda change: messages.append((change["name"], change["new"])), ["news", "history"])
    filled(board)
    whole = next(new for name, new in messages if name == "history" and new[0]["points"])[0]
    news = [new for name, new in messages if name == "news"]

    def sendable(state: dict) -> dict:
        return {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in state.items()}

    expression = """(() => {
      const runs = [m.unpack({ ...value.whole, loads: bytes(value.whole.loads), text: bytes(value.whole.text) })];
      const merged = value.news.map((one) => m.merge(runs, { ...one, loads: bytes(one.loads) }));
      return [merged, runs[0].points, [...runs[0].loads]];
    })()"""
    given = {"whole": sendable(whole), "news": [sendable(one) for one in news[:3] + news[2:]]}  # one comes twice
    merged, points, loads = javascript(node, "load_board/runs", expression, given)
    assert all(merged)
    assert points == [[step, pytest.approx(5 - step / 20)] for step in range(1, 31)]
    assert loads == random_loads(30).ravel().tolist()
    gap = {"whole": given["whole"], "news": given["news"][5:]}
    assert not any(javascript(node, "load_board/runs", expression, gap)[0])


@pytest.mark.parametrize(("at", "index"), [(-5, 0), (0, 0), (9, 0), (10, 1), (11, 1), (999, 2)])
def test_both_find_the_last_point_that_is_not_after_the_cursor(node, at, index):
    assert figures._reached(np.array([3, 10, 20]), at) == index
    assert javascript(node, "load_board/rule", f"m.reached(value, {at})", [3, 10, 20]) == index
