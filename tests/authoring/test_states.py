"""Widget states of executed lessons: taken out of the outputs, kept beside the notebooks, read again."""

import nbformat
import pytest

from moe_lessons.authoring import states
from moe_lessons.authoring.execute import execute
from moe_lessons.widgets.shared import state

BOARD = """
from moe_lessons.widgets import TrainingBoard
board = TrainingBoard(title="A run")
display(board)
"""
RUN = """
for step in range(3):
    board.point(step=step, seconds=step, loss=3.0 - step, tokens=step)
board.finish()
"""


def test_authoring_and_the_widgets_agree_on_how_states_are_carried():
    assert states.STATE == state.STATE and list(states.CARRY) == [state.CARRY]


def test_an_executed_lesson_carries_each_widgets_state_as_its_picture_shows_it(tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in (BOARD, RUN)]
    lesson = nbformat.v4.new_notebook(cells=cells)
    execute(lesson, tmp_path, **states.CARRY)
    taken = states.take(lesson, "07_x")
    (kept,) = taken.pop("07-001")
    assert not taken
    losses = [point[2] for run in kept["traits"]["history"] for point in run["points"]]
    assert losses == [3.0, 2.0, 1.0]  # of the run that came after the board was shown
    assert not any(states.STATE in output.data for cell in lesson.cells for output in cell.outputs)


def test_states_are_read_as_they_were_written_and_equal_states_are_equal_bytes(tmp_path):
    kept = {"07-001": [{"widget": "quiz", "name": "Quiz", "traits": {"title": "Größe", "chosen": [-1]}}]}
    first = states.write(kept, "07_x", tmp_path).read_bytes()
    assert states.read("07_x", tmp_path) == kept
    assert states.write(dict(kept), "07_x", tmp_path).read_bytes() == first
    assert states.read("08_x", tmp_path) == {}


@pytest.mark.parametrize("cut", [0, 5, 40])
def test_a_file_that_is_cut_off_is_refused_with_the_command_that_writes_it(tmp_path, cut):
    path = states.write({"07-001": [{"name": "Quiz"}]}, "07_x", tmp_path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match="holds no widget states; write it again: python -m moe_lessons.authoring"):
        states.read("07_x", tmp_path)
