"""Attention over a window and over entries, against loops over tokens; caches against the text read at once."""

from dataclasses import replace

import pytest
import torch
from small_shared_kv import COMPRESSED, MODEL

from moe_lessons import ModelConfig, Transformer
from moe_lessons.config import TrainConfig
from moe_lessons.long_texts import CompressionConfig, SharedKVAttentionConfig
from moe_lessons.model.cache import KVCache, LatentCache, make_cache
from moe_lessons.model.compressed_cache import CompressedCache
from moe_lessons.model.compression import Compressor, ripe
from moe_lessons.model.generate import generate
from moe_lessons.model.grouped_output import GroupedOutput
from moe_lessons.model.partial_rotation import inverse, turn_last
from moe_lessons.model.pool_room import PoolRoom
from moe_lessons.model.rope import rotate, rotation
from moe_lessons.model.sinks import shares_beside_sinks
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers


def text(time: int, batch: int = 2) -> torch.Tensor:
    return torch.randint(0, 31, (batch, time), generator=torch.Generator().manual_seed(3))


def model(seed: int = 0, **changes) -> Transformer:
    """Biases of places and sinks that are not the zeros of a fresh one."""
    built = Transformer(replace(MODEL, **changes), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in built.named_parameters():
        if name.endswith(("position_bias", "sinks")):
            parameter.data = torch.randn(parameter.shape, generator=generator)
    return built


def compressor(rate: int, overlap: bool) -> Compressor:
    torch.manual_seed(0)
    built = Compressor(10, 6, rate, overlap, replace(COMPRESSED, head_dim=6), 1e-6)
    built.position_bias.data.normal_()
    return built


@pytest.mark.parametrize("overlap", [True, False])
@torch.no_grad()
def test_an_entry_is_a_weighted_mean_of_its_tokens_number_by_number(overlap):
    built, hidden, rate = compressor(3, overlap), torch.randn(1, 11, 10), 3
    pooled = built.pool(built.content(hidden), built.gate(hidden))[0]
    assert pooled.shape == (3, 6)
    content, gates, bias = built.content(hidden)[0], built.gate(hidden)[0], built.position_bias
    for entry in range(3):
        own = slice(6, 12) if overlap else slice(0, 6)
        parts = [(content[t, own], gates[t, own] + bias[t % rate, own]) for t in range(3 * entry, 3 * entry + 3)]
        if overlap and entry:
            parts += [(content[t, :6], gates[t, :6] + bias[t % rate, :6]) for t in range(3 * entry - 3, 3 * entry)]
        weights = torch.stack([gate for _, gate in parts]).exp()
        expected = (weights * torch.stack([each for each, _ in parts])).sum(0) / weights.sum(0)
        assert torch.allclose(pooled[entry], expected, atol=1e-5)


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("rate", [1, 3, 16])
@torch.no_grad()
def test_entries_of_a_text_in_pieces_are_those_of_the_text(rate, overlap):
    built, hidden = compressor(rate, overlap), torch.randn(2, 40, 10)
    room = PoolRoom(2, 40, 6, rate, overlap, None, torch.float32)
    for start, end in ((0, 1), (1, 9), (9, 10), (10, 33), (33, 40)):
        entries = built(hidden[:, start:end], room)
        assert entries.shape[1] == end // rate
        assert torch.allclose(entries, built(hidden[:, :end]), atol=1e-5)


def test_an_entry_is_seen_from_its_last_token_on():
    rows = ripe(2, 6, 4, 2, torch.device("cpu")).int().tolist()
    assert rows == [[0, 0], [1, 0], [1, 0], [1, 0], [1, 0], [1, 1]]  # of tokens 2 to 7


def test_turning_back_undoes_turning_and_leaves_the_first_numbers_alone():
    vectors, by = torch.randn(2, 3, 5, 10), rotation(torch.arange(5), 4, 100.0)
    turned = turn_last(vectors, by)
    assert torch.equal(turned[..., :6], vectors[..., :6])
    assert torch.equal(turned[..., 6:], rotate(vectors[..., 6:], by))
    assert torch.allclose(turn_last(turned, inverse(by)), vectors, atol=1e-6)


def test_a_sink_takes_the_share_of_one_more_key():
    scores, sinks = torch.randn(1, 2, 3, 4), torch.tensor([0.5, -1.0])
    shares = shares_beside_sinks(scores, sinks)
    assert torch.allclose(shares[0, 1, 2], scores[0, 1, 2].exp() / (scores[0, 1, 2].exp().sum() + sinks[1].exp()))
    assert torch.equal(shares_beside_sinks(scores, None), scores.softmax(dim=-1))


@torch.no_grad()
def test_a_grouped_output_is_a_matrix_for_each_group_and_one_for_all():
    torch.manual_seed(0)
    output = GroupedOutput(4, 3, 2, 5, 7)
    output.inner.normal_()
    mixed = torch.randn(1, 4, 6, 3)
    groups = [torch.cat([mixed[0, 2 * g, 5], mixed[0, 2 * g + 1, 5]]) for g in range(2)]
    inner = torch.cat([output.inner[g] @ groups[g] for g in range(2)])
    assert torch.allclose(output(mixed)[0, 5], output.outer.weight @ inner, atol=1e-5)


@torch.no_grad()
def test_a_window_is_all_that_is_seen_where_there_are_no_entries():
    window = replace(COMPRESSED, window=3, compression=None)
    built, tokens = model(attention=window, n_layers=1), text(12)
    changed = tokens.clone()
    changed[:, 0] = (changed[:, 0] + 1) % 31
    same = (built(tokens) - built(changed)).abs().amax(dim=(0, 2)) < 1e-6
    assert same.tolist() == 3 * [False] + 9 * [True]


@torch.no_grad()
def test_a_token_sees_nothing_of_the_future():
    built, tokens = model(), text(50)
    changed = tokens.clone()
    changed[:, 33] = (changed[:, 33] + 1) % 31
    difference = (built(tokens) - built(changed)).abs().amax(dim=(0, 2))
    assert difference[:33].max() < 1e-6 < difference[33:].min()


@pytest.mark.parametrize("top_k", [1, 3, 99])
@pytest.mark.parametrize("window", [1, 6, 99])
@torch.no_grad()
def test_a_text_read_in_pieces_is_the_text_read_at_once(top_k, window):
    sizes = COMPRESSED.compression
    compression = replace(sizes, indexer=replace(sizes.indexer, top_k=top_k))
    built = model(attention=replace(COMPRESSED, window=window, compression=compression))
    whole, cache = built(text(60)), make_cache(built.config, 2)
    assert isinstance(cache, CompressedCache)
    cuts = (0, 1, 4, 9, 20, 41, *range(42, 61))
    pieces = [built(text(60)[:, a:b], cache) for a, b in zip(cuts, cuts[1:], strict=False)]
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-5)
    cache.truncate(0)
    assert torch.allclose(built(text(60)[:, :30], cache), whole[:, :30], atol=1e-5)


def test_generation_over_several_windows_writes_what_it_writes_without_a_cache():
    written = generate(model(5), text(7), 60, temperature=0.0)
    assert torch.equal(written, generate(model(5), text(7), 60, temperature=0.0, use_cache=False))


def test_training_moves_all_but_the_indexer_and_the_routes():
    config, built = TrainConfig(steps=1), model()
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    inputs, targets = text(40), text(40).roll(-1, 1)
    training_step(built, build_optimizers(built, config), inputs, targets, config, 1.0)
    for name, tensor in built.state_dict().items():
        still = torch.equal(tensor, before[name])
        assert still == (".indexer." in name or name.endswith((".routes", "expert_bias"))), name


def test_a_configuration_survives_the_way_to_a_dictionary():
    assert ModelConfig.from_dict(MODEL.to_dict()) == MODEL


def test_what_a_cache_cannot_do_is_said_in_one_sentence():
    cache = make_cache(MODEL, 1, 16)
    built = model()
    built(text(9, 1), cache)
    with pytest.raises(ValueError, match="all or none"):
        cache.truncate(5)
    with pytest.raises(ValueError, match="room for 16 positions"):
        built(text(9, 1), cache)
    for kind in (KVCache, LatentCache):
        with pytest.raises(ValueError, match="holds"):
            kind(MODEL)
    with pytest.raises(ValueError, match="make_cache"):
        CompressedCache(ModelConfig.from_card("course-dense"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output_groups": 3}, "must divide n_heads"),
        ({"rope_head_dim": 5}, "rope_head_dim is 5"),
        ({"rope_head_dim": 14}, "at most head_dim = 12"),
        ({"rope_head_dim": 10}, "indexer.head_dim is 8"),
        ({"window": 0}, "window is 0"),
        ({"rope_theta": 0.0}, "rope_theta is 0.0"),
    ],
)
def test_an_attention_that_makes_no_sense_is_refused_in_one_sentence(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(COMPRESSED, **changes)


def test_a_compression_that_makes_no_sense_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="indexer is None"):
        CompressionConfig(layers=("sparse",))
    with pytest.raises(ValueError, match="'window', 'sparse' or 'heavy'"):
        CompressionConfig(layers=("full",))
    with pytest.raises(ValueError, match="layers is 'heavy'"):
        CompressionConfig(layers="heavy")
    with pytest.raises(ValueError, match="heavy_rate is 0"):
        CompressionConfig(layers=("heavy",), heavy_rate=0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_layers": 4}, "names 3 layers"),
        ({"mtp_depth": 1}, "mtp_depth is 1"),
        ({"output_norms": True}, "output_norms is True"),
        ({"embedding_scale": 2.0}, "embedding_scale is 2.0"),
        ({"moe": replace(MODEL.moe, n_hash_layers=4)}, "n_hash_layers is 4"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused_in_one_sentence(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(MODEL, **changes)


def test_attention_of_one_kind_is_not_taken_for_another():
    with pytest.raises(ValueError, match="one vector for both"):
        _ = ModelConfig.from_card("course-dense").shared_kv_attention
    assert isinstance(MODEL.shared_kv_attention, SharedKVAttentionConfig)
    with pytest.raises(ValueError, match="compression is None"):
        _ = replace(COMPRESSED, compression=None).with_entries
