"""Caches of keys and values and of latents: what they hold, refuse and forget."""

import pytest
import torch
from small_latent import USUAL, model_config

from moe_lessons import AttentionConfig, Transformer
from moe_lessons.model.cache import KVCache, LatentCache, make_cache


def test_the_cache_holds_one_latent_and_one_turned_key_for_each_token_and_layer():
    config = model_config(USUAL)
    cache = make_cache(config, batch_size=3, max_length=20)
    assert isinstance(cache, LatentCache)
    assert cache.bytes == 4 * 3 * 20 * config.n_layers * (16 + 4)
    ordinary = make_cache(model_config(AttentionConfig(n_heads=4, n_kv_heads=2)), batch_size=3, max_length=20)
    assert isinstance(ordinary, KVCache)
    assert ordinary.bytes == 4 * 3 * 20 * config.n_layers * 2 * 2 * 6


def test_a_cache_of_the_wrong_kind_is_refused():
    with pytest.raises(ValueError, match="use LatentCache"):
        KVCache(model_config(USUAL))
    with pytest.raises(ValueError, match="use KVCache"):
        LatentCache(model_config(AttentionConfig(n_heads=4)))


@pytest.mark.parametrize("attention", [USUAL, AttentionConfig(n_heads=4, n_kv_heads=2)], ids=["latent", "grouped"])
def test_a_shortened_cache_is_one_that_never_read_the_rest(attention):
    config = model_config(attention)
    model, x = Transformer(config), torch.randint(0, 31, (1, 12), generator=torch.Generator().manual_seed(0))
    cache = make_cache(config)
    model(x, cache)
    cache.truncate(7)
    other = (x[:, 7:] + 1) % 31
    expected = model(torch.cat([x[:, :7], other], dim=1))[:, 7:]
    assert (model(other, cache) - expected).abs().max() < 1e-5
    for wrong in (-1, 13):
        with pytest.raises(ValueError, match="holds 12 positions"):
            cache.truncate(wrong)


@pytest.mark.parametrize("attention", [USUAL, AttentionConfig(n_heads=4, n_kv_heads=2)], ids=["latent", "grouped"])
def test_a_cache_turns_its_next_positions_as_the_model_does_to_the_bit(attention):
    config = model_config(attention)
    model, cache = Transformer(config), make_cache(config, max_length=20)
    for new in (7, 1, 3):
        for mine, right in zip(cache.rotation(new), model.rotation(cache.length, cache.length + new), strict=True):
            assert torch.equal(mine, right)
        cache.advance(new)
    cache.truncate(4)
    assert torch.equal(cache.rotation(2).sin, model.rotation(4, 6).sin)
    with pytest.raises(ValueError, match="room for 20 positions, but 21"):
        cache.rotation(17)
