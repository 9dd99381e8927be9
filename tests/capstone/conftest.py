"""What tests of the capstone share: an arena in which three steps are a training."""

import pytest
from contestants import CONFIG, VOCAB
from tiny_run import sums

from moe_lessons.capstone import Arena
from moe_lessons.text.own_text import text_corpus


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(text_corpus(sums(tmp_path_factory.mktemp("text")), vocab_size=VOCAB), steps=3, model=CONFIG)
