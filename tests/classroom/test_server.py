"""A class that is stopped, killed, started twice, or that another Jupyter Server loads."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request

from running_class import entry, free_port

SECRET = "ab" * 16


def test_a_killed_class_goes_on_with_all_that_it_acknowledged(start, tmp_path):
    first = start()
    made = [entry("hello", name="Ada"), entry("check", exercise="05.mixture", passed=1, mistake=-1)]
    made += [entry("prediction", key="05.one_sheet", answer=0.5, sure=0, late=0)]
    assert first.send(SECRET, *made)[0] == 200
    before, lines = first.board(), first.journal()
    first.kill()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.parent.name == "runtime"
                and first.token in path.read_text(encoding="utf-8")]  # fmt: skip
    again = start(port=first.port)
    assert (again.code, again.token) == (first.code, first.token)
    assert again.journal() == lines and again.board() == before
    assert again.send(SECRET, *made) == (200, {"refused": {}, "name": "Ada"})  # an outbox that heard no answer
    assert again.journal() == lines
    # a second one over the same files would write between its lines
    command = [sys.executable, "-m", "moe_lessons", "class", "--no-browser", "--port", str(free_port())]
    env = {**os.environ, "MOE_LESSONS_CACHE": str(tmp_path / "cache")}
    other = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert other.returncode == 1 and other.stdout == "" and other.stderr.startswith("moe-lessons: another")


def test_a_new_class_has_new_keys_and_keeps_the_old_ones_entries_aside(start, tmp_path):
    first = start()
    first.send(SECRET, entry("hello", name="Ada"))
    first.kill()
    again = start("--new")
    assert again.code != first.code and again.token != first.token and again.board()["learners"] == []
    assert again.ask("POST", "/class/entries", first.code, b"{}")[0] == 403
    (aside,) = (tmp_path / "cache").glob("classroom-*")
    assert "Ada" in (aside / "entries.jsonl").read_text(encoding="utf-8")


def test_the_server_needs_no_torch():
    code = "import moe_lessons.classroom.server, sys; print('torch' in sys.modules or 'matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_learners_join_and_send_by_the_commands_that_people_type(start, tmp_path, monkeypatch, capsys):
    from moe_lessons import cli
    from moe_lessons.outbox import tell

    running = start()
    assert f"moe-lessons join {running.address} {running.code}" in running.said
    for number in range(2):
        monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / f"learner{number}"))
        assert cli.main(["join", running.address, running.code.upper(), "--name", "Ada"]) == 0
    assert "You joined as Ada (2)." in capsys.readouterr().out
    tell("check", exercise="05.mixture", passed=1, mistake=-1)
    for _ in range(300):
        if lessons := running.board()["lessons"]:
            break
        time.sleep(0.1)
    assert {row["name"]: row["marks"][0] for row in lessons[0]["rows"]} == {"Ada": 0, "Ada (2)": 2}
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "stranger"))
    assert cli.main(["join", running.address, "aaaa-aaaa", "--name", "Eve"]) == 1
    assert "does not know this CODE" in capsys.readouterr().err and not list(
        (tmp_path / "stranger").rglob("member.json")
    )


def test_a_teacher_s_own_jupyter_server_shows_a_shared_folder_s_class(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / f"{'a' * 16}.jsonl").write_text(json.dumps(entry("hello", name="Ada")) + "\n", encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    command += ["--ServerApp.jpserver_extensions={'moe_lessons.classroom': True}", f"--ClassExtension.shared={shared}"]
    command += ["--IdentityProvider.token=t", f"--ServerApp.root_dir={tmp_path}"]
    env = {**os.environ, "MOE_LESSONS_CACHE": str(tmp_path / "cache"), "JUPYTER_NO_CONFIG": "1"}
    env["JUPYTER_RUNTIME_DIR"] = str(tmp_path / "runtime")
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/class/board", headers={"Authorization": "token t"})
        names = []
        for _ in range(1200):
            with contextlib.suppress(OSError), urllib.request.urlopen(asked, timeout=10) as answer:
                names = json.loads(answer.read())["learners"]
            if names:
                break
            time.sleep(0.1)
        assert names == ["Ada"]
    finally:
        server.kill()
        server.wait(30)


def test_somebody_s_own_jupyter_settings_open_no_door(start, tmp_path, monkeypatch):
    settings = tmp_path / "settings"
    settings.mkdir()
    lines = ["c.ServerApp.allow_origin = '*'", "c.IdentityProvider.token = ''", "c.ServerApp.disable_check_xsrf = True"]
    lines += [
        "c.ServerApp.ip = '0.0.0.0'",
        "c.ServerApp.allow_unauthenticated_access = True",
        "c.ClassIdentity.token = ''",
    ]
    for name in ("jupyter_server_config.py", "jupyter_config.py"):
        (settings / name).write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(settings))
    running = start()
    assert running.ask("GET", "/class/board")[0] == 403 and running.ask("GET", "/class/board", running.token)[0] == 200
    origin = {"Origin": "http://evil.example"}
    cookie = running.ask("GET", f"/class/?token={running.token}")[1]["Set-Cookie"].partition(";")[0]
    assert "Access-Control-Allow-Origin" not in running.ask("GET", "/class/board", Cookie=cookie, **origin)[1]
