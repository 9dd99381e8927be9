"""An exception in the arena is shown with the router's line."""

import pytest
import torch
from contestants import CONFIG, division, spoiled
from torch.nn import functional as F

from moe_lessons.capstone.checks import inspect_router

pytestmark = pytest.mark.usefixtures("cache")


def test_an_exception_points_at_the_routers_line_and_not_at_ours():
    (finding,) = inspect_router(spoiled(division), CONFIG).refusals
    assert "ZeroDivisionError in line" in finding.sentence and "of your code" in finding.sentence
    (finding,) = inspect_router(lambda hidden: F.linear(hidden, torch.zeros(4, 5)), CONFIG).refusals
    assert "F.linear(hidden" in finding.sentence  # the deepest frame is torch's, the line is theirs
