"""Attention with grouped heads, against the sum over the past."""

import math

import pytest
import torch
from small import LATENT, small_model, some_tokens

from moe_lessons import AttentionConfig
from moe_lessons.model import attention
from moe_lessons.model.attention import attend, go_on, stacked_products


@pytest.mark.parametrize(("new", "time"), [(6, 6), (1, 6), (3, 6)])
def test_attention_equals_the_sum_over_the_past(new, time):
    q, k, v = torch.randn(2, 4, new, 8), torch.randn(2, 2, time, 8), torch.randn(2, 2, time, 8)
    result = attend(q, k, v)
    for batch in range(2):
        for head in range(4):
            for row in range(new):
                seen = time - new + row + 1
                scores = k[batch, head // 2, :seen] @ q[batch, head, row] / math.sqrt(8)
                expected = scores.softmax(0) @ v[batch, head // 2, :seen]
                assert torch.allclose(result[batch, head, row], expected, atol=1e-6)


@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
@pytest.mark.parametrize(("new", "time"), [(1, 2), (1, 6), (2, 6), (5, 6)])
def test_going_on_behind_a_past_gives_what_attending_gives(new, time, n_kv_heads):
    q, k, v = torch.randn(3, 4, new, 8), torch.randn(3, n_kv_heads, time, 8), torch.randn(3, n_kv_heads, time, 8)
    assert torch.allclose(go_on(q, k, v), attend(q, k, v), atol=1e-6)


@pytest.mark.parametrize("changes", [{}, {"qk_norm": True}, {"joint_qk_norm": True}])
def test_one_product_for_queries_keys_and_values_changes_nothing(changes):
    model = small_model(attention=AttentionConfig(n_heads=4, n_kv_heads=2, **changes)).eval()
    x = some_tokens(model.config)
    with torch.no_grad():
        right = model(x)
        with stacked_products(model):
            assert all(block.attention.stacked is not None for block in model.blocks)
            assert torch.allclose(model(x), right, atol=1e-5)
        assert torch.equal(model(x), right)


def test_after_an_error_the_layers_are_as_before_and_take_new_weights():
    model = small_model()
    with pytest.raises(KeyError), stacked_products(model):
        raise KeyError
    layer = model.blocks[0].attention
    assert layer.stacked is None
    before = model(some_tokens(model.config))
    layer.query.weight.data *= 3
    assert not torch.allclose(model(some_tokens(model.config)), before)


def test_a_product_that_is_watched_or_replaced_or_large_stays_by_itself(monkeypatch):
    model, seen = small_model(n_layers=3), []
    first, second, third = (block.attention for block in model.blocks)
    first.key.register_forward_hook(lambda *_: seen.append(1))
    second.value = torch.nn.Sequential(second.value)
    with stacked_products(model), torch.no_grad():
        model(some_tokens(model.config))
        assert [layer.stacked is None for layer in (first, second, third)] == [True, True, False]
    assert seen == [1]
    monkeypatch.setattr(attention, "SMALL", 3 * 16 * 16 - 1)
    with stacked_products(model):
        assert third.stacked is None


def test_latent_attention_has_no_products_to_stack():
    model = small_model(attention=LATENT)
    with stacked_products(model), torch.no_grad():
        assert model(some_tokens(model.config)).isfinite().all()
