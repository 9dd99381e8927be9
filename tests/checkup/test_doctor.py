"""The doctor as a whole: what is healthy passes, and a check that fails itself hides no other."""

import json

from moe_lessons import checkup, cli
from moe_lessons.checkup import machine, python
from moe_lessons.checkup.check import REINSTALL


def test_a_healthy_machine_passes(cache, capsys, monkeypatch):
    monkeypatch.setattr(machine, "nvidia_gpu", lambda: None)
    for check in checkup.CHECKS:
        if check is not machine.check_memory:  # another program may hold it
            assert check().remedy == "", check()
    assert cli.main(["doctor", "--quick"]) in (0, 1)
    said = capsys.readouterr().out
    assert all(f" {name} " in said for name in ("Python", "PyTorch", "device", "disk", "kernel", "course"))
    assert cache.is_dir() and list(cache.iterdir()) == []


def test_lesson_00_shows_the_checks_without_the_speed_test(monkeypatch):
    from moe_lessons.commands.doctor import examine, report

    problem = checkup.Check("b", "bad", "mend it")
    monkeypatch.setattr(checkup, "CHECKS", (lambda: checkup.Check("a", "good"), lambda: problem))
    assert report(examine()) == f"ok      a         good\nPROBLEM b         bad\n{'':18}-> mend it"


def test_a_check_that_fails_itself_does_not_hide_the_others(monkeypatch):
    def check_nothing():
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(checkup, "CHECKS", (check_nothing, python.check_python))
    first, second = checkup.examine(speed=False)
    assert first == ("nothing", "could not be examined (ZeroDivisionError: by zero)", REINSTALL, {})
    assert second.name == "Python"


def test_quick_leaves_the_speed_test_out(monkeypatch, capsys):
    monkeypatch.setattr(checkup, "CHECKS", (python.check_python,))
    monkeypatch.setattr(checkup, "check_speed", lambda: checkup.Check("speed", "fast", "", {"x": 1.0}))
    assert cli.main(["doctor", "--quick"]) == 0
    assert "speed" not in capsys.readouterr().out
    assert cli.main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1] == {
        "name": "speed",
        "found": "fast",
        "remedy": "",
        "numbers": {"x": 1.0},
    }
