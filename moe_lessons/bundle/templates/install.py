"""Install the course from the folder in which this file lies, without network: python install.py [FOLDER]

In words that an old Python understands, so that it can say what it lacks; with nothing but the standard library.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
WHEELS = HERE / "wheels"
MANIFEST = HERE / "MANIFEST.sha256"
SPACE_NEEDED = 2.0  # GiB
SYSTEMS = {
    ("Linux", "x86_64"): "linux",
    ("Linux", "aarch64"): "linux-arm",
    ("Darwin", "arm64"): "mac",
    ("Windows", "AMD64"): "windows",
}
ANOTHER = "name a folder that does not exist yet: sh install.sh /path/to/folder"
START_SH = """#!/bin/sh
cd "$(dirname "$0")" || exit
.venv/bin/moe-lessons copy --quiet lessons
echo "Opening lesson 00 in your browser; Ctrl-C here stops JupyterLab."
exec .venv/bin/jupyter lab --ServerApp.log_level=ERROR --LabApp.log_level=ERROR --ServerApp.ip=127.0.0.1 \\
    $(test "$(id -u)" != 0 || echo --allow-root) --LabApp.default_url=/lab/tree/lessons/00_start_here.ipynb "$@"
"""
START_BAT = """@echo off\r
cd /d "%~dp0"\r
.venv\\Scripts\\moe-lessons copy --quiet lessons\r
.venv\\Scripts\\jupyter lab --ServerApp.log_level=ERROR --LabApp.default_url=/lab/tree/lessons/00_start_here.ipynb %*\r
"""


def refuse(sentence) -> NoReturn:
    """Stop with one sentence."""
    sys.exit("moe-lessons: " + sentence)


def wanted_machines():
    """Which machines this folder is for; one without checksums was not finished."""
    try:
        MANIFEST.stat()
        return json.loads((HERE / "bundle.json").read_text(encoding="utf-8"))["for"]
    except (OSError, ValueError, KeyError):
        refuse("this folder is not complete; copy it again, or finish it with `moe-lessons bundle`")


def this_machine():
    """This machine as bundle.json would name it."""
    system, machine = platform.system(), platform.machine()
    return [SYSTEMS.get((system, machine), f"{system} {machine}"), f"{sys.version_info[0]}.{sys.version_info[1]}"]


def verify():
    """Compare every file with its checksum."""
    for line in MANIFEST.read_text(encoding="utf-8").splitlines():
        noted, name = line.split("  ", 1)
        digest = hashlib.sha256()
        try:
            with (HERE / name).open("rb") as file:
                for block in iter(lambda file=file: file.read(1 << 20), b""):
                    digest.update(block)
        except OSError:
            refuse(f"{name} is missing or cannot be read; copy the folder again")
        if digest.hexdigest() != noted:
            refuse(f"{name} is damaged; copy the folder again")


def prepare(folder):
    """Make the folder, or go on in one that this began."""
    ours = (folder / ".venv" / "pyvenv.cfg").exists()
    if folder.exists() and not ours and (not folder.is_dir() or any(folder.iterdir())):
        refuse(f"{folder} holds other things; {ANOTHER}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse(f"{folder} cannot be made ({error.strerror}); {ANOTHER}")
    free = shutil.disk_usage(str(folder)).free / 2**30
    if free < SPACE_NEEDED and not ours:
        refuse(f"{folder} has {free:.1f} GiB free, and {SPACE_NEEDED:.0f} are needed; free some space, or {ANOTHER}")


def run(command, log, **environment):
    """Take a step; its words go to the log, and after a failure the last of them are shown."""
    command = [str(word) for word in command]
    with log.open("a", encoding="utf-8") as file:
        status = subprocess.call(command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **environment})
    if status:
        sys.stderr.write("\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-10:]) + "\n")
        refuse(f"the installation failed; its last words are above, all of them in {log}")


def install(folder):
    """Make an environment with everything in it, the lessons, and what starts them; return the latter."""
    windows = os.name == "nt"
    environment, log = folder / ".venv", folder / "install.log"
    programs = environment / ("Scripts" if windows else "bin")
    # Without the pip that Python brings, which some Linux systems lack: one comes along.
    venv.EnvBuilder(symlinks=not windows, with_pip=False).create(str(environment))
    log.write_text("", encoding="utf-8")
    pip = str(max(WHEELS.glob("pip-*.whl")))
    command = [programs / ("python.exe" if windows else "python"), "-m", "pip", "--isolated", "install", "--no-index"]
    command += ["--find-links", WHEELS, "--disable-pip-version-check", "--no-warn-script-location"]
    # The course itself anew each time, then whatever is not there yet.
    run([*command, "--force-reinstall", "--no-deps", "moe-lessons"], log, PYTHONPATH=pip)
    run([*command, "moe-lessons[interop]", "pip"], log, PYTHONPATH=pip)
    start = folder / ("start.bat" if windows else "start.sh")
    start.write_bytes((START_BAT if windows else START_SH).encode())
    start.chmod(0o755)
    run([programs / "moe-lessons", "copy", folder / "lessons"], log)
    print("[3/3] Looking at this machine", flush=True)
    subprocess.call([str(programs / "moe-lessons"), "doctor", "--quick"])
    return start


def main():
    """Check the machine, the files and the folder; then install."""
    wanted, here = wanted_machines(), this_machine()
    if "--fits" in sys.argv:
        sys.exit(0 if here in wanted else 1)
    if here not in wanted:
        machines = ", ".join(f"{system} with Python {version}" for system, version in wanted)
        refuse(f"this is {here[0]} with Python {here[1]}, and the folder is for {machines}")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.home() / "moe-lessons"
    folder = Path.cwd() / folder
    print("[1/3] Comparing the files with their checksums", flush=True)
    verify()
    prepare(folder)
    print(f"[2/3] Installing into {folder}; this takes a minute or two", flush=True)
    start = install(folder)
    print(f"Ready. Start with: {start if os.name == 'nt' else f'sh {start}'}")


if __name__ == "__main__":
    main()
