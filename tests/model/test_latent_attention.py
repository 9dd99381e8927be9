"""Latent attention: both ways of computing it, the paper's equations written out, and Hugging Face's modules."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_latent import USUAL, model_config
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from moe_lessons import AttentionConfig, LatentAttentionConfig, ModelConfig, MoEConfig, RopeScaling, Transformer
from moe_lessons.accounting.flops import absorbed_over_unpacked
from moe_lessons.model.cache import LatentCache, make_cache
from moe_lessons.model.generate import generate
from moe_lessons.model.latent_attention import LatentAttention
from moe_lessons.model.rope_scaling import position_rotation
from moe_lessons.tracing.attention import record_attention

scalings = st.none() | st.builds(
    RopeScaling,
    factor=st.sampled_from([1.0, 4.0, 40.0]),
    original_length=st.sampled_from([16, 64, 4096]),
    fast=st.sampled_from([8.0, 32.0]),
    mscale=st.sampled_from([0.707, 1.0]),
    mscale_all_dim=st.sampled_from([0.707, 1.0]),
)
latents = st.builds(
    LatentAttentionConfig,
    n_heads=st.integers(1, 4),
    q_lora_rank=st.none() | st.integers(1, 12),
    kv_lora_rank=st.integers(1, 20),
    qk_nope_head_dim=st.integers(1, 9),
    qk_rope_head_dim=st.sampled_from([2, 4, 8]),
    v_head_dim=st.integers(1, 11),
    rope_theta=st.sampled_from([100.0, 10_000.0]),
    rope_scaling=scalings,
)


def layer(attention: LatentAttentionConfig, seed: int = 0, absorb: bool | None = None) -> LatentAttention:
    built = LatentAttention(model_config(attention), 0, absorb)
    generator = torch.Generator().manual_seed(seed)
    for parameter in built.parameters():
        scale = 1.0 if parameter.ndim == 1 else parameter.shape[1] ** -0.5
        parameter.data = scale * torch.randn(parameter.shape, generator=generator)
    return built


def inputs(time: int, batch: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, time, 24, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40)
@given(latents, st.integers(1, 9), st.integers(0, 1000))
def test_attention_equals_the_papers_equations_written_out(sizes, time, seed):
    attention, hidden = layer(sizes, seed), inputs(time, seed=seed)
    by = position_rotation(torch.arange(time), sizes)
    result = attention(hidden, by)
    weights = {name: tensor.double() for name, tensor in attention.state_dict().items()}

    def normed(vector, gain):
        return vector / (vector.square().mean() + 1e-6).sqrt() * gain

    def turned(vector, position):
        half = len(vector) // 2
        cos, sin = by.cos[position, :half].double(), by.sin[position, :half].double()
        first, second = vector[:half], vector[half:]
        return torch.cat([first * cos - second * sin, second * cos + first * sin])

    nope, rope, value = sizes.qk_nope_head_dim, sizes.qk_rope_head_dim, sizes.v_head_dim
    scaling = sizes.rope_scaling
    raised = 1.0 if scaling is None else (0.1 * scaling.mscale_all_dim * math.log(scaling.factor) + 1) ** 2
    for batch in range(2):
        x = hidden[batch].double()
        c = [normed(weights["compress.weight"] @ x[t], weights["latent_norm.weight"]) for t in range(time)]
        k_rope = [turned(weights["rope_key.weight"] @ x[t], t) for t in range(time)]
        for t in range(time):
            read = x[t]
            if sizes.q_lora_rank is not None:
                read = normed(weights["compress_query.weight"] @ read, weights["query_latent_norm.weight"])
            query, heads = weights["query.weight"] @ read, []
            for h in range(sizes.n_heads):
                own = query[h * (nope + rope) : (h + 1) * (nope + rope)]
                key = weights["key.weight"][h * nope : (h + 1) * nope]
                scores = [own[:nope] @ (key @ c[s]) + turned(own[nope:], t) @ k_rope[s] for s in range(t + 1)]
                shares = (torch.stack(scores) * raised / math.sqrt(nope + rope)).softmax(0)
                matrix = weights["value.weight"][h * value : (h + 1) * value]
                heads.append(sum(share * (matrix @ c[s]) for s, share in enumerate(shares)))
            expected = weights["output.weight"] @ torch.cat(heads)
            assert torch.allclose(result[batch, t].double(), expected, atol=1e-5)


@settings(max_examples=60)
@given(latents, st.integers(1, 12), st.integers(0, 12), st.integers(0, 1000))
def test_absorbed_and_unpacked_are_the_same_numbers(sizes, new, past, seed):
    attention, hidden = layer(sizes, seed), inputs(past + new, seed=seed)
    by = position_rotation(torch.arange(past + new), sizes)
    kept = attention.latents(hidden, by)
    queries = attention.queries(hidden[:, past:], type(by)(*(part[past:] for part in by)))
    absorbed, unpacked = attention.absorbed(queries, kept), attention.unpacked(queries, kept)
    with sdpa_kernel(SDPBackend.MATH):  # without the zeros that the fused kernel wants
        assert (unpacked - attention.unpacked(queries, kept)).abs().max() < 1e-5
    assert absorbed.shape == unpacked.shape == (2, sizes.n_heads, new, sizes.v_head_dim)
    assert (absorbed - unpacked).abs().max() < 1e-5


@settings(max_examples=30)
@given(latents, st.integers(1, 30), st.integers(1, 60))
def test_the_way_is_chosen_that_needs_fewer_products(sizes, new, time):
    # torch multiplies by a matrix of one row or column without calling it a product.
    assume(new <= time and min(sizes.kv_lora_rank, sizes.qk_nope_head_dim, sizes.v_head_dim) > 1)
    attention = layer(sizes)
    by = position_rotation(torch.arange(time), sizes)
    kept = attention.latents(inputs(time), by)
    queries = attention.queries(inputs(new), type(by)(*(part[time - new :] for part in by)))
    flops = []
    for way in (attention.absorbed, attention.unpacked):
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            way(queries, kept)
        flops.append(counter.get_total_flops())
    assert attention.absorbing_is_cheaper(new, time) == (flops[0] < flops[1])
    assert absorbed_over_unpacked(sizes, new, time) == pytest.approx(flops[0] / flops[1])


def test_at_published_sizes_a_short_continuation_is_absorbed_and_a_prompt_is_unpacked():
    config = ModelConfig.from_card("deepseek-v3")
    with torch.device("meta"):
        attention = LatentAttention(config, 0)
    assert attention.absorbing_is_cheaper(1, 2048)
    assert attention.absorbing_is_cheaper(100, 2048)
    assert not attention.absorbing_is_cheaper(2048, 2048)


@pytest.mark.parametrize("absorb", [None, True, False])
def test_reading_in_pieces_through_the_cache_changes_nothing(absorb):
    moe = MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8, n_dense_layers=1)
    config = model_config(USUAL, moe=moe)
    model, x = Transformer(config), torch.randint(0, 31, (2, 17), generator=torch.Generator().manual_seed(0))
    whole = model(x)
    for block in model.blocks:
        block.attention.absorb = absorb
    cache = make_cache(config, batch_size=2)
    pieces = [model(x[:, a:b], cache) for a, b in ((0, 5), (5, 6), (6, 12), (12, 17))]
    assert (torch.cat(pieces, dim=1) - whole).abs().max() < 1e-5
    assert (model(x) - whole).abs().max() < 1e-5


def test_generation_unpacks_the_prompt_and_then_never_again():
    model = Transformer(model_config(USUAL))
    x = torch.randint(0, 31, (2, 40), generator=torch.Generator().manual_seed(0))
    unpacked = []
    model.blocks[0].attention.key.register_forward_hook(lambda *_: unpacked.append(1))
    cached = generate(model, x, 8, temperature=0.0)
    assert len(unpacked) == 1
    assert torch.equal(cached, generate(model, x, 8, temperature=0.0, use_cache=False))


@pytest.mark.parametrize("scaling", [None, RopeScaling(factor=8.0, original_length=16, mscale_all_dim=1.0)])
def test_recorded_attention_is_what_the_layer_mixes_values_with(scaling):
    model = Transformer(model_config(replace(USUAL, rope_scaling=scaling)))
    x = torch.randint(0, 31, (2, 17), generator=torch.Generator().manual_seed(0))
    captured = []
    attention = model.blocks[1].attention
    attention.register_forward_hook(lambda module, inputs, output: captured.append((inputs, output)))
    with record_attention(model) as trace:
        model(x)
    (hidden, by, _), output = captured[0]
    values = attention.unpack(attention.latents(hidden, by)).values
    mixed = torch.from_numpy(trace.layers[1]) @ values
    assert torch.allclose(attention.output(mixed.transpose(1, 2).flatten(2)), output, atol=1e-5)


def test_a_model_with_latent_attention_learns_from_every_one_of_its_matrices():
    model = Transformer(model_config(USUAL))
    model(torch.randint(0, 31, (2, 9), generator=torch.Generator().manual_seed(0))).logsumexp(-1).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@settings(max_examples=25)
@given(
    version=st.sampled_from(["v2", "v3"]),
    sizes=latents,
    pieces=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
def test_attention_equals_hugging_faces_with_and_without_cache(version, sizes, pieces, seed):
    # Their second version reads pairs of numbers as complex ones, which wants the numbers before them to be even.
    even = {name: 2 * getattr(sizes, name) for name in ("qk_nope_head_dim", "kv_lora_rank")}
    sizes = replace(sizes, **even)
    theirs, rotary, cache = hugging_face_attention(version, sizes)
    ours = layer(sizes, seed)
    give_weights(ours, theirs, sizes)
    config, time = model_config(sizes), sum(pieces)
    hidden = inputs(time, seed=seed)
    own_cache, start, results, expected = LatentCache(config, batch_size=2), 0, [], []
    for new in pieces:
        part, positions = hidden[:, start : start + new], torch.arange(start, start + new)
        results.append(ours(part, position_rotation(positions, sizes), own_cache))
        own_cache.advance(new)
        visible = torch.ones(new, start + new, dtype=torch.bool).tril(start)
        mask = torch.zeros(visible.shape).masked_fill(~visible, float("-inf"))[None, None]
        with torch.no_grad():
            by = rotary(part, positions[None])
            expected.append(theirs(part, position_embeddings=by, attention_mask=mask, past_key_values=cache)[0])
        start += new
    whole = torch.cat(expected, dim=1)
    assert (torch.cat(results, dim=1) - whole).abs().max() < 1e-5
    assert (ours(hidden, position_rotation(torch.arange(time), sizes)) - whole).abs().max() < 1e-5


def hugging_face_attention(version: str, sizes: LatentAttentionConfig):
    """An attention layer of transformers, its rotary embedding and an empty cache."""
    from transformers import DeepseekV2Config, DeepseekV3Config, DynamicCache
    from transformers.models.deepseek_v2 import modeling_deepseek_v2 as v2
    from transformers.models.deepseek_v3 import modeling_deepseek_v3 as v3

    rope = {"rope_theta": sizes.rope_theta, "rope_type": "default"}
    if (scaling := sizes.rope_scaling) is not None:
        rope |= {
            "rope_type": "yarn",
            "factor": scaling.factor,
            "original_max_position_embeddings": scaling.original_length,
            "beta_fast": scaling.fast,
            "beta_slow": scaling.slow,
            "mscale": scaling.mscale,
            "mscale_all_dim": scaling.mscale_all_dim,
        }
    names = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
    values = {name: getattr(sizes, name) for name in names} | {
        "hidden_size": 24,
        "num_attention_heads": sizes.n_heads,
        "num_key_value_heads": sizes.n_heads,
        "max_position_embeddings": 8192,
        "rope_parameters": rope,
        "attn_implementation": "eager",
    }
    if version == "v2":
        config = DeepseekV2Config(**values)
        return v2.DeepseekV2Attention(config, 0).eval(), v2.DeepseekV2RotaryEmbedding(config), DynamicCache()
    config = DeepseekV3Config(**values)
    return v3.DeepseekV3Attention(config, 0).eval(), v3.DeepseekV3RotaryEmbedding(config), DynamicCache()


@torch.no_grad()
def give_weights(ours: LatentAttention, theirs: torch.nn.Module, sizes: LatentAttentionConfig) -> None:
    """Our weights in their layout: key and value rows head by head, turned pairs as neighbors."""
    nope, rope, value = sizes.qk_nope_head_dim, sizes.qk_rope_head_dim, sizes.v_head_dim
    woven = [index for pair in range(rope // 2) for index in (pair, pair + rope // 2)]
    query = ours.query.weight.clone()
    for head in range(sizes.n_heads):
        end = (head + 1) * (nope + rope)
        query[end - rope : end] = ours.query.weight[end - rope : end][woven]
    if sizes.q_lora_rank is None:
        theirs.q_proj.weight.copy_(query)
    else:
        theirs.q_a_proj.weight.copy_(ours.compress_query.weight)
        theirs.q_a_layernorm.weight.copy_(ours.query_latent_norm.weight)
        theirs.q_b_proj.weight.copy_(query)
    theirs.kv_a_proj_with_mqa.weight.copy_(torch.cat([ours.compress.weight, ours.rope_key.weight[woven]]))
    theirs.kv_a_layernorm.weight.copy_(ours.latent_norm.weight)
    rows = []
    for head in range(sizes.n_heads):
        rows += [ours.key.weight[head * nope : (head + 1) * nope], ours.value.weight[head * value : (head + 1) * value]]
    theirs.kv_b_proj.weight.copy_(torch.cat(rows))
    theirs.o_proj.weight.copy_(ours.output.weight)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: replace(USUAL, qk_rope_head_dim=3), ["qk_rope_head_dim is 3", "even"]),
        (lambda: replace(USUAL, kv_lora_rank=0), ["kv_lora_rank is 0", "at least 1"]),
        (lambda: replace(USUAL, q_lora_rank=0), ["q_lora_rank is 0"]),
        (lambda: RopeScaling(factor=0.5, original_length=8), ["factor is 0.5", "1 or more"]),
        (lambda: RopeScaling(factor=2.0, original_length=8, slow=40.0), ["slow is 40.0", "fast is 32.0"]),
        (lambda: RopeScaling(factor=2.0, original_length=8, ramp="linear"), ["'linear'", "'turns'"]),
        (lambda: AttentionConfig(n_heads=2, qk_norm=True, joint_qk_norm=True), ["choose one"]),
        (
            lambda: ModelConfig.from_dict(model_config(USUAL).to_dict() | {"attention": {"kv_lora_rank": 4}}),
            ["LatentAttentionConfig needs attention.n_heads"],
        ),
    ],
)
def test_nonsense_is_refused_in_one_sentence(build, words):
    with pytest.raises(ValueError) as error:
        build()
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_configuration_with_latent_attention_survives_its_dictionary():
    scaling = RopeScaling(factor=40.0, original_length=4096, mscale_all_dim=1.0)
    config = model_config(replace(USUAL, rope_scaling=scaling), mtp_depth=2)
    assert ModelConfig.from_dict(config.to_dict()) == config
