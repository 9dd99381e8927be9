"""Configurations refuse nonsense in one sentence, and survive a round trip."""

import json

import pytest

from moe_lessons import AttentionConfig, ModelConfig, MoEConfig, TrainConfig
from moe_lessons.config import LatentAttentionConfig
from moe_lessons.resources import data_path

SIZES = {"vocab_size": 64, "dim": 32, "n_layers": 2, "hidden_dim": 64, "max_length": 32}
LATENT = LatentAttentionConfig(n_heads=2, kv_lora_rank=8, qk_nope_head_dim=4, qk_rope_head_dim=2, v_head_dim=4)


def model(**changes) -> ModelConfig:
    return ModelConfig(**({**SIZES, "attention": AttentionConfig(n_heads=4)} | changes))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: model(dim=30), ["dim is 30", "n_heads = 4", "multiple of 4"]),
        (lambda: model(dim=0), ["dim is 0", "at least 1"]),
        (lambda: model(vocab_size=2.5), ["vocab_size is 2.5", "whole number"]),
        (lambda: AttentionConfig(n_heads=4, n_kv_heads=3), ["n_kv_heads is 3", "divisor"]),
        (lambda: AttentionConfig(n_heads=4, head_dim=7), ["head_dim is 7", "even"]),
        (lambda: AttentionConfig(n_heads=4, rope_theta=0.0), ["rope_theta is 0.0"]),
        (lambda: MoEConfig(n_routed_experts=4, top_k=5, hidden_dim=8), ["top_k is 5", "n_routed_experts = 4"]),
        (lambda: MoEConfig(n_routed_experts=0, top_k=1, hidden_dim=8), ["n_routed_experts is 0"]),
        (lambda: MoEConfig(n_routed_experts=4, top_k=0, hidden_dim=8), ["top_k is 0"]),
        (lambda: MoEConfig(n_routed_experts=4, top_k=1, hidden_dim=8, score_function="relu"), ["'relu'", "'sigmoid'"]),
        (
            lambda: model(moe=MoEConfig(n_routed_experts=4, top_k=1, hidden_dim=8, n_dense_layers=2)),
            ["n_dense_layers is 2", "n_layers = 2"],
        ),
        (lambda: TrainConfig(), ["exactly one"]),
        (lambda: TrainConfig(steps=3, seconds=3.0), ["exactly one"]),
        (lambda: TrainConfig(seconds=0.0), ["seconds is 0.0"]),
        (lambda: TrainConfig(steps=3, optimizer="sgd"), ["'sgd'", "'muon'"]),
        (lambda: TrainConfig(steps=3, warmup=2.0), ["warmup is 2.0", "between 0 and 1"]),
        (lambda: TrainConfig(steps=3, seed=-1), ["seed is -1", "0 or more"]),
        (lambda: AttentionConfig(n_heads=4).sizes, ["head_dim is None", "ModelConfig"]),
        (lambda: model().latent_attention, ["heads of keys and values"]),
        (lambda: model(attention=LATENT).grouped_attention, ["keeps latents"]),
        (lambda: model().mixture, ["is dense", "moe=MoEConfig"]),
        (lambda: ModelConfig.from_card("gpt-5"), ["'gpt-5'", "course-dense"]),
        (lambda: ModelConfig.from_dict({**SIZES, "width": 3, "attention": {"n_heads": 4}}), ["width", "it has"]),
        (lambda: ModelConfig.from_dict({**SIZES, "attention": {}}), ["needs attention.n_heads"]),
    ],
)
def test_nonsense_is_refused_with_argument_value_limit_and_remedy(build, words):
    with pytest.raises(ValueError) as error:
        build()
    sentence = str(error.value)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence


def test_a_configuration_survives_json():
    config = model(moe=MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8))
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("path", sorted(data_path("models").glob("*.toml")), ids=lambda path: path.stem)
def test_every_card_is_a_configuration(path):
    assert ModelConfig.from_card(path.stem).dim > 0


def test_head_sizes_follow_from_the_dimension():
    config = model(dim=48)
    assert (config.attention.head_dim, config.attention.n_kv_heads) == (12, 4)
    assert config.attention.sizes == (4, 4, 12)


def test_a_model_says_which_kind_of_attention_it_has_and_which_layers_are_sparse():
    moe = MoEConfig(n_routed_experts=4, top_k=1, hidden_dim=8, n_dense_layers=1)
    config = model(moe=moe, attention=LATENT)
    assert config.latent_attention is LATENT
    assert config.mixture is moe
    assert [config.moe_of(layer) for layer in range(2)] == [None, moe]
    assert [config.is_sparse(layer) for layer in range(2)] == [False, True]
    assert model().moe_of(1) is None


def test_a_run_is_as_long_as_its_steps_or_its_seconds():
    assert TrainConfig(steps=0).length == (0, "steps")
    assert TrainConfig(seconds=2.5).length == (2.5, "seconds")
