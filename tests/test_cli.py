"""The shell commands: each has a module, and what fails is one sentence."""

import subprocess
import sys

from places import ROOT

from moe_lessons import cli


def test_every_command_has_a_module_with_arguments_and_a_summary():
    from importlib import import_module

    modules = {path.stem for path in (ROOT / "moe_lessons" / "commands").glob("[a-z]*.py")}
    assert modules == set(cli.COMMANDS)
    for name, summary in cli.COMMANDS.items():
        module = import_module(f"moe_lessons.commands.{name}")
        assert callable(module.add_arguments) and callable(module.run) and summary


def test_a_failing_command_prints_one_sentence_and_no_traceback(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setattr("moe_lessons.commands.copy.notebooks_path", lambda: tmp_path)
    assert cli.main(["copy", str(tmp_path / "file")]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("moe-lessons: DIR is")


def test_a_reader_that_has_seen_enough_is_no_error_to_tell_of():
    command = [sys.executable, "-m", "moe_lessons", "count", "--all"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        running.stdout.close()
        assert running.stderr.read() == "" and running.wait() == 141
