"""A bare Debian in a folder, in which a command runs as on a new machine."""

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

PATIENCE = 1200  # seconds that one command may take
DEBIAN = "bookworm"  # what .ci/run and the containers are written for
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def make_bare(into: Path, mirror: str) -> None:
    """Debootstrap's smallest system, made in a folder."""
    made = ["debootstrap", "--variant=minbase", DEBIAN, into, mirror]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL)


class BareSystem:
    """A copy of a bare system in a folder that goes when the `with` is left; the working folder is /course.

    `lend` are this machine's paths that are seen there too, unchangeable; `offline` lets a user see no network.
    """

    def __init__(self, bare: Path, lend: Sequence[Path] = (), user: str = "root", *, offline: bool = False) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bare-", ignore_cleanup_errors=True)
        self.root, self.lend, self.user, self.offline = Path(self._folder.name) / "root", lend, user, offline
        subprocess.run(["cp", "-a", bare, self.root], check=True)
        for name in ("resolv.conf", "hosts"):
            shutil.copy(Path("/etc") / name, self.root / "etc" / name)

    def __enter__(self) -> "BareSystem":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def prepare(self, line: str) -> float:
        """Run a line as root, with the network; returns its seconds. ValueError with its last words where it fails."""
        return self._run(self._command(line, "root", offline=False))[0]

    def run(self, line: str) -> tuple[float, str]:
        """Run a line as the user: its seconds and what it printed. ValueError with its last words where it fails."""
        return self._run(self._command(line, self.user, offline=self.offline))

    def serve(self, line: str) -> tuple[float, "subprocess.Popen[bytes]"]:
        """Start JupyterLab as the user, and wait until it listens: seconds, and the process."""
        begin, nowhere = time.monotonic(), subprocess.DEVNULL
        command = self._command(line, self.user, offline=self.offline)
        server = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        runtime = self.root / _home(self.user).lstrip("/") / ".local" / "share" / "jupyter" / "runtime"
        while not any(runtime.glob("jpserver-*.json")):
            if server.poll() is not None or time.monotonic() - begin > PATIENCE:
                server.kill()
                raise ValueError(f"{line!r} started no server; type it by hand, and read what it says")
            time.sleep(0.1)
        return time.monotonic() - begin, server

    def bytes_on_disk(self) -> int:
        """What the system holds, less what is lent."""
        told = subprocess.run(["du", "-sxB1", self.root], capture_output=True, text=True, check=False).stdout
        return int(told.split()[0])

    def _command(self, line: str, user: str, *, offline: bool) -> list[str]:
        mounts = [f"mount -t proc proc {self.root}/proc", f"mount --rbind /dev {self.root}/dev"]
        for path in self.lend:
            target = self.root / path.relative_to("/")
            there = f"mkdir -p {target}" if path.is_dir() else f"mkdir -p {target.parent} && touch {target}"
            # Read-only: a package's script there would else rewrite this machine's own file.
            mounts += [there, f"mount --bind {path} {target}", f"mount -o remount,bind,ro {target}"]
        lent = (
            {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
            if self.lend
            else {}
        )
        seen = {"PATH": _PATH, "HOME": _home(user), "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **lent}
        environment = " ".join(f"{name}={shlex.quote(value)}" for name, value in seen.items())
        inside = shlex.quote(f"cd /course 2>/dev/null; {line}")
        become = "" if user == "root" else f"setpriv --reuid {user} --regid {user} --clear-groups"
        script = [*(["ip link set lo up"] * offline), *mounts]
        script.append(f"exec chroot {self.root} {become} env -i {environment} sh -c {inside}")
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", *(["--net"] * offline)]
        return [*apart, "sh", "-c", " && ".join(script)]

    def _run(self, command: Sequence[str]) -> tuple[float, str]:
        begin = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines()[-5:]
            raise ValueError(f"{command[-1].rpartition('; ')[2]} failed: " + " | ".join(words))
        return time.monotonic() - begin, done.stdout


def _home(user: str) -> str:
    return "/root" if user == "root" else f"/home/{user}"
