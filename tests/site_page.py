"""A page of the site in a real browser, and what axe-core says of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from places import ROOT
from playwright.sync_api import Browser, Page

from moe_lessons.site.build import build_front
from moe_lessons.site.serve import server

TOOLS = ROOT / "node_modules"
#: What a file marks itself with that builds front ends and looks at them: `pytestmark = MARKS`.
MARKS = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not (TOOLS / ".bin" / "esbuild").exists(), reason="esbuild is not installed; run npm ci"),
]


def new_site(root: Path) -> Path:
    """The site without lessons, below a folder of an address."""
    site = root / "below" / "a path"
    build_front(site)
    (root / "index.html").touch()
    return site


@contextmanager
def opened(
    chrome: Browser, site: Path, path: str, *, dark: bool = False, width: int = 1280, height: int = 900
) -> Iterator[Page]:
    """A page of the site; afterwards it must have complained of nothing and asked nobody else."""
    with server(site.parents[1]) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        home = f"http://127.0.0.1:{serving.server_port}/"
        page = chrome.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
        page.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
        page.on(
            "request",
            lambda asked: None if asked.url.startswith((home, "data:")) else problems.append(f"left: {asked.url}"),
        )
        page.goto(f"{home}below/a%20path/{path}")
        yield page
        page.close()
        serving.shutdown()
        assert problems == []


def axe(page: Page) -> list[str]:
    """What axe-core finds wrong, each with the first element that has it."""
    script = TOOLS / "axe-core" / "axe.min.js"
    if not script.exists():
        pytest.skip("axe-core is not installed; run npm ci")
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [f"{one['id']}: {one['nodes'][0]['target']} {one['nodes'][0]['failureSummary']}" for one in found]
