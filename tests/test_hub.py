"""The recipe for a JupyterHub, as far as it runs without one: its settings, and its script on a pretended server."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from places import ROOT
from traitlets.config import Config

HUB = ROOT / "jupyter" / "hub"


def settings() -> Config:
    config = Config()
    source = (HUB / "moe_lessons_hub.py").read_text(encoding="utf-8")
    exec(compile(source, "moe_lessons_hub.py", "exec"), {"get_config": lambda: config})
    return config


def test_the_fragment_sets_what_its_comments_say():
    config = settings()
    assert config.Spawner.mem_limit == "2G" and config.Spawner.cpu_limit == 2
    assert config.Spawner.environment["OMP_NUM_THREADS"] == "1"
    assert config.JupyterHub.concurrent_spawn_limit == 4


def test_servers_are_given_options_that_they_have():
    from jupyter_server.services.kernels.kernelmanager import MappingKernelManager

    for option in settings().Spawner.args:
        name, _, value = option.removeprefix("--").partition("=")
        owner, _, trait = name.partition(".")
        assert owner == "MappingKernelManager" and trait in MappingKernelManager.class_trait_names()
        assert MappingKernelManager.class_traits()[trait].from_string(value) is not None


def stub(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def server(tmp_path):
    """A server on which TLJH, pip and the command of the course are pretended, and write down what they were told."""
    said = tmp_path / "said"
    stub(tmp_path / "tljh/user/bin/python", f'echo "python $*" >> {said}\nmkdir -p {tmp_path}/srv/corpus')
    stub(tmp_path / "tljh/user/bin/moe-lessons", 'mkdir -p "$3"\necho "{}" > "$3/00_start_here.ipynb"')
    stub(tmp_path / "bin/tljh-config", f'echo "tljh-config $*" >> {said}')
    changed = {
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "TLJH_INSTALL_PREFIX": str(tmp_path / "tljh"),
        "MOE_LESSONS_SHARED": str(tmp_path / "srv"),
        "MOE_LESSONS_SKELETON": str(tmp_path / "skel"),
        "GIT_CONFIG_SYSTEM": str(tmp_path / "gitconfig"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }

    def install() -> str:
        command = ["sh", str(HUB / "install.sh"), "teacher"]
        done = subprocess.run(command, env=os.environ | changed, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return tmp_path, install


needs_git = pytest.mark.skipif(not shutil.which("git") or os.name == "nt", reason="needs git and a shell")


@needs_git
def test_the_script_shares_the_corpus_and_the_lessons_and_says_the_link(server):
    place, install = server
    link = install().splitlines()[-1]
    assert (place / "skel/.cache/moe-lessons/corpus").resolve() == place / "srv/corpus"
    assert f"git-pull?repo={place}/srv/lessons&branch=main" in link
    assert (place / "tljh/config/jupyterhub_config.d/moe_lessons_hub.py").is_file()
    copied = place / "cloned"
    subprocess.run(["git", "clone", "-q", str(place / "srv/lessons"), str(copied)], check=True)
    assert sorted(path.name for path in copied.iterdir() if path.name != ".git") == [
        ".gitignore",
        "00_start_here.ipynb",
    ]


@needs_git
def test_the_script_may_be_run_again(server):
    place, install = server
    first, second = install(), install()
    assert first == second
    assert (place / "gitconfig").read_text(encoding="utf-8").count("directory") == 2
    log = ["git", "-C", str(place / "srv/lessons"), "rev-list", "--count", "main"]
    assert subprocess.run(log, capture_output=True, text=True, check=True).stdout.strip() == "1"


@needs_git
def test_the_script_wants_to_know_who_teaches():
    done = subprocess.run(["sh", str(HUB / "install.sh")], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "name the account of whoever teaches" in done.stderr
