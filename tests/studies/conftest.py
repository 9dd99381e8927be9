"""The course's own text, which the studies read."""

import pytest
import torch

from moe_lessons.text.corpus import Corpus, course_corpus


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return course_corpus(progress=False)


@pytest.fixture
def threads():
    """As many threads afterwards as before: a study's run takes one."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
