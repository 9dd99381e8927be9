"""The course's own text, which the studies read."""

import pytest

from moe_lessons.text.corpus import Corpus, course_corpus


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return course_corpus(progress=False)
