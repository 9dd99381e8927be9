"""Any prompt is traced as the model reads it, or refused in one sentence."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import small_model

from moe_lessons import MoEConfig, Transformer
from moe_lessons.model.capacity import serve
from moe_lessons.text.prompts import prompts
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing import knock_out, observe_routing, record_routing, steer_routing, tracer
from moe_lessons.tracing.rule import Knobs
from moe_lessons.widgets.router_view import RouterView

LONGEST = 64


def build(moe: MoEConfig | None, vocab_size: int) -> Transformer:
    return small_model(vocab_size=vocab_size, max_length=LONGEST, moe=moe).eval()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


@pytest.fixture(scope="module")
def model(tokenizer) -> Transformer:
    return build(MoEConfig(n_routed_experts=5, top_k=2, hidden_dim=8), tokenizer.vocab_size)


@pytest.fixture
def ask(model, tokenizer):
    return tracer(model, tokenizer)


def test_an_answer_holds_the_texts_own_tokens_routed_behind_the_start_of_a_document(model, tokenizer, ask):
    text = "def mean(values):\n    return "
    ids = tokenizer.encode(text)
    with record_routing(model) as whole, torch.no_grad():
        model(torch.tensor([[tokenizer.document_id, *ids]]))
    trace = ask(text)
    assert trace.token_ids.tolist() == ids and "".join(trace.pieces) == text
    assert np.array_equal(trace.experts, whole.experts[:, 1:])
    assert np.array_equal(trace.logits, whole.logits[:, 1:])


def test_the_answer_for_a_beginning_is_the_beginning_of_the_answer(ask):
    short, long = ask("9 * 8"), ask("9 * 8 = 72")
    assert np.allclose(short.logits, long.logits[:, : short.n_tokens], atol=1e-5)


@pytest.mark.parametrize("text", [text for texts in prompts().values() for text in texts] + [" ", "\n", "\0", "👩‍🚀"])
def test_every_script_is_traced_to_its_last_byte(text, tokenizer, ask):
    trace = ask(text)
    assert tokenizer.decode(trace.token_ids) == text
    assert trace.weights.sum(axis=-1) == pytest.approx(1, abs=1e-5)


def test_an_empty_prompt_is_refused(ask):
    with pytest.raises(ValueError, match="the prompt is empty; type at least one character"):
        ask("")


def test_the_longest_prompt_is_read_and_one_token_more_is_refused(ask):
    assert ask("7" * (LONGEST - 1)).n_tokens == LONGEST - 1
    with pytest.raises(ValueError, match="has 64 tokens, but the model reads at most 63 .*; shorten it by 1 token$"):
        ask("7" * LONGEST)
    with pytest.raises(ValueError, match="shorten it by 10,001 tokens$"):
        ask("7" * (LONGEST + 10_000))


def test_half_a_character_is_refused(ask):
    with pytest.raises(ValueError, match="no UTF-8 form"):
        ask("a\ud83d")


def test_a_model_without_a_router_is_refused_before_any_prompt(tokenizer):
    with pytest.raises(ValueError, match="no router"):
        tracer(build(None, tokenizer.vocab_size), tokenizer)


def test_a_refused_prompt_is_a_sentence_in_the_view_and_the_picture_stays(ask):
    view = RouterView(ask("9 * 8 = "), ask=ask)
    shown = view.trace
    for text in ("", "7" * LONGEST):
        view.show(text)
        assert view.message.startswith("The prompt ") and view.trace is shown
    view.show("🙂🚀")
    assert view.message == "" and view.trace is not shown


# ---- knobs applied to the model

TEXT = "def mean(values):\n    return sum(values) / 7"


def read(model, tokenizer, text) -> tuple[np.ndarray, np.ndarray]:
    """Logits and costs of the text's tokens, from a plain forward pass."""
    ids = torch.tensor([[tokenizer.document_id, *tokenizer.encode(text)]])
    with torch.no_grad():
        logits = model(ids)[0]
    return logits[1:], torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:], reduction="none").numpy()


def test_an_answer_knows_what_each_token_cost_and_what_was_likely_next(model, tokenizer, ask):
    trace, (logits, nats) = ask(TEXT), read(model, tokenizer, TEXT)
    assert np.allclose(trace.nats, nats, atol=1e-5)
    best = logits.softmax(-1).max(-1)
    for guess, share, token in zip(trace.guesses, best.values.tolist(), best.indices.tolist(), strict=True):
        assert guess[0] == (tokenizer.pieces([token])[0], pytest.approx(share, abs=1e-5)) and len(guess) == 5


def test_unmoved_knobs_change_nothing(ask):
    applied = ask.apply(TEXT, ask(TEXT).knobs)
    assert np.array_equal(applied.before.nats, applied.after.nats)
    assert np.array_equal(applied.before.logits, applied.after.logits)


def test_another_top_k_is_what_the_model_does_with_that_setting(model, tokenizer, ask):
    trace = ask(TEXT)
    for layers in (None, [1]):
        applied = ask.apply(trace, replace(trace.knobs, top_k=3), layers)
        routers = [block.feed_forward.router for block in model.blocks][slice(None) if layers is None else slice(1, 2)]
        for router in routers:
            router.top_k = 3
        _, nats = read(model, tokenizer, TEXT)
        for router in routers:
            router.top_k = 2
        assert np.allclose(applied.after.nats, nats, atol=1e-5)
        assert [routed.experts.shape[1] for routed in applied.routed] == ([3, 3] if layers is None else [2, 3])


def test_experts_that_are_off_are_what_knocking_them_out_does(model, tokenizer, ask):
    trace = ask(TEXT)
    applied = ask.apply(trace, replace(trace.knobs, off=(1, 4)))
    with steer_routing(model, knock_out(model, [1, 4])):
        _, nats = read(model, tokenizer, TEXT)
    assert np.allclose(applied.after.nats, nats, atol=1e-5)
    assert not np.allclose(nats, trace.nats, atol=1e-3)


def test_a_capacity_drops_in_the_model_what_the_model_side_rule_drops(model, tokenizer, ask):
    trace = ask(TEXT)

    def limited(layer, routing):
        text = routing._replace(**{name: getattr(routing, name)[1:] for name in routing._fields})
        weights = torch.cat([routing.weights[:1], serve(text, 0.75, "priority").routing.weights])
        return routing._replace(weights=weights)

    applied = ask.apply(trace, replace(trace.knobs, capacity=0.75, dropping="priority"))
    with steer_routing(model, limited):
        _, nats = read(model, tokenizer, TEXT)
    assert np.allclose(applied.after.nats, nats, atol=1e-5)
    assert all(routed.dropped.any() for routed in applied.routed)


@pytest.mark.parametrize("layers", [None, [0]])
def test_the_rule_on_arrays_says_what_the_turned_model_did(model, ask, layers):
    trace = ask(TEXT)
    knobs = replace(
        trace.knobs, temperature=0.7, noise=0.8, seed=3, capacity=1.0, bias=(0.1, 0, 0, -0.2, 0), normalize=False
    )
    with observe_routing(model) as seen:
        applied = ask.apply(trace, knobs, layers)
        kept = dict(seen)
    for routed, routing in zip(applied.routed, kept.values(), strict=True):
        assert np.array_equal(routed.experts, routing.experts[1:].numpy())
        assert np.allclose(routed.weights, routing.weights[1:].numpy(), atol=1e-6)
    first = trace.routed(knobs, layers)[0]
    assert np.allclose(first.weights, applied.routed[0].weights, atol=1e-6), "the first layer reads the same as before"
    assert not np.allclose(applied.after.logits[1], trace.logits[1], atol=1e-4), "the second one does not"


def test_applying_leaves_the_model_as_it_was(model, tokenizer, ask):
    before = read(model, tokenizer, TEXT)[0]
    ask.apply(TEXT, Knobs(top_k=1, noise=1.0))
    assert torch.equal(read(model, tokenizer, TEXT)[0], before)


def test_knobs_are_not_applied_to_a_trace_of_another_model(model, tokenizer, ask):
    trace = ask(TEXT)
    other = tracer(build(MoEConfig(n_routed_experts=5, top_k=2, hidden_dim=8), tokenizer.vocab_size), tokenizer)
    with torch.no_grad():
        for block in other.model.blocks:
            block.feed_forward.router.weight.mul_(1.5)
    with pytest.raises(ValueError, match="the trace is of another model, or of this one before it was trained further"):
        other.apply(trace, trace.knobs)
    with pytest.raises(ValueError, match="the trace has the layers 1 and 1 texts, but this model"):
        ask.apply(trace.select(layers=[1]), trace.knobs)
    with pytest.raises(ValueError, match="tokens that this model cannot read"):
        ask.apply(replace(trace, token_ids=trace.token_ids - 10_000), trace.knobs)
    with pytest.raises(ValueError, match="another model"):
        ask.apply(trace.select(tokens=slice(3, None)), trace.knobs)
    with pytest.raises(ValueError, match="top_k is 6, but must be from 1 to the 5 experts"):
        ask.apply(trace, Knobs(top_k=6))
    with pytest.raises(ValueError, match="layer is 7, but this trace has the layers 0, 1"):
        ask.apply(trace, trace.knobs, [7])


def test_the_view_applies_its_knobs_and_says_what_it_cannot(ask):
    view = RouterView(ask(TEXT), ask=ask)
    assert view.can_apply
    view.off = [2]
    view.apply()
    assert (
        view.message == "" and "(knobs applied)" in repr(view) and view.applied["after"]["nats"] != view.facts["nats"]
    )
    assert all(2 not in routed.experts for routed in view.routing())
    view.top_k = 1
    assert "(knobs moved)" in repr(view)
    view._trace.logits += 1.0  # as if trained further: scores of softmax stay, what is compared does not
    view.apply()
    assert view.message.startswith("The trace is of another model") and view.applied == {}
