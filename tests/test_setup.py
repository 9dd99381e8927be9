"""What a new user meets first: set-up, the wheel, the environment files and `make lab`."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from places import LESSONS, ROOT

from moe_lessons import cli, idle_threads, resources

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OVERRIDES = "share/jupyter/lab/settings/overrides.d/moe_lessons.json"
needs_shell = pytest.mark.skipif(os.name != "posix", reason="make lab is for POSIX shells")


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", name).lower(): Version(version) for name, version in found}


def test_every_dependency_is_pinned_within_the_range_that_the_project_allows():
    pinned = pins()
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    for requirement in map(Requirement, wanted):
        assert pinned[requirement.name.lower()] in requirement.specifier, requirement.name


def test_the_pins_hold_on_every_platform():
    assert pins()["torch"] == Version("2.13.0")
    assert pins()["ipykernel"] < Version("7")
    for name, version in pins().items():
        assert version.local is None, f"{name}=={version} is one platform's build"
        assert not name.startswith(("nvidia", "cuda", "triton")), f"{name} is for NVIDIA's GPUs alone"


@pytest.mark.parametrize("python", ["3.11.2", "3.12.0", "3.13.0", "3.14.0"])  # the first: Debian 12's
def test_every_pinned_version_can_be_installed_on_every_python_that_the_course_names(python):
    for name, version in pins().items():
        with contextlib.suppress(metadata.PackageNotFoundError):  # of another platform
            if Version(metadata.version(name)).public == version.public:
                wanted = metadata.metadata(name)["Requires-Python"] or ""
                assert python in SpecifierSet(wanted), f"{name} {version} needs Python {wanted}"


def test_the_conda_environment_installs_what_pyproject_says_with_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment.keys() == {"name", "channels", "dependencies"}
    *conda, last = environment["dependencies"]
    assert environment["name"] == PROJECT["name"]
    python, pip = conda
    assert pip == "pip"
    assert Version(python.removeprefix("python=")) in Requirement(f"python{PROJECT['requires-python']}").specifier
    assert last["pip"] == [
        "--extra-index-url https://download.pytorch.org/whl/cpu",
        "-c constraints.txt",
        "-e .[interop]",
    ]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel of this tree, unpacked, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    run = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def data_of(wheel: Path) -> Path:
    """What the wheel puts beside the environment's bin/ and lib/."""
    (folder,) = wheel.glob("moe_lessons-*.data/data")
    return folder


def in_wheel(wheel: Path, folder: Path, code: str) -> str:
    """What code prints when it runs with the unpacked wheel first on the path, away from the checkout."""
    start = f"import sys; sys.path.insert(0, {str(wheel)!r})\n"
    run = subprocess.run(
        [sys.executable, "-P", "-c", start + code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_a_wheel_carries_the_data_and_the_lessons_and_finds_them(wheel, tmp_path):
    package = wheel / "moe_lessons"
    assert package.joinpath("data", "claims.toml").exists()
    assert not [p for p in wheel.rglob("*") if p.name in ("tests", ".venv", "__pycache__", "data.py")]
    said = in_wheel(wheel, tmp_path, "from moe_lessons.resources import data_path\nprint(data_path('claims.toml'))")
    assert Path(said).resolve() == (package / "data" / "claims.toml").resolve()
    for path in (ROOT / "data").rglob("*"):
        relative = path.relative_to(ROOT / "data")
        if path.is_file() and not path.name.startswith("."):
            for_authors = relative.parts[0] in ("pictures", "margins.json", "states")
            assert (package / "data" / relative).exists() is not for_authors, relative
    for path in LESSONS:
        assert (package / "notebooks" / path.name).exists()


def test_the_front_ends_of_the_widgets_are_in_the_wheel(wheel):
    for path in (ROOT / "moe_lessons" / "widgets").rglob("*.[jc]s*"):
        assert (wheel / path.relative_to(ROOT)).exists(), path


def test_the_commands_work_from_a_wheel(wheel, tmp_path):
    said = in_wheel(wheel, tmp_path, "from moe_lessons.cli import main\nmain(['doctor', '--quick', '--json'])")
    assert {check["name"] for check in json.loads(said)} >= {"Python", "PyTorch", "device", "cache", "widgets"}


def stand_in(folder: Path, name: str, script: str) -> str:
    """An executable that plays a Python of another machine."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def set_up(folder: Path, **environment: str) -> subprocess.CompletedProcess:
    shutil.copytree(ROOT / ".ci", folder / ".ci", dirs_exist_ok=True)
    return subprocess.run(
        ["sh", ".ci/setup.sh"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@needs_shell
def test_an_old_python_is_refused_in_one_sentence_that_says_what_to_do(tmp_path):
    old = stand_in(tmp_path, "old", 'case "$2" in *exit*) exit 1;; *) echo 3.10.4;; esac')
    run = set_up(tmp_path, PYTHON=old)
    assert run.returncode == 1 and not (tmp_path / ".venv").exists()
    assert "Python 3.11 to 3.14 is needed and 3.10.4 was found" in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


@needs_shell
def test_a_debian_without_venv_is_told_the_package_to_install(tmp_path):
    bare = stand_in(tmp_path, "bare", 'case "$2" in *ensurepip*) exit 1;; *print*) echo 3.11;; esac')
    run = set_up(tmp_path, PYTHON=bare)
    assert run.returncode == 1 and not (tmp_path / ".venv").exists()
    assert "apt-get install python3.11-venv" in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


@needs_shell
def test_something_else_called_venv_is_not_removed(tmp_path):
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "mine.txt").write_text("keep", encoding="utf-8")
    run = set_up(tmp_path)
    assert run.returncode == 1 and "move it elsewhere" in run.stderr
    assert (tmp_path / ".venv" / "mine.txt").exists()


def test_no_news_popup_covers_the_first_lesson(wheel):
    settings = json.loads((data_of(wheel) / OVERRIDES).read_text(encoding="utf-8"))
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


@needs_shell
@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_lab_opens_a_working_copy_that_git_ignores(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "ready").touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    stand_in(programs, "moe-lessons", f'exec "{sys.executable}" -m moe_lessons "$@"')
    stand_in(programs, "jupyter", 'echo "$@" >> opened')
    command = ["make", "-o", ".venv/ready", "lab", f"BIN={programs}"]
    environment = {**os.environ, "JUPYTER_DATA_DIR": str(tmp_path / "jupyter"), "PYTHONPATH": str(ROOT)}
    for _ in range(2):
        (tmp_path / "opened").unlink(missing_ok=True)
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        (first,) = re.findall(r"default_url=/lab/tree/(\S+)", (tmp_path / "opened").read_text(encoding="utf-8"))
        assert first == "work/00_start_here.ipynb" and (tmp_path / first).exists()
        assert {path.name for path in (tmp_path / "work").glob("*.ipynb")} == {path.name for path in LESSONS}
        (tmp_path / first).write_text("my answers", encoding="utf-8")
    assert (tmp_path / first).read_text(encoding="utf-8") == "my answers"
    assert "/work/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


@needs_shell
def test_every_kernel_of_an_environment_with_the_course_keeps_idle_threads_from_spinning(wheel, tmp_path, monkeypatch):
    """Whoever starts it: make lab, conda, Binder, a container, VS Code. A wait that the user has set stays."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager

    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "here.pth").write_text(f"{wheel}\n{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    shutil.copytree(data_of(wheel), environment, dirs_exist_ok=True)
    argv = [str(environment / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = tmp_path / "kernels" / "course" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": argv, "display_name": "course", "language": "python"}), encoding="utf-8")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    for own in (None, "70"):
        variables = {name: value for name, value in os.environ.items() if name != idle_threads.VARIABLE}
        specs = KernelSpecManager(kernel_dirs=[str(tmp_path / "kernels")])
        manager = KernelManager(kernel_name="course", kernel_spec_manager=specs)
        manager.start_kernel(env=variables | ({idle_threads.VARIABLE: own} if own else {}))
        client = manager.blocking_client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=120)
            asked = {"wait": f"__import__('os').environ['{idle_threads.VARIABLE}']", "names": "'wait_briefly' in dir()"}
            said = client.execute("", user_expressions=asked, reply=True, timeout=60)["content"]["user_expressions"]
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
        assert said["wait"]["data"]["text/plain"] == repr(own or idle_threads.TURNS)
        assert said["names"]["data"]["text/plain"] == "False"  # the lesson finds no name that it did not import


def test_the_commands_and_make_test_wait_as_the_kernels_do(monkeypatch):
    assert f"export {idle_threads.VARIABLE} ?= {idle_threads.TURNS}" in (ROOT / "Makefile").read_text(encoding="utf-8")
    monkeypatch.delenv(idle_threads.VARIABLE, raising=False)
    assert cli.main(["count", "no such card"]) == 1
    assert os.environ[idle_threads.VARIABLE] == idle_threads.TURNS


@pytest.mark.skipif(sys.platform != "linux", reason="only there PyTorch brings GNU's OpenMP")
def test_openmp_has_read_the_wait_when_torch_came_later():
    code = "from moe_lessons.idle_threads import wait_briefly; wait_briefly(); import torch"
    variables = {name: value for name, value in os.environ.items() if name != idle_threads.VARIABLE}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=variables | {"OMP_DISPLAY_ENV": "VERBOSE"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{idle_threads.VARIABLE} = '{idle_threads.TURNS}'" in run.stderr


def test_missing_lessons_are_reported_by_name(monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "__file__", str(tmp_path / "package" / "resources.py"))
    with pytest.raises(FileNotFoundError, match="lessons are missing"):
        resources.notebooks_path()
