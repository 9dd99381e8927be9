"""Lesson 13 on the roads that its stored outputs do not show: without transformers, and with a fetched model."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from places import ROOT

from moe_lessons.resources import data_path
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing import RoutingTrace, tracer
from moe_lessons.training import load_checkpoint

SENTENCE = "In January the news said that only some of its parameters work on any one token."

# The learner's own ledger is none of a test's business.
APART = "from moe_lessons.records import RecordFile\nRecordFile.write = lambda self, records: None"
WITHOUT_TRANSFORMERS = """
import sys
sys.modules["transformers"] = None  # as if it were not installed
"""
# A random Granite of two layers, where the hub would have left the real one.
WITH_A_FETCHED_MODEL = """
from pathlib import Path
import tokenizers, torch, transformers
import moe_lessons.published.fetch as fetching
from moe_lessons.resources import data_path

revision = "1" * 40
folder = Path(FOLDER) / "models--somebody--small" / "snapshots" / revision
torch.manual_seed(0)
config = transformers.GraniteMoeConfig(
    vocab_size=1024, hidden_size=32, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
    num_local_experts=8, num_experts_per_tok=2, bos_token_id=0, eos_token_id=0,
)
transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
backend = tokenizers.Tokenizer.from_file(str(data_path("tokenizer.json")))
names = {"bos_token": "<|doc|>", "eos_token": "<|doc|>"}
transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **names).save_pretrained(folder)
fetching.fetch.__defaults__ = (fetching.Source("somebody/small", revision, "none", 0.1), FOLDER)
"""


def run_lesson(tmp_path: Path, prelude: str, **environment: str) -> str:
    """What the lesson's code cells print, one after the other in a process of their own."""
    notebook = nbformat.read(ROOT / "notebooks" / "13_inside_real_models.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    code = "\n".join([f"FOLDER = {str(tmp_path / 'hub')!r}", APART, prelude, *cells]).replace("%matplotlib inline", "")
    script = tmp_path / "lesson.py"
    script.write_text(code, encoding="utf-8")
    env = {**os.environ, "HF_HUB_OFFLINE": "1", **environment}
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


@pytest.mark.slow
def test_without_transformers_the_lesson_says_so_once_and_goes_on(tmp_path):
    said = run_lesson(tmp_path, WITHOUT_TRANSFORMERS)
    assert said.count("transformers is not installed") == 1
    assert "the model to look into: Transformer" in said
    assert "11 of 15 models are sparse" in said


@pytest.mark.slow
def test_with_the_switch_on_the_lesson_looks_into_the_fetched_model(tmp_path):
    pytest.importorskip("transformers")
    said = run_lesson(tmp_path, WITH_A_FETCHED_MODEL, MOE_LESSONS_FETCH="1")
    assert "the model to look into: GraniteMoeForCausalLM" in said
    assert "<GraniteMoeTopKRouter: top 2 of 8, softmax, normalized>" in said
    assert re.search(r"choices that differ from the model's own router logits, of [\d,]+: 0 \(", said)
    assert "the same logits to the last bit, watched or not" in said


def test_the_shipped_trace_is_what_the_shipped_model_does():
    model = load_checkpoint(data_path("checkpoints/course-moe.safetensors")).model.eval()
    shipped = RoutingTrace.load(data_path("traces/course-moe.safetensors"))
    torch.manual_seed(0)
    fresh = tracer(model, Tokenizer.load(), "course-moe")(SENTENCE)
    assert shipped.pieces == fresh.pieces and shipped.model == "course-moe"
    np.testing.assert_allclose(shipped.logits, fresh.logits, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(shipped.nats, fresh.nats, rtol=1e-2, atol=1e-2)
    assert (shipped.experts == fresh.experts).mean() > 0.98
