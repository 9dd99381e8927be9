"""The folder for a room without network: what is refused, what it holds, and an installation from it."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from stand_in_wheels import Shop, wheel

from moe_lessons import bundle, cli
from moe_lessons.bundle import PLATFORMS, Target, folder, make_bundle, wheels

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
posix = pytest.mark.skipif(os.name != "posix", reason="install.sh is for POSIX shells")


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
        *("wheels", "install.py", "install.sh", "install.bat"),
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
    assert (target / "lessons").is_dir()
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
