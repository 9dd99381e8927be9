"""Any prompt is traced as the model reads it, or refused in one sentence."""

import numpy as np
import pytest
import torch

from moe_lessons import AttentionConfig, ModelConfig, MoEConfig, Transformer
from moe_lessons.text.prompts import prompts
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing import record_routing, tracer
from moe_lessons.widgets.router_view import RouterView

LONGEST = 64


def build(moe: MoEConfig | None, vocab_size: int) -> Transformer:
    return Transformer(
        ModelConfig(
            vocab_size=vocab_size,
            dim=16,
            n_layers=2,
            hidden_dim=24,
            max_length=LONGEST,
            attention=AttentionConfig(n_heads=2),
            moe=moe,
        )
    ).eval()


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
