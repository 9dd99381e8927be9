"""What all tests share: shapes are checked, and in continuous integration no browser or Node may be missing."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

# Before anything imports the package: every annotated shape is checked while tests run, and free at run time. Only
# where tensors are: elsewhere bad input must reach the package's own checks and their sentences.
CHECKED = ("model", "tracing.record", "tracing.attention")
install_import_hook([f"moe_lessons.{part}" for part in CHECKED], "beartype.beartype")

# What is tested is English, whatever its tester speaks; tests of other languages set this themselves.
os.environ["MOE_LESSONS_LANGUAGE"] = "en"

CI = os.environ.get("CI") == "true"
MUST_RUN = re.compile(r"chromium|browser|node", re.IGNORECASE)

settings.register_profile(
    "course", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("course")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The learner's cache, empty and this test's own."""
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node, which runs the widgets' own JavaScript."""
    return _program("nodejs", "node", "nodejs")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium, which shows JupyterLab."""
    return _program("chromium", "chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def chrome(chromium) -> Iterator[Any]:
    """A playwright Browser, closed after each file: two in one process cannot be driven."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")
    import lab  # tests/lab.py

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=lab.FLAGS)
        yield browser
        browser.close()


def _program(package: str, *names: str) -> str:
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(f"{package} is not installed; on Debian: apt-get install {package}")
    return path


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """In continuous integration a missing browser or Node is a failure, not a skipped test."""
    report = (yield).get_result()
    if CI and report.skipped and isinstance(report.longrepr, tuple) and MUST_RUN.search(report.longrepr[2]):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be missing: {report.longrepr[2]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a GPU run wherever there is one."""
    if not any(item.get_closest_marker("gpu") for item in items):
        return
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA GPU here"))
