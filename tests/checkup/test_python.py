"""The doctor's look at Python and packages, in front of wrong ones."""

import ast
import json
import os
import subprocess
import sys

import pytest
from broken import doctor
from places import ROOT

from moe_lessons.checkup import python
from moe_lessons.checkup.check import REINSTALL


@pytest.mark.parametrize("version", [(3, 10, 4), (3, 15, 0), (4, 0, 0)])
def test_another_python_is_named_with_those_that_fit(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr(python.platform, "python_version", lambda: ".".join(map(str, version)))
    check = python.check_python()
    assert check.found.startswith(".".join(map(str, version)))
    assert "3.11 to 3.14" in check.remedy and "PYTHON=" in check.remedy


def test_an_old_python_gets_one_sentence_too():
    """It reads the two files that come before the check, and stops there."""
    for name in ("__init__", "__main__"):
        ast.parse((ROOT / "moe_lessons" / f"{name}.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    code = "import sys, runpy; sys.version_info = (3, 9, 1); runpy.run_module('moe_lessons', run_name='__main__')"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1 and "Python 3.9 is too old" in run.stderr and run.stderr.count("\n") == 1


def test_a_python_without_the_courses_packages_is_sent_to_the_right_one(tmp_path):
    """The checkout, with a Python in which nothing is installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    folder = "Scripts" if os.name == "nt" else "bin"
    bare = str(tmp_path / "bare" / folder / "python")
    run = subprocess.run(
        [bare, "-m", "moe_lessons", "doctor", "--quick", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    checks = {check["name"]: check for check in json.loads(run.stdout)}
    assert "torch is not installed in" in checks["PyTorch"]["found"]
    if (ROOT / ".venv").exists():
        assert "start the course's own Python" in checks["PyTorch"]["remedy"]
    assert {name for name, check in checks.items() if not check["remedy"]} <= {"Python", "memory", "disk", "course"}


@pytest.mark.parametrize("error", ["OSError('libgomp.so.1: cannot open shared object file')", "ImportError('DLL')"])
def test_a_pytorch_that_cannot_be_loaded_is_told_from_damaged_files(tmp_path, error):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(f"raise {error}\n", encoding="utf-8")
    checks = doctor(PYTHONPATH=str(tmp_path), MOE_LESSONS_CACHE=str(tmp_path / "cache"))
    assert checks["PyTorch"]["found"].startswith("does not work:") and checks["PyTorch"]["remedy"]
    assert checks["device"]["remedy"]
    assert checks["course"]["remedy"] == checks["cache"]["remedy"] == checks["widgets"]["remedy"] == ""


def test_a_package_that_is_missing_or_too_old_is_named(monkeypatch):
    def version(name):
        if name == "einops":
            raise python.metadata.PackageNotFoundError(name)
        return {"numpy": "1.26.4"}.get(name) or original(name)

    original = python.metadata.version
    monkeypatch.setattr(python.metadata, "version", version)
    check = python.check_packages()
    assert "einops is missing" in check.found and "numpy is 1.26.4, but >=2.1 is needed" in check.found
    assert check.remedy == REINSTALL


def test_a_version_that_was_not_tested_is_mentioned_and_no_problem(monkeypatch):
    tested = python._pinned()
    assert tested["torch"] and tested["numpy"]
    monkeypatch.setattr(python, "_pinned", lambda: {**tested, "numpy": "2.1.0"})
    check = python.check_packages()
    assert "not as tested: numpy" in check.found and check.remedy == ""
