"""A class that is stopped, killed, started twice, or that another Jupyter Server loads."""

import subprocess
import sys

from running_class import entry

SECRET = "ab" * 16


def test_a_killed_class_goes_on_with_all_that_it_acknowledged(start):
    first = start()
    made = [entry("hello", name="Ada"), entry("check", exercise="05.mixture", passed=1, mistake=-1)]
    made += [entry("prediction", key="05.one_sheet", answer=0.5, sure=0, late=0)]
    assert first.send(SECRET, *made)[0] == 200
    before, lines = first.board(), first.journal()
    first.kill()
    again = start(port=first.port)
    assert (again.code, again.token) == (first.code, first.token)
    assert again.journal() == lines and again.board() == before
    assert again.send(SECRET, *made) == (200, {"refused": {}, "name": "Ada"})  # an outbox that heard no answer
    assert again.journal() == lines
    # a second one over the same files would write between its lines
    other = start()
    assert other.process.wait(60) == 1 and "another `moe-lessons class` has this class open" in other.said


def test_a_new_class_has_new_keys_and_keeps_the_old_ones_entries_aside(start, tmp_path):
    first = start()
    first.send(SECRET, entry("hello", name="Ada"))
    first.kill()
    again = start("--new")
    assert again.code != first.code and again.token != first.token and again.board()["learners"] == []
    assert again.ask("POST", "/class/entries", first.code, b"{}")[0] == 403
    (aside,) = (tmp_path / "cache").glob("classroom-*")
    assert "Ada" in (aside / "entries.jsonl").read_text(encoding="utf-8")


def test_the_server_needs_no_torch():
    code = "import moe_lessons.classroom.server, sys; print('torch' in sys.modules or 'matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
