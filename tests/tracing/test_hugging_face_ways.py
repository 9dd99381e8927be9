"""Somebody else's mixtures in the ways that they are run: cached, padded, fused, halved, compiled, behind eyes.

MOE_LESSONS_ALL_FAMILIES=1 tries every family that the census reads, instead of one for each way of being built.
"""

import json
import os

import numpy as np
import pytest
import torch

from moe_lessons.resources import data_path
from moe_lessons.studies.readable import built, experts_heard, misfit, recorded, run
from moe_lessons.studies.tiny_mixtures import VOCAB, mixture_families, tiny_model, tiny_text
from moe_lessons.tracing import record_routing
from moe_lessons.tracing.hugging_face import longest_text, sizes_of

transformers = pytest.importorskip("transformers")
ROWS = json.loads(data_path("studies/readable.json").read_text(encoding="utf-8"))["families"]
READ = [row["family"] for row in ROWS if row["verdict"] == "read right" and not row["why"].startswith("the part")]
# A block that chooses by itself, a layer without a block, states in place of a cache, experts that do nothing, a hash
# of the tokens, a whole with eyes.
FEW = ("dbrx", "gemma4", "jamba", "longcat_flash", "deepseek_v4", "qwen3_vl_moe")
NAMES = READ if os.environ.get("MOE_LESSONS_ALL_FAMILIES") else FEW
each = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def families():
    return {family.name: family for family in mixture_families()}


def by_itself(way):
    """What the model does unheard; a way that it cannot go without us either says nothing about us."""
    try:
        with torch.no_grad():
            return way()
    except Exception as error:  # of their code, in a way that this tiny model was not made for
        return pytest.skip(f"it cannot by itself: {error}")


def generates(model: torch.nn.Module) -> bool:
    return hasattr(model, "generate") and model.can_generate()


@each
def test_generation_with_a_cache_is_one_text_in_several_passes(name, families):
    model = built(families[name])
    if not generates(model):
        pytest.skip("writes no text")
    prompt, asked = tiny_text(time=5), {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}
    unheard = by_itself(lambda: model.generate(prompt, **asked))
    with record_routing(model) as trace:
        written = model.generate(prompt, **asked)
    assert torch.equal(written, unheard)
    assert trace.n_tokens == 2 * 8
    for row in range(2):
        mine = trace.select(tokens=trace.sequence == row)
        assert mine.token_ids.tolist() == written[row, :8].tolist()
        assert mine.position.tolist() == list(range(8))
    at_once = recorded(model, written[:, :8])
    order = np.lexsort((trace.position, trace.sequence))
    np.testing.assert_allclose(trace.logits[:, order], at_once.logits, rtol=1e-2, atol=1e-3)


@each
def test_half_precision_is_read_right(name, families):
    model = built(families[name]).bfloat16()
    by_itself(lambda: run(model, tiny_text()))
    recorded(model, tiny_text())
    with experts_heard(model) as heard:
        trace = recorded(model, tiny_text())
        called = list(heard)
    assert trace.logits.dtype == np.float32 and misfit(trace, called) < 0.05


@each
@pytest.mark.parametrize("implementation", ["grouped_mm", "batched_mm"])
def test_fused_and_batched_experts_are_read_as_those_one_by_one(name, implementation, families):
    model = built(families[name])
    model.set_experts_implementation("eager")
    plain = recorded(model, tiny_text())
    try:
        model.set_experts_implementation(implementation)
    except ValueError as error:
        pytest.skip(str(error))
    trace = recorded(model, tiny_text())
    np.testing.assert_array_equal(trace.experts[0], plain.experts[0])
    np.testing.assert_allclose(trace.logits, plain.logits, rtol=1e-2, atol=1e-3)


@each
def test_a_compiled_model_is_read_as_the_one_that_was_compiled(name, families):
    model = built(families[name])
    plain = recorded(model, tiny_text())
    trace = recorded(torch.compile(model, backend="eager"), tiny_text())
    np.testing.assert_array_equal(trace.experts, plain.experts)


@each
def test_padding_is_left_out(name, families):
    model, ids = built(families[name]), tiny_text()
    mask = torch.ones_like(ids)
    mask[0, :4] = 0
    by_itself(lambda: model(input_ids=ids, attention_mask=mask))
    with record_routing(model) as trace, torch.no_grad():
        model(input_ids=ids, attention_mask=mask)
    assert trace.n_tokens == 18
    assert trace.token_ids.tolist() == [*ids[0, 4:].tolist(), *ids[1].tolist()]
    second = trace.select(tokens=trace.sequence == 1)
    np.testing.assert_array_equal(second.experts[0], recorded(model, ids[1:]).experts[0])


@pytest.mark.parametrize("name", [name for name in ("aria", "gemma4", "qwen3_5_moe") if name in READ])
def test_a_text_model_behind_eyes_is_read_as_it_is_alone(name, families):
    kind = next(kind for kind in families[name].models if kind.__name__.endswith("ForConditionalGeneration"))
    whole = tiny_model(kind)
    trace = recorded(whole, tiny_text())
    text = recorded(whole.model.language_model, tiny_text())
    assert trace.n_tokens == 22 and trace.layers == text.layers
    np.testing.assert_array_equal(trace.experts, text.experts)
    np.testing.assert_array_equal(trace.token_ids, text.token_ids)
    assert sizes_of(whole).vocab_size == VOCAB and longest_text(whole) > 0
