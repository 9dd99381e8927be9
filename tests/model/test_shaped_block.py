"""Whole models with gates, biases, caps and norms on the way out; and plain ones, which know nothing of these."""

import pytest
import torch
from small import SPARSE, small_config, small_model, some_tokens
from torch.nn import functional as F

from moe_lessons import AttentionConfig, ModelConfig, MoEConfig, Transformer
from moe_lessons.concerns import Gate, SlidingWindow
from moe_lessons.config import TrainConfig
from moe_lessons.model.attention import Attention, stacked_products
from moe_lessons.model.block import Block
from moe_lessons.model.generate import generate
from moe_lessons.model.moe import MoE
from moe_lessons.model.transformer import next_token_loss
from moe_lessons.training.optimizers import build_optimizers

ALL = {
    "attention": AttentionConfig(
        n_heads=4,
        n_kv_heads=2,
        head_dim=6,
        window=SlidingWindow(size=5, pattern=("windowed", "full"), rope_theta=100.0),
        sinks=True,
        bias=True,
        query_scalar=9.0,
        score_cap=3.0,
    ),
    "moe": MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8, bias=True, n_shared_experts=1, n_dense_layers=1),
    "gate": Gate(sharpness=1.702, limit=7.0, shift=1.0),
    "output_norms": True,
    "embedding_scale": 4.0,
    "logit_cap": 5.0,
}


def test_a_plain_model_is_made_of_the_plain_parts():
    for model in (small_model(), small_model(moe=SPARSE)):
        assert type(model.embedding) is torch.nn.Embedding
        assert type(model.head) is torch.nn.Linear
        assert {type(block) for block in model.blocks} == {Block}
        assert {type(block.attention) for block in model.blocks} == {Attention}
    assert {type(block.feed_forward) for block in model.blocks} == {MoE}


def test_norms_on_the_way_out_are_where_the_paper_has_them():
    model = small_model(output_norms=True)
    block, hidden = model.blocks[0], torch.randn(2, 5, 16)
    for norm in (block.attention_output_norm, block.feed_forward_output_norm):
        norm.weight.data.uniform_(0.5, 1.5)
    by = model.rotation(0, 5)

    def normal(vectors, norm):
        return F.rms_norm(vectors, (16,), norm.weight, 1e-5)

    middle = hidden + normal(block.attention(normal(hidden, block.attention_norm), by), block.attention_output_norm)
    inner = block.feed_forward(normal(middle, block.feed_forward_norm))
    assert torch.allclose(block(hidden, by), middle + normal(inner, block.feed_forward_output_norm), atol=1e-5)


def test_embeddings_are_scaled_and_logits_capped():
    plain, tokens = small_model(), some_tokens(small_config())
    scaled, capped = small_model(embedding_scale=3.0), small_model(logit_cap=0.2)
    assert torch.allclose(scaled.embedding(tokens), 3 * plain.embedding(tokens))
    assert torch.allclose(capped(tokens), 0.2 * (plain(tokens) / 0.2).tanh(), atol=1e-6)


def test_a_model_with_all_of_it_is_the_same_from_the_same_seed_and_survives_a_round_trip():
    config = small_config(**ALL)
    one, other = Transformer(config, seed=3), Transformer(config, seed=3)
    for (name, first), second in zip(one.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(first, second), name
        if name.endswith(("bias", "sinks")):
            assert not first.any(), name
    assert ModelConfig.from_dict(config.to_dict()) == config
    names = {"gate", "output_norms", "embedding_scale", "logit_cap"}
    assert names < set(config.to_dict()) and not names & set(small_config().to_dict())


@torch.no_grad()
def test_a_model_with_all_of_it_writes_the_same_with_and_without_a_cache():
    model = small_model(**ALL, max_length=64).eval()
    for name, parameter in model.named_parameters():
        if name.endswith(("bias", "sinks")):
            parameter.normal_(generator=torch.Generator().manual_seed(len(name)))
    prompt = some_tokens(model.config, time=3)
    texts = [generate(model, prompt, 50, temperature=0.0, use_cache=use) for use in (True, False)]
    assert torch.equal(*texts)
    right = model(prompt)
    with stacked_products(model):
        assert torch.equal(model(prompt), right)


def test_a_model_with_all_of_it_learns():
    model = small_model(**ALL)
    tokens = some_tokens(model.config, batch=4, time=16)
    optimizers = build_optimizers(model, TrainConfig(steps=30))
    losses = []
    for _ in range(30):
        loss = next_token_loss(model(tokens[:, :-1]), tokens[:, 1:])
        loss.backward()
        losses.append(loss.item())
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    assert losses[-1] < 0.8 * losses[0]
    assert all(parameter.any() for name, parameter in model.named_parameters() if name.endswith(("bias", "sinks")))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output_norms": True, "mtp_depth": 1}, ["mtp_depth is 1", "output_norms"]),
        ({"gate": Gate(limit=3.0), "mtp_depth": 1}, ["mtp_depth is 1", "gate"]),
        ({"embedding_scale": 0.0}, ["embedding_scale is 0.0", "above 0"]),
        ({"logit_cap": -1.0}, ["logit_cap is -1.0", "above 0"]),
    ],
)
def test_what_does_not_go_together_is_refused(changes, words):
    with pytest.raises(ValueError) as error:
        small_config(**changes)
    assert all(word in str(error.value) for word in words)
    for name in ("query_scalar", "score_cap"):
        with pytest.raises(ValueError, match=f"{name} is 0, but must be above 0"):
            AttentionConfig(n_heads=2, **{name: 0})
