"""The indexer against sums written out, and attention over what it picks against attention with a mask."""

from dataclasses import replace

import pytest
import torch
from small_latent import USUAL, model_config

from moe_lessons import ModelConfig, Transformer
from moe_lessons.config import TrainConfig
from moe_lessons.long_texts import IndexerConfig
from moe_lessons.model.cache import IndexedLatentCache, LatentCache, make_cache
from moe_lessons.model.generate import generate
from moe_lessons.model.indexed_latent_attention import IndexedLatentAttention
from moe_lessons.model.indexer import best_keys, index_scores, seen
from moe_lessons.model.latent_attention import past
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers

INDEXER = IndexerConfig(n_heads=3, head_dim=6, top_k=5)


def indexed(top_k: int = 5, **changes) -> ModelConfig:
    return model_config(replace(USUAL, indexer=replace(INDEXER, top_k=top_k)), **changes)


def text(time: int, batch: int = 2) -> torch.Tensor:
    return torch.randint(0, 31, (batch, time), generator=torch.Generator().manual_seed(3))


def test_a_score_is_a_weighted_sum_of_what_heads_agree_about():
    torch.manual_seed(0)
    queries, keys, weights = torch.randn(2, 3, 4, 6), torch.randn(2, 7, 6), torch.randn(2, 4, 3)
    scores = index_scores(queries, keys, weights)
    for batch, new, time in ((0, 0, 0), (1, 3, 6), (1, 2, 4)):
        by_hand = sum(
            weights[batch, new, head] * max(0.0, float(queries[batch, head, new] @ keys[batch, time]))
            for head in range(3)
        )
        assert scores[batch, new, time] * 18**0.5 == pytest.approx(float(by_hand), abs=1e-5)


def test_the_best_of_the_past_are_seen_and_a_tie_goes_to_the_earlier_one():
    scores = torch.tensor([[[9.0, 9, 9, 9], [1, 2, 9, 9], [0, 0, 0, 9], [1, 3, 2, 0]]])
    before = past(4, 4, scores.device)
    rows = seen(best_keys(scores, before, 2), before)[0].int().tolist()
    assert rows == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0]]


@torch.no_grad()
def test_a_short_text_is_read_as_without_an_indexer():
    chosen, plain = Transformer(indexed(top_k=12)), Transformer(model_config(USUAL))
    plain.load_state_dict({name: t for name, t in chosen.state_dict().items() if ".indexer." not in name})
    assert torch.equal(chosen(text(12)), plain(text(12)))
    assert not torch.allclose(chosen(text(13)), plain(text(13)), atol=1e-4)


@pytest.mark.parametrize("absorb", [True, False, None])
@pytest.mark.parametrize("top_k", [1, 5, 40])
@torch.no_grad()
def test_a_text_read_in_pieces_is_the_text_read_at_once(top_k, absorb):
    model = Transformer(indexed(top_k))
    for block in model.blocks:
        block.attention.absorb = absorb
    whole, cache = model(text(30)), make_cache(model.config, 2)
    assert isinstance(cache, IndexedLatentCache)
    cuts = (0, 1, 9, 10, 17, *range(18, 31))
    pieces = [model(text(30)[:, a:b], cache) for a, b in zip(cuts, cuts[1:], strict=False)]
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-5)
    cache.truncate(20)
    assert torch.allclose(model(text(30)[:, 20:25], cache), whole[:, 20:25], atol=1e-5)


def test_generation_with_a_cache_writes_what_it_writes_without():
    model = Transformer(indexed(3), seed=4)
    written = generate(model, text(7), 40, temperature=0.0)
    assert torch.equal(written, generate(model, text(7), 40, temperature=0.0, use_cache=False))


def test_training_moves_all_but_the_indexer():
    config = TrainConfig(steps=1)
    model = Transformer(indexed())
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    inputs, targets = text(20), text(20).roll(-1, 1)
    training_step(model, build_optimizers(model, config), inputs, targets, config, 1.0)
    for name, parameter in model.named_parameters():
        still = torch.equal(parameter, before[name])
        assert still == (".indexer." in name), name


def test_a_configuration_with_an_indexer_survives_the_way_to_a_dictionary():
    assert ModelConfig.from_dict(indexed().to_dict()) == indexed()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: replace(INDEXER, top_k=0), "top_k is 0"),
        (lambda: replace(USUAL, q_lora_rank=None, indexer=INDEXER), "q_lora_rank is None"),
        (lambda: replace(USUAL, indexer=replace(INDEXER, head_dim=2)), "must be at least qk_rope_head_dim = 4"),
        (lambda: IndexedLatentAttention(model_config(USUAL), 0), "indexer is None"),
        (lambda: IndexedLatentCache(model_config(USUAL)), "ask make_cache"),
        (lambda: LatentCache(indexed()), "use IndexedLatentCache"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(wrong, words):
    with pytest.raises(ValueError, match=words):
        wrong()
