import json
import os
import shutil

import pytest
from places import ROOT

from moe_lessons.authoring.tables import WAYS, doors_table
from moe_lessons.studies import bare_system, doors

DOCKERFILE = (ROOT / ".devcontainer" / "Dockerfile").read_text(encoding="utf-8")


def test_the_container_is_what_its_dockerfile_says():
    door = doors.container(DOCKERFILE)
    assert set(door.packages) == {"ca-certificates", "git", "make", "python3-venv"}
    assert door.user == "learner" and not door.offline
    account, owner = door.before
    assert account.startswith("useradd ") and account.rstrip().endswith(door.user)
    assert owner == "chown -R learner:learner /course"
    setup, start = door.commands
    assert f"RUN {setup}" in DOCKERFILE and start.startswith(".venv/bin/jupyter lab ")


def test_a_dockerfile_that_is_written_otherwise_is_refused():
    with pytest.raises(ValueError, match="no packages, USER and CMD"):
        doors.container(DOCKERFILE.replace("USER learner", ""))


def test_uv_is_tried_as_the_readme_has_it():
    (line,) = [
        line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| uv |")
    ]
    told = line.split("`")[1].split(" && ")
    tried = [command.removeprefix(f"{doors._OWN} ") for command in doors.doors(ROOT)["uv"].commands]
    assert [each.replace(" --quiet", "").replace(" --allow-root --no-browser", "") for each in tried] == told


def test_without_pytorchs_index_pip_brings_it_and_uv_leaves_it_alone():
    door = doors.doors(ROOT, index=False)["uv"]
    assert door.torch_by and "--no-install-package torch" in door.commands[0]
    assert all("--no-sync" in command for command in door.commands[1:])
    assert not any(each.torch_by for each in doors.doors(ROOT).values())


def test_every_door_starts_jupyterlab_last_and_has_a_name_for_the_table():
    known = doors.doors(ROOT)
    assert known.keys() == WAYS.keys()
    for name, door in known.items():
        assert any(word in door.commands[-1] for word in ("make lab", "jupyter lab", "start.sh")), name


def test_who_cannot_try_doors_is_told_what_it_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match="as root, with debootstrap, from a clone"):
        doors.main(["--out", str(tmp_path / "x.json")])


def test_a_bare_system_sees_what_is_lent_unchangeable_and_no_other_settings(tmp_path, monkeypatch):
    (tmp_path / "bare" / "etc").mkdir(parents=True)
    monkeypatch.setenv("PIP_CERT", "/mine")
    for lend, offline in (((tmp_path,), False), ((), True)):
        with bare_system.BareSystem(tmp_path / "bare", lend, "me", offline=offline) as system:
            command = system._command("echo it", "me", offline=offline)
            root = system.root
        assert not root.exists()
        script = command[-1]
        assert ("remount,bind,ro" in script) == ("PIP_CERT" in script) == bool(lend)
        assert ("--net" in command) == ("ip link set lo up" in script) == offline
        assert "HOME=/home/me" in script and "--reuid me" in script


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root, for a system of its own")
def test_a_command_that_fails_says_its_last_words(tmp_path, monkeypatch):
    (tmp_path / "bare" / "etc").mkdir(parents=True)
    with bare_system.BareSystem(tmp_path / "bare") as system:
        monkeypatch.setattr(system, "_command", lambda *_, **__: ["sh", "-c", "echo no wheel >&2; exit 3"])
        with pytest.raises(ValueError, match="failed: no wheel"):
            system.run("anything")
        monkeypatch.setattr(system, "_command", lambda *_, **__: ["sh", "-c", "exit 1"])
        with pytest.raises(ValueError, match="started no server"):
            system.serve("anything")


ROW = {"door": "uv", "commands": 3, "packages": 7.1, "install": 12.4, "served": 2.0, "picture": 3.6, "all": 25.1}


def test_a_door_is_a_row_of_what_was_measured(tmp_path):
    study = {"command": "python it", "machine": {"name": "CPU", "cores": 2, "torch": "2"}, "debian": "bookworm"}
    row = {**ROW, "gb_on_disk": 1.38, "torch_apart": True, "offline": False}
    path = tmp_path / "doors.json"
    path.write_text(json.dumps({**study, "lent": [], "doors": [row]}), encoding="utf-8")
    text = doors_table(path)
    assert "| uv, with the lock* | 3 | 7 | 14 | 4 | 25 | 1.4 |" in text
    assert "* uv's own place" in text and "your network" not in text
    path.write_text(json.dumps({**study, "lent": ["/a"], "doors": [{**row, "torch_apart": False}]}), encoding="utf-8")
    assert "your network adds its time" in doors_table(path) and "*" not in doors_table(path)
    assert doors_table(tmp_path / "none.json").startswith("Not measured yet: `python -m moe_lessons.studies.doors")


def test_the_table_of_the_ways_in_is_what_was_measured():
    assert doors_table() in (ROOT / "TEACHING.md").read_text(encoding="utf-8"), (
        "run: python -m moe_lessons.authoring table"
    )
