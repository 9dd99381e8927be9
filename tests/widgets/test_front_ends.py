"""The widgets' front ends as they are built and shipped: complete, up to date, and read again while they are edited."""

import json
import os
import re
import subprocess

import pytest
from anywidget._file_contents import FileContents
from places import ROOT

from moe_lessons import widgets

WIDGETS = ROOT / "moe_lessons" / "widgets"
STATIC = WIDGETS / "static"
TOOLS = ROOT / "node_modules" / ".bin"
NAMES = sorted(path.parent.name for path in WIDGETS.glob("*/view.js"))
CLASSES = [getattr(widgets, name) for name in widgets.__all__ if name != "View"]


def npm_script(name: str, changes: dict[str, str]) -> subprocess.CompletedProcess:
    """Run a script of package.json, in which texts have been replaced by others."""
    command = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["scripts"][name]
    for old, new in changes.items():
        assert old in command
        command = command.replace(old, new)
    path = os.pathsep.join([str(TOOLS), os.environ["PATH"]])
    return subprocess.run(
        command, shell=True, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=120
    )


def test_each_widget_has_its_module_and_its_style_sheet_and_nothing_is_left_over():
    assert sorted(cls.__module__.rpartition(".")[2] for cls in CLASSES) == NAMES
    assert {path.name for path in STATIC.iterdir()} == {f"{name}.{kind}" for name in NAMES for kind in ("js", "css")}


@pytest.mark.skipif(not (TOOLS / "esbuild").exists(), reason="esbuild is not installed; run npm ci")
def test_what_is_shipped_is_built_from_the_sources(tmp_path):
    done = npm_script("build", {"--outdir=moe_lessons/widgets/static": f"--outdir={tmp_path}"})
    assert done.returncode == 0 and done.stderr == "", done.stderr
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    shipped = {path.name: path.read_bytes() for path in STATIC.iterdir()}
    stale = [name for name in built | shipped if built.get(name) != shipped.get(name)]
    assert not stale, f"run make widgets and commit what it changed: {stale}"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_front_end_is_one_module_that_loads_nothing(cls, node, tmp_path):
    module = str(cls._esm)
    assert not re.search(r"\bimport\b|https?://(?!www\.w3\.org)", module + str(cls._css))
    assert re.search(r"\bas default\b", module)
    file = tmp_path / "module.mjs"
    file.write_text(module, encoding="utf-8")
    done = subprocess.run([node, "--check", file], capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [*NAMES, "shared"])
def test_a_file_of_a_widget_is_short_and_so_are_its_lines(name):
    for path in (WIDGETS / name).glob("*.[jc]s*"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 300 and max(map(len, lines)) <= 120, path


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_front_end_is_a_file_that_anywidget_can_watch(cls):
    """So that an edit shows in an open notebook where ANYWIDGET_HMR is 1."""
    name = cls.__module__.rpartition(".")[2]
    assert isinstance(cls._esm, FileContents) and isinstance(cls._css, FileContents)
    assert {cls._esm._path, cls._css._path} == {STATIC / f"{name}.js", STATIC / f"{name}.css"}


@pytest.mark.parametrize("name", NAMES)
def test_a_widget_outweighs_the_common_rules_which_another_widget_may_load_after_it(name):
    common = _declared((WIDGETS / "shared" / "common.css").read_text(encoding="utf-8"), r"\.moe-view")
    own = (WIDGETS / name / "view.css").read_text(encoding="utf-8")
    roots = set(re.findall(r"openView\(\s*\w+,\s*\"(moe-[a-z-]+)\"", _sources(name)))
    assert roots or "moe-view" not in _sources(name)  # the quiz is none of these views
    assert not any(common & _declared(own, re.escape(f".{root}")) for root in roots)


def _declared(css: str, selector: str) -> set[str]:
    """Properties that a rule with just this selector sets, custom ones aside."""
    rules = re.findall(rf"^{selector} \{{(.*?)\}}", css, flags=re.S | re.M)
    return {found for rule in rules for found in re.findall(r"(?<![\w-])([a-z][a-z-]*):", rule)}


def _sources(name: str) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted((WIDGETS / name).glob("*.js")))
