"""A model with few of its experts in memory: the same numbers to the bit, and nothing lost when a fetch fails."""

import os
import re
from dataclasses import replace

import pytest
import torch
from small import SPARSE, small_config, small_model, some_tokens

from moe_lessons.concerns import Gate
from moe_lessons.config import MoEConfig
from moe_lessons.model.cache import make_cache
from moe_lessons.model.experts import Experts
from moe_lessons.model.generate import generate
from moe_lessons.offload import load_offloaded, offloaded, replay, traffic
from moe_lessons.tracing import record_routing
from moe_lessons.training.checkpoint import load_checkpoint, save_checkpoint

FINE = MoEConfig(n_routed_experts=6, top_k=3, hidden_dim=8, n_shared_experts=1, expert_bias=True, n_dense_layers=1)


def whole_model(path):
    """All experts in memory, summed expert by expert; other ways of summing may differ in the last bit."""
    model = load_checkpoint(path).model.eval()
    for module in model.modules():
        if isinstance(module, Experts):
            module.strategy = "sorted"
    return model


KINDS = {
    "coarse": {"moe": SPARSE},
    "fine": {"moe": FINE, "n_layers": 3, "mtp_depth": 1},
    "by id": {"moe": replace(SPARSE, n_hash_layers=1)},
}


@pytest.fixture(params=KINDS)
def path(request, tmp_path):
    sizes = KINDS[request.param]
    return save_checkpoint(tmp_path / "small", small_model(**sizes), dtype=torch.float16)


@pytest.mark.parametrize("slots", [1, 2, 3, 4])
@torch.no_grad()
def test_reading_a_text_is_the_same_to_the_bit(path, slots):
    whole, few = whole_model(path), load_offloaded(path, slots=slots)
    tokens = some_tokens(whole.config, batch=3)
    for _ in range(2):  # once with empty slots, once with what the first pass left
        assert torch.equal(few(tokens), whole(tokens))
    assert torch.equal(few(tokens[:, :0]), whole(tokens[:, :0]))


def test_writing_with_a_cache_is_the_same_to_the_bit(path):
    whole, few = whole_model(path), load_offloaded(path, slots=3)
    tokens = some_tokens(whole.config, batch=1, time=4)
    assert torch.equal(generate(few, tokens, 20), generate(whole, tokens, 20))


@torch.no_grad()
def test_the_experts_fetched_are_those_of_the_replayed_trace(path):
    whole, few = whole_model(path), load_offloaded(path, slots=3)
    tokens, cache = some_tokens(whole.config, batch=1, time=24), make_cache(whole.config)
    with record_routing(few) as trace:
        for at in range(tokens.shape[1]):
            few(tokens[:, at : at + 1], cache)
    expected = replay(trace.experts, trace.n_experts, 3, "lru")
    layers = offloaded(few)[: len(trace.experts)]
    assert [layer.misses for layer in layers] == expected.loads.sum(axis=1).tolist()
    assert [layer.hits for layer in layers] == expected.hit.sum(axis=(1, 2)).tolist()
    for layer, holds in zip(layers, expected.holds, strict=True):
        assert set(layer.slots.holds) == set(holds[-1].tolist())


@torch.no_grad()
def test_traffic_is_counted_in_bytes_of_the_file(path):
    few = load_offloaded(path, slots=2)
    before = traffic(few)
    assert (before.hits, before.misses) == (0, 0)
    few(some_tokens(few.config))
    after = traffic(few)
    one = few.config.dim * 3 * few.config.moe.hidden_dim * 2  # float16
    assert after.misses > 0 and after.bytes_read - before.bytes_read == after.misses * one
    layers = len(offloaded(few))
    assert after.resident_bytes == layers * 2 * 2 * one  # two slots, in float32
    assert after.all_bytes == layers * few.config.moe.n_routed_experts * 2 * one


def test_no_expert_is_read_while_the_model_is_loaded(path):
    few = load_offloaded(path, slots=2)
    state = few.state_dict()
    assert not any(".experts." in name for name in state)
    read = sum(
        tensor.numel() * (2 if tensor.is_floating_point() else tensor.itemsize)
        for name, tensor in state.items()
        if name != "head.weight" or not few.config.tie_embeddings
    )
    assert traffic(few).bytes_read == read


@torch.no_grad()
def test_nothing_is_lost_when_the_file_is_cut_off_in_the_middle_of_a_text(path):
    whole, few = whole_model(path), load_offloaded(path, slots=3)
    tokens, content = some_tokens(whole.config, batch=1, time=24), path.read_bytes()
    cache, rows, failures = make_cache(few.config), [], 0
    for at in range(24):
        if at == 4:
            os.truncate(path, 100)
        try:
            rows.append(few(tokens[:, at : at + 1], cache))
        except OSError as error:
            failures += 1
            assert re.match(r"expert \d of layer \d could not be read from .*small.safetensors", str(error))
            assert cache.length == at  # the token was not read, those before it are
            path.write_bytes(content)
            offloaded(few)[0].file.reopen()
            rows.append(few(tokens[:, at : at + 1], cache))
    assert failures == 1
    fresh, again = make_cache(whole.config), []
    for at in range(24):
        again.append(whole(tokens[:, at : at + 1], fresh))
    assert torch.equal(torch.cat(rows), torch.cat(again))


@torch.no_grad()
def test_without_its_file_the_model_reads_on_with_what_is_resident(path):
    few = load_offloaded(path, slots=few_experts(path))
    tokens = some_tokens(few.config)
    before = few(tokens)
    os.truncate(path, 10)
    assert torch.equal(few(tokens), before)


def few_experts(path) -> int:
    """As many slots as there are experts: after one text nothing more has to be fetched for the same text."""
    return load_checkpoint(path).model.config.moe.n_routed_experts


def test_what_cannot_be_loaded_is_refused_in_one_sentence(tmp_path):
    dense = save_checkpoint(tmp_path / "dense", small_model())
    with pytest.raises(ValueError, match="dense.safetensors holds a dense model"):
        load_offloaded(dense, slots=2)
    path = save_checkpoint(tmp_path / "small", small_model(moe=SPARSE))
    for slots in (0, 5):
        with pytest.raises(ValueError, match=f"slots is {slots}, but must be from 1 to the 4 experts"):
            load_offloaded(path, slots=slots)
    with pytest.raises(ValueError, match="has all of its experts in memory"):
        traffic(small_model(moe=SPARSE))
    with pytest.raises(FileNotFoundError, match="there is no checkpoint at"):
        load_offloaded(tmp_path / "none.safetensors", slots=2)
    lacking = small_model(moe=SPARSE)
    lacking.config = small_config(moe=SPARSE, n_layers=3)
    with pytest.raises(ValueError, match="lacks the tensor blocks.2"):
        load_offloaded(save_checkpoint(tmp_path / "lacking", lacking), slots=2)


@pytest.mark.parametrize("moe", [SPARSE, replace(SPARSE, n_hash_layers=2)], ids=["chosen", "by id"])
def test_experts_with_a_gate_of_their_own_are_refused_whoever_sends_tokens_to_them(tmp_path, moe):
    path = save_checkpoint(tmp_path / "gated", small_model(moe=moe, gate=Gate(activation="gelu")))
    with pytest.raises(ValueError, match="biases or another gate; only plain ones can be left in the file"):
        load_offloaded(path, slots=2)
