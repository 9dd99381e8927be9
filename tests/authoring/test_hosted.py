"""The lessons' copies for Colab and Kaggle."""

import json
import subprocess
import sys

import nbformat
import pytest
from places import LESSONS, ROOT

from moe_lessons import idle_threads
from moe_lessons.authoring import __main__ as authoring
from moe_lessons.authoring.hosted import LACKING, hosted, write_hosted
from moe_lessons.bundle.wheels import read_pins

# Runs a cell as a notebook would, with a %pip that says what it was asked and, on "colab", Colab's module.
AS_IN_A_NOTEBOOK = """
import json, os, sys, types
from IPython.core.interactiveshell import InteractiveShell
where, cell = sys.argv[1:]
shell, said = InteractiveShell.instance(), {"pip": [], "widgets": 0}
shell.register_magic_function(said["pip"].append, "line", "pip")
if where == "colab":
    def enable_custom_widget_manager():
        said["widgets"] += 1
    output = types.SimpleNamespace(enable_custom_widget_manager=enable_custom_widget_manager)
    sys.modules["google"] = types.ModuleType("google")
    sys.modules["google.colab"] = types.ModuleType("google.colab")
    sys.modules["google.colab"].output = output
shell.run_cell(cell).raise_error()
said["wait"], said["torch"] = os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules
print("\\n" + json.dumps(said))
"""


def test_every_lesson_gets_the_cell_in_front_and_stays_as_it_is(tmp_path):
    written = write_hosted("1.2.3", tmp_path / "new" / "folder")
    assert [path.name for path in written] == [path.name for path in LESSONS]
    for path, original in zip(written, LESSONS, strict=True):
        copy, lesson = nbformat.read(path, as_version=4), nbformat.read(original, as_version=4)
        nbformat.validate(copy)
        assert copy.cells[1:] == lesson.cells and copy.metadata == lesson.metadata
        assert "installs the course in version 1.2.3" in copy.cells[0].source
        assert "%pip" not in json.dumps(lesson)


@pytest.mark.parametrize("where", ["colab", "kaggle"])
def test_the_cell_installs_one_version_and_leaves_the_machines_own_packages(where, tmp_path):
    cell = hosted(nbformat.read(LESSONS[0], as_version=4), "1.2.3").cells[0].source
    run = subprocess.run(
        [sys.executable, "-c", AS_IN_A_NOTEBOOK, where, cell],
        cwd=ROOT,
        env={"PATH": "", "IPYTHONDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout.splitlines()[-1])
    (asked,) = said["pip"]
    pins = read_pins(ROOT / "constraints.txt")
    options, packages = asked.split()[:3], asked.split()[3:]
    assert options == ["install", "--quiet", "--no-deps"]
    assert packages == ["moe-lessons==1.2.3", *(f"{name}=={pins[name]}" for name in LACKING)]
    assert said["widgets"] == (where == "colab")
    assert said["wait"] == idle_threads.TURNS and not said["torch"]  # set before torch comes, or it is not read
    assert "is installed" in run.stdout


def test_a_version_that_pypi_does_not_have_is_refused_in_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(authoring, "__version__", "9.0.0.dev0")
    assert authoring.main(["hosted", "--into", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "9.0.0.dev0 is not on PyPI" in said and said.count("\n") == 1 and not (tmp_path / "out").exists()
    assert authoring.main(["hosted", "--into", str(tmp_path / "out"), "--unreleased"]) == 0
