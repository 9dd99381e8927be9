"""Hugging Face's models with attention to long texts: what is refused, in one sentence, and what they write."""

from dataclasses import replace

import pytest
import torch
from drawn_families import VOCAB, build, text
from small_latent import USUAL, model_config
from small_shared_kv import COMPRESSED, MODEL

from moe_lessons import Transformer
from moe_lessons.long_texts import IndexerConfig
from moe_lessons.model.generate import generate
from moe_lessons.published import from_hugging_face, to_hugging_face
from moe_lessons.published.configurations import config_from_hugging_face, config_to_hugging_face

transformers = pytest.importorskip("transformers")

TWO = {"num_hidden_layers": 2, "layer_types": ["compressed_sparse_attention", "heavily_compressed_attention"]}
YARN = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 8, "attention_factor": 3.0}
TURNS = {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.5}


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("DeepseekV32Config", {"mlp_layer_types": ["sparse", "dense"], "num_hidden_layers": 2}, ["[1]", "at first"]),
        ("DeepseekV32Config", {"attention_bias": True}, ["attention_bias = True"]),
        ("DeepseekV4Config", TWO | {"mlp_layer_types": ["moe", "hash_moe"]}, ["hash_moe in layers [1]", "at first"]),
        ("DeepseekV4Config", TWO | {"mlp_bias": True}, ["mlp_bias = True"]),
        ("DeepseekV4Config", TWO | {"n_shared_experts": 2}, ["n_shared_experts = 2"]),
        ("DeepseekV4Config", TWO | {"scoring_func": "relu"}, ["'relu'", "sqrtsoftplus"]),
        ("DeepseekV4Config", TWO | {"norm_topk_prob": False}, ["norm_topk_prob = False"]),
        ("DeepseekV4Config", TWO | {"rope_parameters": YARN}, ["attention_factor = 3.0"]),
        ("DeepseekV4Config", TWO | {"rope_parameters": {"main": TURNS, "compress": TURNS}}, ["0.5 of a head"]),
    ],
)
def test_what_our_modules_do_not_express_is_refused_in_one_sentence(kind, values, words):
    with pytest.raises(ValueError) as error:
        config_from_hugging_face(getattr(transformers, kind)(**values))
    assert all(word in str(error.value) for word in words), str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (replace(MODEL, attention=replace(COMPRESSED, compression=None)), "no model with attention like"),
        (replace(MODEL, attention=replace(COMPRESSED, sinks=False)), "attention.sinks = False"),
        (replace(MODEL, hyper_connections=None), "hyper_connections"),
        (replace(MODEL, moe=replace(MODEL.moe, score_function="softmax")), "score_function is 'softmax'"),
        (replace(MODEL, moe=None), "dense"),
        (model_config(replace(USUAL, indexer=IndexerConfig(n_heads=2, head_dim=8, top_k=3)), norm_eps=0.5), ""),
    ],
    ids=["no entries", "no sinks", "one stream", "softmax", "dense", "dense with an indexer"],
)
def test_what_hugging_face_has_no_model_for_is_refused_or_right(config, words):
    if not words:  # theirs has dense layers, too
        assert config_to_hugging_face(config).model_type == "deepseek_v32"
        return
    with pytest.raises(ValueError, match=words):
        config_to_hugging_face(config)


def test_a_batch_with_padding_is_refused():
    model = Transformer(MODEL)
    with pytest.raises(TypeError, match="attention_mask"):
        model(text(5) % 31, attention_mask=torch.ones(2, 5))


@torch.no_grad()
def test_a_model_of_ours_is_loaded_by_auto_model_and_writes_the_same_far_beyond_its_windows(tmp_path):
    ours = Transformer(MODEL, seed=3).eval()
    for name, tensor in ours.state_dict().items():
        if name.endswith(("expert_bias", "sinks", "position_bias")):
            tensor.normal_(std=0.3)
    to_hugging_face(ours, tmp_path / "model")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model", trust_remote_code=False).eval()
    tokens = text(70) % 31
    assert (theirs(tokens).logits - ours(tokens)).abs().max() < 1e-5
    written = theirs.generate(tokens[:1, :5], max_new_tokens=60, do_sample=False)
    assert torch.equal(written, generate(ours, tokens[:1, :5], 60, temperature=0.0))


@torch.no_grad()
def test_half_precision_works_with_norms_in_float32():
    sizes = {"vocab_size": VOCAB, "hidden_size": 16, "num_attention_heads": 2, "o_groups": 1, "head_dim": 16}
    sizes |= {"o_lora_rank": 4, "q_lora_rank": 8, "index_n_heads": 16, "index_head_dim": 16, "index_topk": 3}
    sizes |= {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "partial_rotary_factor": 0.5}
    theirs = build("DeepseekV4Config", sizes | TWO)
    exact = theirs(text(20)).logits
    theirs = theirs.to(torch.bfloat16)
    for name, parameter in theirs.named_parameters():
        if name.endswith(("norm.weight", "sinks", "position_bias", ".scale", ".base", ".fn")):
            parameter.data = parameter.data.float()
    ours = from_hugging_face(theirs)
    assert ours(text(20)).dtype == torch.bfloat16
    assert (ours(text(20)).float() - exact).abs().mean() < 0.1 * exact.std()
