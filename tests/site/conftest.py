"""The browser of the files that look at the site."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def chrome(chromium) -> Iterator[Any]:
    """A playwright Browser, closed after each file: two in one process cannot be driven."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")
    import lab  # tests/lab.py

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=lab.FLAGS)
        yield browser
        browser.close()
