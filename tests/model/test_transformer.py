"""The model as a whole: its promises, and its logits against Hugging Face's."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import small_config, some_tokens
from torch.nn import functional as F

from moe_lessons import AttentionConfig, ModelConfig, MoEConfig, Transformer
from moe_lessons.model.cache import KVCache
from moe_lessons.model.generate import generate
from moe_lessons.tracing.attention import record_attention


def small(**changes) -> ModelConfig:
    sizes = {"vocab_size": 61, "dim": 24, "hidden_dim": 40, "max_length": 64}
    attention = AttentionConfig(n_heads=4, n_kv_heads=2, qk_norm=True)
    return small_config(**(sizes | {"attention": attention} | changes))


def sparse(**changes) -> ModelConfig:
    return small(moe=MoEConfig(n_routed_experts=5, top_k=2, hidden_dim=16, n_shared_experts=1), **changes)


@settings(max_examples=12, deadline=None)
@given(
    groups=st.sampled_from([(4, 4), (4, 2), (6, 1), (1, 1)]),
    tied=st.booleans(),
    theta=st.sampled_from([10_000.0, 500_000.0]),
    time=st.sampled_from([1, 2, 33, 700]),
    seed=st.integers(0, 10_000),
)
def test_logits_equal_hugging_faces_llama(groups, tied, theta, time, seed):
    from transformers import LlamaConfig, LlamaForCausalLM

    from moe_lessons.published import from_hugging_face

    torch.manual_seed(seed)
    theirs = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=61,
            hidden_size=24,
            intermediate_size=40,
            num_hidden_layers=3,
            num_attention_heads=groups[0],
            num_key_value_heads=groups[1],
            max_position_embeddings=1024,
            rope_parameters={"rope_theta": theta, "rope_type": "default"},
            tie_word_embeddings=tied,
            initializer_range=0.1,
        )
    ).eval()
    ours = from_hugging_face(theirs)
    x = torch.randint(0, 61, (2, time))
    with torch.no_grad():
        assert (ours(x) - theirs(x).logits).abs().max() < 1e-5


@pytest.mark.parametrize("config", [small(), sparse(), small(tie_embeddings=False)], ids=["dense", "sparse", "untied"])
class TestTransformer:
    def test_an_untouched_prefix_keeps_its_logits(self, config):
        model = Transformer(config)
        x = some_tokens(config)
        y = x.clone()
        y[:, 9:] = (y[:, 9:] + 1) % config.vocab_size
        assert torch.allclose(model(x)[:, :9], model(y)[:, :9], atol=1e-6)
        assert not torch.allclose(model(x)[:, 9:], model(y)[:, 9:], atol=1e-3)

    def test_permuting_the_batch_permutes_the_result(self, config):
        model, x = Transformer(config), some_tokens(config, batch=5)
        order = torch.tensor([3, 1, 4, 0, 2])
        assert torch.allclose(model(x)[order], model(x[order]), atol=1e-6)

    def test_reading_in_pieces_through_the_cache_changes_nothing(self, config):
        model, x = Transformer(config), some_tokens(config)
        cache = KVCache(config, batch_size=2)
        pieces = [model(x[:, a:b], cache) for a, b in ((0, 5), (5, 6), (6, 12), (12, 17))]
        assert torch.allclose(torch.cat(pieces, dim=1), model(x), atol=1e-5)

    def test_generation_with_and_without_cache_gives_the_same_tokens(self, config):
        model, x = Transformer(config), some_tokens(config, time=6)
        for temperature in (0.0, 1.0):
            arguments = {"temperature": temperature, "top_p": 0.9, "seed": 3}
            cached = generate(model, x, 30, **arguments)
            assert torch.equal(cached, generate(model, x, 30, use_cache=False, **arguments))
            assert torch.equal(cached[:, :6], x)

    def test_the_same_seed_gives_the_same_weights(self, config):
        first, again, other = Transformer(config, seed=1), Transformer(config, seed=1), Transformer(config, seed=2)
        x = some_tokens(config)
        assert torch.equal(first(x), again(x))
        assert not torch.equal(first(x), other(x))

    def test_a_text_beyond_the_context_is_refused(self, config):
        model = Transformer(config)
        with pytest.raises(ValueError, match="max_length = 64"):
            model(some_tokens(config, time=65))
        with pytest.raises(ValueError, match="max_length = 64"):
            generate(model, some_tokens(config, time=60), 5)

    def test_the_meta_device_allocates_nothing(self, config):
        assert all(p.is_meta for p in Transformer(config, device="meta").parameters())


def test_recorded_attention_is_what_the_layer_mixes_values_with():
    model = Transformer(small())
    x = some_tokens(model.config)
    captured = []
    handle = model.blocks[1].attention.register_forward_hook(
        lambda module, inputs, output: captured.append((inputs, output))
    )
    with record_attention(model) as trace:
        model(x)
    handle.remove()
    (inputs, output), layer = captured[0], model.blocks[1].attention
    values = layer.project(*inputs[:2]).values.repeat_interleave(2, dim=1)
    mixed = torch.from_numpy(trace.layers[1]) @ values
    assert torch.allclose(layer.output(mixed.transpose(1, 2).flatten(2)), output, atol=1e-5)
    assert trace.weights.shape == (2, 4, 12, 12)


def test_a_first_loss_is_that_of_a_uniform_guess():
    config = small(vocab_size=512)
    x = some_tokens(config, batch=8, time=64)
    loss = F.cross_entropy(Transformer(config)(x)[:, :-1].flatten(0, 1), x[:, 1:].flatten())
    assert abs(loss.item() - math.log(512)) < 0.3


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="prompt is empty"):
        generate(Transformer(small()), torch.zeros(1, 0, dtype=torch.long), 3)


def test_a_full_cache_is_refused():
    config = small()
    with pytest.raises(ValueError, match="room for 4 positions"):
        Transformer(config)(some_tokens(config, time=5), KVCache(config, 2, max_length=4))


def test_a_model_without_weights_does_not_load_torchs_compiler():
    program = (
        "import sys\n"
        "from moe_lessons import ModelConfig, Transformer\n"
        "Transformer(ModelConfig.from_card('course-moe'), device='meta')\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
