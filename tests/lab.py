"""A real JupyterLab in a headless Chromium, for the browser test and for authors who want to see their lesson.

python tests/lab.py notebooks/02_attention.ipynb --screenshots /tmp/pictures [--dark]
python tests/lab.py notebooks/00_start_here.ipynb --picture data/pictures/router_view.png   # the README's
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Error, Page, sync_playwright

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
TOKEN = "lesson"
BAD_WIDGET = re.compile(r"Error displaying widget|Error creating widget|Failed to load model|Click to show javascript")


def chromium() -> str | None:
    """The path of an installed Chromium or Chrome; None where there is none. CHROMIUM names another."""
    given = os.environ.get("CHROMIUM")
    return given or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def settings(folder: Path, *, dark: bool = False) -> Path:
    """JupyterLab's user settings: no news popup, every cell in the page, the theme asked for."""
    chosen = {
        "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        "@jupyterlab/apputils-extension/themes": {"theme": "JupyterLab Dark" if dark else "JupyterLab Light"},
        "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
        "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    }
    for name, values in chosen.items():
        file = folder / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")
    return folder


@contextlib.contextmanager
def server(notebooks: Path, *, dark: bool = False) -> Iterator[str]:
    """A JupyterLab server on a free port over a copy of the notebooks in a folder; gives its address."""
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        root = home / "notebooks"
        root.mkdir()
        for path in notebooks.glob("*.ipynb"):
            shutil.copy(path, root)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        folders = {
            "JUPYTER_CONFIG_DIR": home / "config",
            "JUPYTER_DATA_DIR": home / "data",
            "JUPYTER_RUNTIME_DIR": home / "runtime",
            "JUPYTERLAB_SETTINGS_DIR": settings(home / "settings", dark=dark),
            "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
            "IPYTHONDIR": home / "ipython",
        }
        options = [
            "--no-browser",
            "--allow-root",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.root_dir={root}",
            f"--IdentityProvider.token={TOKEN}",
        ]
        log = home / "server.log"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options],
                env={**os.environ, **{key: str(value) for key, value in folders.items()}},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=root,
            )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/api/status?token={TOKEN}", process, log)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(address: str, process: subprocess.Popen, log: Path, seconds: float = 60) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError):
            opener.open(address, timeout=5).close()
            return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")


@contextlib.contextmanager
def browser(*, width: int = 1280, height: int = 1000, scale: float = 1) -> Iterator[Page]:
    """One page of a headless Chromium; `page.problems` lists what it complained about. `scale`: dots per pixel."""
    executable = chromium()
    if executable is None:
        raise RuntimeError("no Chromium found; install it, on Debian with `apt-get install chromium`")
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        try:
            page = chrome.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
            problems: list[str] = []
            page.problems = problems  # type: ignore[attr-defined]
            page.on("pageerror", lambda error: problems.append(str(error)))
            yield page
        finally:
            chrome.close()


def open_notebook(page: Page, address: str, name: str, *, alone: bool = False) -> None:
    """Load a notebook and wait for its kernel. `alone`: without JupyterLab's side bars."""
    page.goto(f"{address}/{'doc' if alone else 'lab'}/tree/{name}?token={TOKEN}")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    # The page says "idle" before there is a kernel, and cells run then raise a dialog; so ask the server.
    for _ in range(300):
        sessions = page.request.get(f"{address}/api/sessions?token={TOKEN}").json()
        if any(one["kernel"]["connections"] and one["kernel"]["execution_state"] == "idle" for one in sessions):
            break
        page.wait_for_timeout(200)
    else:
        raise TimeoutError(f"no kernel was ready for {name} after a minute")
    page.wait_for_timeout(500)


def run_all(page: Page, *, seconds: float = 180) -> None:
    """Clear all outputs, run all cells, and wait until the last one is finished.

    Raises AssertionError with the kernel's words where a cell failed, TimeoutError where cells still run.
    """
    _menu(page, "Edit", "Clear Outputs of All Cells")
    page.wait_for_function(f"() => ({PROMPTS})().every(text => !/\\d/.test(text))")
    for _ in range(5):  # a "Run All" in the first two seconds can be lost
        _menu(page, "Run", "Run All Cells")
        try:
            page.wait_for_function(f"() => ({PROMPTS})().some(text => /[*\\d]/.test(text))", timeout=4_000)
            break
        except Error:
            continue
    end = time.monotonic() + seconds
    while True:
        # JupyterLab draws an error like any text on stderr
        failed = page.locator(".jp-OutputArea-output", has_text=re.compile(r"-{20}\s*\w+\s+Traceback \(most recent"))
        if failed.count():
            raise AssertionError(f"a cell failed:\n{failed.first.inner_text()}")
        waiting = [text for text in page.evaluate(PROMPTS) if not re.search(r"\d", text)]
        if not waiting:
            break
        if time.monotonic() > end:
            raise TimeoutError(f"{len(waiting)} cells were not finished after {seconds:.0f} s")
        page.wait_for_timeout(200)
    idle = '.jp-Notebook-ExecutionIndicator[data-status="idle"]'
    page.wait_for_selector(idle, state="attached", timeout=60_000)  # a narrow window has no room to show it
    page.wait_for_timeout(500)  # widgets draw after their cell is finished
    broken = BAD_WIDGET.search(page.locator(".jp-Notebook").inner_text())
    assert not broken, f"a widget shows {broken.group()!r}; the page said {page.problems}"  # type: ignore


# The prompts of code cells that hold anything: "[ ]:" untouched, "[*]:" waiting, "[7]:" finished.
PROMPTS = """() => [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")]
    .filter(cell => cell.querySelector(".cm-content")?.textContent.trim() !== "")
    .map(cell => cell.querySelector(".jp-InputPrompt").textContent)"""


def _menu(page: Page, menu: str, *entries: str) -> None:
    page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{menu}$")).click()
    for entry in entries[:-1]:
        page.locator(".lm-Menu-item", has_text=re.compile(f"^{entry}$")).first.hover()
        page.wait_for_timeout(500)  # until the inner menu is open
    page.locator(".lm-Menu-item", has_text=re.compile(f"^{entries[-1]}$")).first.click()


def screenshots(page: Page, folder: Path, name: str) -> list[Path]:
    """Pictures of the whole notebook from top to bottom, one window after the other, with a small overlap."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{name}-[0-9][0-9].png"):
        old.unlink()
    page.keyboard.press("Escape")
    panel = page.locator(".jp-WindowedPanel-outer").first
    total, window = panel.evaluate("e => [e.scrollHeight, e.clientHeight]")
    pictures: list[Path] = []
    top = 0
    while True:
        panel.evaluate("(e, top) => { e.scrollTop = top }", top)
        page.wait_for_timeout(300)
        pictures.append(folder / f"{name}-{len(pictures) + 1:02d}.png")
        panel.screenshot(path=pictures[-1])
        if top + window >= total - 1:
            return pictures
        top += window - 60


def picture_of(page: Page, element: str, path: Path) -> Path:
    """A picture of the first element that a CSS selector finds, with a margin of its own color, in 256 colors."""
    from PIL import Image, ImageOps  # comes with matplotlib

    path.parent.mkdir(parents=True, exist_ok=True)
    page.locator(element).first.screenshot(path=path)
    picture = Image.open(path).convert("RGB")
    picture = ImageOps.expand(picture, border=24, fill=picture.getpixel((0, 0)))
    picture.quantize(256, method=Image.Quantize.FASTOCTREE).save(path, optimize=True)
    return path


def main() -> int:
    """Open one notebook as a learner would, run it, and take its pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("notebook", type=Path)
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--screenshots", type=Path, metavar="DIR", help="pictures of the whole notebook")
    wanted.add_argument("--picture", type=Path, metavar="FILE.png", help="one picture of one widget, twice as sharp")
    parser.add_argument(
        "--element", default=".moe-router", metavar="CSS", help="what --picture shows: the first of these"
    )
    parser.add_argument("--dark", action="store_true", help="JupyterLab's dark theme")
    parser.add_argument("--as-stored", action="store_true", help="show what is in the file, run nothing")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=1200)
    parser.add_argument("--seconds", type=float, default=300, help="patience for all cells together")
    args = parser.parse_args()
    path = args.notebook.resolve()
    name = path.stem + ("-dark" if args.dark else "")
    with (
        server(path.parent, dark=args.dark) as address,
        browser(width=args.width, height=args.height, scale=2 if args.picture else 1) as page,
    ):
        open_notebook(page, address, path.name, alone=True)
        failure = None
        if not args.as_stored:
            begin = time.monotonic()
            try:
                run_all(page, seconds=args.seconds)
                print(f"all cells ran in {time.monotonic() - begin:.0f} s")
            except (AssertionError, TimeoutError) as error:
                failure = error
        if args.picture:
            print(picture_of(page, args.element, args.picture))
        else:
            for picture in screenshots(page, args.screenshots, name):
                print(picture)
        for problem in page.problems:  # type: ignore[attr-defined]
            print(f"the page complained: {problem}", file=sys.stderr)
    if failure is not None:
        print(failure, file=sys.stderr)
    return 1 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
