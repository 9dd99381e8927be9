"""What holds for all widgets: a still picture, a repr without an address, and no pyplot."""

import re
import subprocess
import sys
import warnings

import numpy as np
from view_samples import by_words, causal, dense

from moe_lessons.config import MoEConfig
from moe_lessons.widgets import AttentionView, BudgetView, SamplingView, TokenView, TrainingBoard


def every_view() -> list:
    board = TrainingBoard(["json", "german"], {"json": 0.5}, "a run")
    board.start(20, "steps")
    for step in range(1, 21):
        board.point(step=step, seconds=step / 10, loss=3 / step, tokens=64 * step, lr=0.5)
    board.evaluation(20, {"json": 0.9, "german": 1.1})
    board.finish()
    return [
        TokenView(by_words, "a $5 text\nof two lines", {"json": '{"a": 1}', "german": "Der Hund schläft."}),
        AttentionView(["a", " b", "\n", "$", "é"], causal()),
        BudgetView({"dense": dense(), "sparse": dense(moe=MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=16))}),
        SamplingView({"The": np.arange(30.0) / 3, "A $ sign": np.zeros(30)}, [f" w{i}" for i in range(30)]),
        board,
    ]


def test_each_view_has_a_still_picture_and_a_repr_without_an_address():
    for view, again in zip(every_view(), every_view(), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            data, _ = view._repr_mimebundle_()
        assert data["image/png"].startswith("iVBOR")
        assert data["text/plain"] == repr(view) == repr(again)
        assert not re.search(r"0x[0-9a-f]{6}", repr(view))
        assert view.figure().get_figwidth() <= 7


def test_drawing_views_never_loads_pyplot():
    code = """
import sys, numpy as np
from moe_lessons.widgets import SamplingView, TrainingBoard
board = TrainingBoard(["a"], {"a": 1.0}); board.start(2); board.point(step=1, seconds=1, loss=2, tokens=8, lr=1)
board.finish(); board._repr_mimebundle_(); SamplingView(np.zeros(3), list("abc"))._repr_mimebundle_()
print("matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=120)
    assert done.stdout == "False\n", done.stderr
