"""Classes that run: one for all tests that leave it alone, and as many as a test wants to stop."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_class import RunningClass


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningClass]:
    """One class for all tests that do not stop it; each has learners of its own."""
    made = RunningClass(tmp_path_factory.mktemp("class"))
    yield made
    made.kill()


@pytest.fixture
def secret() -> str:
    """Somebody whom no other test knows."""
    return uuid.uuid4().hex


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunningClass]]:
    """Start classes over the same files; all are stopped at the end."""
    started: list[RunningClass] = []

    def begin(*options: str, port: int = 0) -> RunningClass:
        started.append(RunningClass(tmp_path / "cache", *options, port=port))
        return started[-1]

    yield begin
    for each in started:
        if each.process.poll() is None:
            each.kill()
