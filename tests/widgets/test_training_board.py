"""TrainingBoard: what it sends while a run goes on, what it keeps, and what it shows."""

import json
import math
import time

import numpy as np
import pytest
from in_node import javascript

from moe_lessons.figures.training import smooth
from moe_lessons.widgets import TrainingBoard
from moe_lessons.widgets.shared.view import png


def sent_by(board: TrainingBoard) -> list[dict]:
    """Every message that leaves the board from now on."""
    messages: list[dict] = []
    board.observe(lambda change: messages.append({change["name"]: change["new"]}), ["news", "history"])
    return messages


def assembled(node: str, messages: list[dict]) -> list[dict]:
    """The runs as the browser has them after these messages."""
    expression = """value.reduce((runs, message) => {
      if (message.history) return structuredClone(message.history);
      m.merge(runs, message.news);
      return runs;
    }, [])"""
    return javascript(node, "training_board/view", expression, messages)


def run_steps(run, first: int, last: int) -> None:
    for step in range(first, last + 1):
        run.point(step=step, seconds=step / 8, loss=5 / step, tokens=step * 10, lr=1.0)


def test_the_browser_ends_up_with_every_point_though_only_new_ones_are_sent(node, monkeypatch):
    monkeypatch.setattr("moe_lessons.widgets.shared.board._PAUSE", 0.0)
    board = TrainingBoard()
    messages = sent_by(board)
    for name in ("dense", "moe"):
        run = board.run(name)
        run.start(300)
        for step in range(0, 300, 50):
            run_steps(run, step + 1, step + 50)
            run.evaluation(step + 50, {"json": 1 / (step + 1)})
        run.finish()
    assert assembled(node, messages) == [board.run(name).state() for name in ("dense", "moe")]
    sent = [run for message in messages for run in message.get("history", [message.get("news")])]
    assert sum(len(run["points"]) for run in sent) < 6 * 600, "whole histories are sent too often"


def test_a_page_that_missed_messages_has_everything_after_the_run(node, monkeypatch):
    monkeypatch.setattr("moe_lessons.widgets.shared.board._PAUSE", 0.0)
    board = TrainingBoard()
    messages = sent_by(board)
    board.start(500)
    run_steps(board, 1, 500)
    board.finish()
    assert assembled(node, messages[5:40] + messages[60:]) == [board.run("").state()]


def test_a_reloaded_page_gets_the_whole_history_also_in_the_middle_of_a_run():
    board = TrainingBoard()
    board.start(500)
    run_steps(board, 1, 123)
    assert len(board.get_state()["history"][0]["points"]) == 123
    assert len(board.history[0]["points"]) < 123


def test_a_thousand_steps_a_second_make_a_handful_of_messages():
    board = TrainingBoard()
    messages = sent_by(board)
    board.start(1000)
    run_steps(board, 1, 1000)
    board.finish()
    assert len(messages) <= 12


def test_a_very_long_run_is_thinned_and_keeps_its_mean_and_its_end():
    board = TrainingBoard()
    board.start(10_001)
    for step in range(1, 10_002):
        board.point(step=step, seconds=step, loss=float(step % 7), tokens=step, lr=1.0)
    board.finish()
    points = board.run("").points
    assert 1000 <= len(points) <= 2001
    assert points[-1][0] == 10_001
    assert [p[0] for p in points] == sorted({p[0] for p in points})
    assert np.mean([p[2] for p in points]) == pytest.approx(3, abs=0.05)


def test_a_loss_that_is_no_number_travels_as_json_and_is_said():
    board = TrainingBoard(floors={"python": math.nan, "json": 1.0, "english": None})
    board.start(3)
    for step, loss in enumerate([2.0, math.nan, math.inf], start=1):
        board.point(step=step, seconds=step, loss=loss, tokens=step, lr=1.0)
    board.evaluation(3, {"json": math.nan})
    board.finish()
    json.dumps([board.history, board.floors], allow_nan=False)
    assert board.message == "the loss of step 3 is inf; lower the learning rate and start again"
    assert board.floors == {"json": 1.0}
    png(board.figure())


def test_starting_again_forgets_the_run_of_that_name_only():
    board = TrainingBoard()
    for name in ("dense", "moe", "dense"):
        board.run(name).start(5)
        run_steps(board.run(name), 1, 5)
        board.run(name).finish()
    assert [(run["name"], len(run["points"])) for run in board.history] == [("dense", 5), ("moe", 5)]


def test_a_run_that_never_started_or_never_stepped_can_be_drawn():
    board = TrainingBoard(["json"], {"json": 0.5})
    png(board.figure())
    board.run("dense").finish()
    png(board.figure())
    with pytest.raises(ValueError, match="unit is 'hours', but must be 'steps' or 'seconds'"):
        board.start(3, "hours")


def test_smoothing_is_the_same_in_both_languages_and_stays_between_the_losses(node):
    losses = (5 / np.arange(1, 200) + np.random.default_rng(0).normal(size=199)).tolist()
    found = javascript(node, "shared/chart", "m.smooth(value)", losses)
    np.testing.assert_allclose(found, smooth(np.array(losses)), atol=1e-12)
    assert min(losses) <= min(found) <= max(found) <= max(losses)


def test_a_board_costs_a_training_step_less_than_a_millisecond():
    board = TrainingBoard()
    board.start(20_000)
    begin = time.perf_counter()
    run_steps(board, 1, 20_000)
    assert (time.perf_counter() - begin) / 20_000 < 1e-3
