"""Experts of four times the memory allowed: what a process really holds, and what becomes of it when the file goes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from big_experts import MB, big_config, write_big

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux says what is held"),
]
TESTS = Path(__file__).parents[1]

# Everything that takes memory only once is done with a small model before: imports, buffers of libraries.
BEGIN = """
import json, os, sys, torch
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
from big_experts import forget_peak, held
from moe_lessons.model.generate import generate
from moe_lessons.offload import load_offloaded, traffic
from moe_lessons.training.checkpoint import load_checkpoint
small, big = sys.argv[2:]
ids = torch.arange(30)[None]
for model in (load_checkpoint(small).model, load_offloaded(small, slots=2)):
    generate(model, ids, 5)
del model
forget_peak()
before = {name: held(name) for name in ("VmHWM", "RssAnon", "RssFile")}
"""
END = """
print(json.dumps({name: held(name) - value for name, value in before.items()} | more))
"""
WRITE = """
few = load_offloaded(big, slots=8)
text = generate(few, ids, 20)
more = traffic(few)._asdict() | {"text": text.tolist()}
"""
WHOLE = "whole = load_checkpoint(big).model; more = {'text': generate(whole, ids, 20).tolist()}"
MAPPED = """
from safetensors import safe_open
file, more = safe_open(big, "pt"), {}
for layer in range(4):
    for name in ("gate_up", "down"):
        stack = file.get_slice(f"blocks.{layer}.feed_forward.experts.{name}")
        for expert in range(32):
            stack[expert].sum()
"""
CUT = """
os.truncate(big, os.path.getsize(big) // 2)
try:
    for expert in range(32):
        generate(few, (ids + expert) % 64, 5)
    more = {"told": ""}
except OSError as error:
    more = {"told": str(error)}
"""
CUT_MAPPED = """
from safetensors import safe_open
stack, more = safe_open(big, "pt").get_slice("blocks.3.feed_forward.experts.down"), {}
os.truncate(big, os.path.getsize(big) // 2)
stack[20].sum()
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return write_big(tmp_path_factory.mktemp("small") / "small.safetensors", big_config(n_experts=2))


@pytest.fixture(scope="module")
def big(tmp_path_factory) -> Iterator[Path]:
    """Tests that spoil it come last."""
    path = write_big(tmp_path_factory.mktemp("big") / "big.safetensors", big_config())
    yield path
    path.unlink(missing_ok=True)


def run(small: Path, big: Path, body: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", BEGIN + body + END, str(TESTS), str(small), str(big)]
    return subprocess.run(command, capture_output=True, text=True, cwd=TESTS.parent)


def found(*arguments) -> dict:
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_no_more_memory_is_held_than_was_allowed_and_the_text_is_the_same(small, big):
    few, whole, mapped = (found(small, big, body) for body in (WRITE, WHOLE, MAPPED))
    allowed = few["resident_bytes"]
    assert few["all_bytes"] == 4 * allowed == 192 * MB
    assert few["text"] == whole["text"]
    assert few["misses"] > 4 * 8, "slots were needed again"
    # Beside the slots: everything else of the model, one expert on its way, and what a text needs.
    assert few["VmHWM"] < allowed + 10 * MB
    assert whole["VmHWM"] > few["all_bytes"]
    # The control: with the file mapped, whatever was touched is held as pages of the file.
    assert mapped["RssFile"] > 0.9 * few["all_bytes"] and mapped["RssAnon"] < 30 * MB


def test_a_file_cut_off_in_use_is_an_error_of_one_sentence_where_a_mapped_one_kills_the_process(small, big):
    whole_file = big.stat().st_size
    told = found(small, big, WRITE.replace("slots=8", "slots=2") + "\n" + CUT)["told"]
    assert "of layer" in told and "could not be read from" in told and "put the file back" in told
    assert big.stat().st_size < whole_file
    assert run(small, write_big(big, big_config()), CUT_MAPPED).returncode == -7  # SIGBUS
