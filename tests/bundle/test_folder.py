"""The folder for a room without network: what goes in, what is refused, and an installation from it."""

import ast
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.markers import Marker
from places import ROOT

from moe_lessons import bundle, cli
from moe_lessons.bundle import PLATFORMS, Target, folder, make_bundle, wheels
from moe_lessons.bundle.wheels import collect, explain

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
posix = pytest.mark.skipif(os.name != "posix", reason="install.sh is for POSIX shells")


def wheel(place: Path, name: str, version: str = "1.0", tag: str = "py3-none-any", requires=(), code: str = "") -> Path:
    """A small wheel that pip installs."""
    stem = f"{name.replace('-', '_')}-{version}"
    lines = [f"Requires-Dist: {line}" for line in requires]
    extras = [f"Provides-Extra: {extra}" for extra in ("interop", "fast")]
    files = {
        f"{name.replace('-', '_')}.py": code,
        f"{stem}.dist-info/METADATA": "\n".join(
            ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *extras, *lines, ""]
        ),
        f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{stem}.dist-info/RECORD": "",
    }
    if name == "moe-lessons":
        files[f"{stem}.dist-info/entry_points.txt"] = "[console_scripts]\nmoe-lessons = moe_lessons:main\n"
    path = place / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    return path


class Shop:
    """Stands in for pip and the network: makes a wheel for whatever is asked for, and remembers it."""

    def __init__(self, requires: dict[str, list[str]] | None = None, tags: dict[str, str] | None = None) -> None:
        self.requires, self.tags, self.asked = requires or {}, tags or {}, []

    def __call__(self, requirements: list[str], target: Target, place: Path) -> None:
        self.asked.append(sorted(requirements))
        for requirement in requirements:
            name, _, version = requirement.partition("==")
            tag = self.tags.get(name, "py3-none-any")
            wheel(place, name, version or "1.0", tag, self.requires.get(name, []))


# Which machines


def test_a_target_takes_the_wheels_that_fit_it():
    linux, windows, mac = Target("linux", "3.12"), Target("windows", "3.11"), Target("mac", "3.13")
    torch = "torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl"
    assert linux.takes(torch) and not windows.takes(torch) and not Target("linux", "3.11").takes(torch)
    assert linux.takes("a-1-cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    assert windows.takes("a-1-cp311-cp311-win_amd64.whl") and not windows.takes("a-1-cp311-cp311-win32.whl")
    assert mac.takes("a-1-cp313-cp313-macosx_11_0_arm64.whl")
    assert mac.takes("a-1-cp313-cp313-macosx_10_13_universal2.whl")
    assert not mac.takes("a-1-cp313-cp313-macosx_15_0_arm64.whl")
    assert all(target.takes("a-1-py3-none-any.whl") for target in (linux, windows, mac))
    assert not linux.takes("a-1.tar.gz") and not linux.takes("a-1-cp312-cp312-musllinux_1_2_x86_64.whl")


def test_conditions_are_read_for_the_target_and_not_for_this_machine():
    windows, linux = Target("windows", "3.11"), Target("linux", "3.13")
    assert windows.applies(Marker("os_name == 'nt'")) and not linux.applies(Marker("os_name == 'nt'"))
    assert linux.applies(Marker("platform_system == 'Linux' and platform_machine == 'x86_64'"))
    assert not windows.applies(Marker("python_version >= '3.12'")) and linux.applies(Marker("python_version >= '3.12'"))
    assert linux.applies(None) and not linux.applies(Marker("extra == 'fast'"))
    assert linux.applies(Marker("extra == 'fast'"), frozenset({"fast"}))


@pytest.mark.parametrize(("system", "python", "named"), [("amiga", "3.12", "amiga"), ("linux", "3.10", "3.10")])
def test_an_unknown_machine_is_refused_by_name(system, python, named):
    with pytest.raises(ValueError, match=f"{named}.*must be one of|{named}.*tested with"):
        Target(system, python)


def test_a_platform_without_pytorch_is_told_to_name_others(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ValueError, match="riscv64.*--for"):
        bundle.this_platform()


# Which packages


def test_everything_is_collected_level_by_level_with_the_tested_versions(tmp_path):
    course = wheel(
        tmp_path, "moe-lessons", requires=["a>=1", "t; extra == 'interop'", "z; extra == 'test'", "w; os_name == 'nt'"]
    )
    shop = Shop({"a": ["b[fast]>0.1", "torch"], "b": ["c; extra == 'fast'", "a"], "c": ["B"], "w": ["v"]})
    pins = {"a": "1.5", "b": "2.0", "torch": "2.13.0", "t": "3.0"}
    names = collect(course, Target("linux", "3.12"), pins, shop)
    assert shop.asked == [["a==1.5", "pip", "t==3.0"], ["b==2.0", "torch==2.13.0+cpu"], ["c"]]
    assert len(names) == 7 and course.name in names
    windows = Shop({"w": ["v"]})
    names |= collect(course, Target("windows", "3.12"), pins, windows)
    # What is for every machine is there already; the build of PyTorch is another.
    assert windows.asked == [["w"], ["torch==2.13.0"], ["v"]] or windows.asked == [["w"], ["v"]]


def test_a_stopped_collection_goes_on_and_replaces_what_is_damaged(tmp_path):
    course = wheel(tmp_path, "moe-lessons", requires=["a", "b", "c"])

    class Stopped(Shop):
        def __call__(self, requirements, target, place):
            super().__call__(sorted(requirements)[:2], target, place)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(course, Target("linux", "3.12"), {}, Stopped())
    half = tmp_path / "a-1.0-py3-none-any.whl"
    half.write_bytes(half.read_bytes()[:100])
    shop = Shop()
    collect(course, Target("linux", "3.12"), {}, shop)
    assert shop.asked == [["a", "c", "pip"]] and zipfile.is_zipfile(half)
    again = Shop()
    collect(course, Target("linux", "3.12"), {}, again)
    assert again.asked == []


def test_a_wheel_for_another_machine_or_of_another_version_is_not_taken(tmp_path):
    course = wheel(tmp_path, "moe-lessons", requires=["a"])
    wheel(tmp_path, "a", "2.0", "cp312-cp312-win_amd64")
    wheel(tmp_path, "a", "1.0")
    with pytest.raises(OSError, match="no wheel of a for linux with Python 3.12"):
        collect(course, Target("linux", "3.12"), {"a": "2.0"}, Shop(tags={"a": "cp312-cp312-win_amd64"}))


def test_the_pins_are_those_that_the_course_is_tested_with():
    pins = wheels.read_pins(ROOT / "constraints.txt")
    assert pins["torch"] == "2.13.0" and pins["jinja2"] and pins["markupsafe"]
    assert wheels._exact(wheels.Requirement("torch>=2"), pins, Target("linux", "3.12")) == "torch==2.13.0+cpu"
    assert wheels._exact(wheels.Requirement("torch>=2"), pins, Target("mac", "3.12")) == "torch==2.13.0"
    assert wheels._exact(wheels.Requirement("colorama>=0.4"), pins, Target("windows", "3.12")) == "colorama>=0.4"


# What goes wrong


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "WARNING: Retrying ... NewConnectionError('...: Failed to establish')\nERROR: No matching distribution",
            "the network",
        ),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: No matching distribution found for torch==2.13.0+cpu", "TORCH_INDEX"),
        ("/usr/bin/python3: No module named pip", "ensurepip"),
        ("ERROR: one\nERROR: two\n", "pip failed: two"),
        ("", "pip failed: it gave no reason"),
    ],
)
def test_pips_words_become_one_sentence(words, sentence):
    assert sentence in explain(words) and "\n" not in explain(words)


def test_without_a_network_pip_is_asked_twice_and_the_answer_is_one_sentence(tmp_path, monkeypatch):
    """The real pip, sent to a port where nobody listens."""
    monkeypatch.setattr(wheels.time, "sleep", lambda seconds: None)
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/simple", "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    for name in ("EXTRA_INDEX_URL", "FIND_LINKS"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    with pytest.raises(OSError, match="the network does not answer.*goes on where it was"):
        wheels.download(["einops==0.8.2"], Target("linux", "3.12"), tmp_path)


def test_a_folder_that_is_no_place_for_a_bundle_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine", encoding="utf-8")
    for name, words in {"file": "which is a file", "other": "holds other things"}.items():
        assert cli.main(["bundle", str(tmp_path / name), "--for", "linux", "--python", "3.12"]) == 1
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.txt"]
    usage = type(shutil.disk_usage("."))(2**40, 2**40 - 2**29, 2**29)
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda path: usage)
    assert cli.main(["bundle", str(tmp_path / "new"), "--for", "linux", "mac", "--python", "3.12"]) == 1
    assert "0.5 GiB free, but a bundle for 2 kinds of machines needs 2" in capsys.readouterr().err


def test_an_installed_course_sends_to_the_sources(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "notebooks_path", lambda: tmp_path / "notebooks")
    with pytest.raises(ValueError, match="git clone"):
        make_bundle(tmp_path / "new", [Target("linux", "3.12")])


# The folder, and an installation from it


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """A bundle for this machine with a stand-in for the course: one wheel that needs another, and the real pip."""
    place = tmp_path_factory.mktemp("bundle") / "room"
    code = (
        "import sys, pathlib, tiny\n"
        "def main():\n"
        "    print('course', *sys.argv[1:])\n"
        "    if sys.argv[1] == 'copy':\n"
        "        pathlib.Path(sys.argv[-1]).mkdir(exist_ok=True)\n"
    )

    def build_course(root, wheels_folder):
        return wheel(wheels_folder, "moe-lessons", requires=["tiny==1.0", "more; extra == 'interop'"], code=code)

    def fetch(requirements, target, wheels_folder):
        shop = Shop()
        shop([name for name in requirements if name != "pip"], target, wheels_folder)
        if "pip" in requirements:
            pack_pip(wheels_folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wheels, "build_course", build_course)
        make_bundle(place, [Target(bundle.this_platform(), HERE)], fetch, say=lambda _: None)
    return place


def pack_pip(place: Path) -> None:
    """The pip that Python brings with it, as the wheel that it is."""
    import ensurepip

    bundled = next(Path(ensurepip.__file__).with_name("_bundled").glob("pip-*.whl"), None)
    if bundled is None:
        pytest.skip("this Python brings no wheel of pip")
    shutil.copy(bundled, place)


def test_the_folder_holds_what_an_installation_needs(room):
    names = {path.name for path in room.iterdir()}
    assert names == {
        *("wheels", "install.py", "install.sh", "install.bat", "overrides.json"),
        *("README.txt", "bundle.json", "MANIFEST.sha256"),
    }
    assert len((room / "README.txt").read_text(encoding="utf-8").splitlines()) == 3
    noted = {line.split("  ", 1)[1] for line in (room / "MANIFEST.sha256").read_text(encoding="utf-8").splitlines()}
    files = {path.relative_to(room).as_posix() for path in room.rglob("*") if path.is_file()}
    assert noted == files - {"MANIFEST.sha256"}
    assert b"\r\n" in (room / "install.bat").read_bytes() and b"\r" not in (room / "install.sh").read_bytes()


def test_the_installers_list_of_machines_is_the_bundles():
    source = (folder.TEMPLATES / "install.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 7))  # an old Python reads it, and says what it lacks
    (systems,) = [
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SYSTEMS"
    ]
    known = {(p.markers["platform_system"], p.markers["platform_machine"]): name for name, p in PLATFORMS.items()}
    assert systems == known


def install(room: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["sh", room / "install.sh", *map(str, arguments)],
        env={**os.environ, "PYTHON": sys.executable, "PIP_NO_INDEX": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@posix
@pytest.mark.slow
def test_the_course_is_installed_without_network_and_again_over_itself(room, tmp_path):
    target = tmp_path / "my course"
    for _ in range(2):
        run = install(room, target)
        assert run.returncode == 0, run.stdout + run.stderr
        assert "course doctor --quick" in run.stdout and f"sh {target}/start.sh" in run.stdout
    python = target / ".venv" / "bin" / "python"
    assert subprocess.run([python, "-c", "import moe_lessons, tiny, more, pip"], check=False).returncode == 0
    assert (target / ".venv/share/jupyter/lab/settings/overrides.json").exists() and (target / "lessons").is_dir()
    assert os.access(target / "start.sh", os.X_OK)


@posix
def test_a_damaged_missing_or_half_made_bundle_is_refused_by_name(room, tmp_path):
    def broken(name, spoil):
        copy = tmp_path / name
        shutil.copytree(room, copy)
        spoil(copy)
        run = install(copy, tmp_path / "target")
        assert run.returncode == 1 and run.stderr.count("\n") == 1, run.stderr
        assert not (tmp_path / "target").exists()
        return run.stderr

    def flip(path):
        path.write_bytes(path.read_bytes()[:-1] + b"x")

    said = broken("flipped", lambda copy: flip(next(copy.glob("wheels/tiny-*.whl"))))
    assert "wheels/tiny-1.0-py3-none-any.whl is damaged; copy the folder again" in said
    said = broken("lacking", lambda copy: next(copy.glob("wheels/tiny-*.whl")).unlink())
    assert "tiny-1.0-py3-none-any.whl is missing" in said
    said = broken("half", lambda copy: (copy / "MANIFEST.sha256").unlink())
    assert "not complete" in said

    def for_windows(copy):
        (copy / "bundle.json").write_text(json.dumps({"for": [["windows", "3.12"]]}), encoding="utf-8")

    said = broken("windows", for_windows)
    assert f"with Python {HERE}, and the folder is for windows with Python 3.12" in said


@posix
def test_a_folder_with_other_things_in_it_is_not_installed_into(room, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    run = install(room, tmp_path)
    assert run.returncode == 1 and "holds other things" in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_complete_bundle_stays_one_when_it_cannot_be_renewed(room, tmp_path, monkeypatch):
    def fail(root, place):
        raise OSError("the network does not answer")

    shutil.copytree(room, tmp_path / "room")
    monkeypatch.setattr(wheels, "build_course", fail)
    with pytest.raises(OSError, match="does not answer"):
        make_bundle(tmp_path / "room", [Target("linux", "3.12")], Shop(), say=lambda _: None)
    for path in room.rglob("*"):
        assert path.is_dir() or (tmp_path / "room" / path.relative_to(room)).read_bytes() == path.read_bytes()


def test_a_new_version_replaces_what_an_earlier_bundle_held(room, tmp_path, monkeypatch):
    shutil.copytree(room, tmp_path / "room")
    monkeypatch.setattr(wheels, "build_course", lambda root, place: wheel(place, "moe-lessons", "2.0"))
    wheel(tmp_path / "room" / "wheels", "pip", "99.0")
    make_bundle(tmp_path / "room", [Target("linux", "3.12")], Shop(), say=lambda _: None)
    names = {path.name for path in (tmp_path / "room" / "wheels").iterdir()}
    assert names == {"moe_lessons-2.0-py3-none-any.whl", "pip-99.0-py3-none-any.whl"}
