"""What our modules express of Hugging Face's configurations, and the one sentence where they do not."""

import pytest
import torch
from drawn_families import TINY, VOCAB, build, text
from small import small_config

from moe_lessons import AttentionConfig, ModelConfig, Transformer
from moe_lessons.published import from_hugging_face, to_hugging_face

transformers = pytest.importorskip("transformers")


PLAIN = {"rope_theta": 100.0}
QWEN = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 8}
YARN = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 2.0, "original_max_position_embeddings": 8}
OSS = {"num_local_experts": 2, "num_experts_per_tok": 1, "head_dim": 4}
TURNS = {"rope_type": "default", "rope_theta": 100.0}
LONG = {"full_attention": {**TURNS, "rope_type": "linear", "factor": 8.0}, "sliding_attention": TURNS}
NEAR = {"full_attention": TURNS, "sliding_attention": YARN}


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("LlamaConfig", {"mlp_bias": True}, ["mlp_bias = True", "False"]),
        ("LlamaConfig", {"hidden_act": "gelu"}, ["hidden_act = 'gelu'", "'silu'"]),
        ("MixtralConfig", {"sliding_window": 4}, ["sliding_window = 4"]),
        ("OlmoeConfig", {"clip_qkv": 8.0}, ["clip_qkv = 8.0"]),
        ("Qwen3Config", {"use_sliding_window": True}, ["use_sliding_window = True"]),
        ("LlamaConfig", {"rope_parameters": {**YARN, "rope_type": "linear"}}, ["'linear'", "'yarn'"]),
        ("LlamaConfig", {"rope_parameters": {**PLAIN, "rope_type": "linear", "factor": 2.0}}, ["'linear'", "'yarn'"]),
        ("LlamaConfig", {"rope_parameters": {**PLAIN, "rope_type": "dynamic", "factor": 2.0}}, ["'dynamic'"]),
        ("Qwen3MoeConfig", QWEN | {"num_hidden_layers": 3, "mlp_only_layers": [1]}, ["mlp_only_layers = [1]", "first"]),
        ("LlamaConfig", {"rope_parameters": {**YARN, "attention_factor": 3.0}}, ["attention_factor = 3.0"]),
        ("GptOssConfig", OSS | {"hidden_act": "gelu"}, ["hidden_act = 'gelu'", "'silu'"]),
        ("GptOssConfig", OSS | {"layer_types": ["chunked_attention"]}, ["'chunked_attention'", "'sliding_attention'"]),
        ("GptOssConfig", OSS | {"rope_parameters": {**PLAIN, "rope_type": "linear", "factor": 2.0}}, ["'linear'"]),
        ("GemmaConfig", {"head_dim": 4, "use_bidirectional_attention": True}, ["use_bidirectional_attention = True"]),
        ("Gemma2Config", {"head_dim": 4, "hidden_activation": "relu"}, ["hidden_activation = 'relu'"]),
        ("Gemma3TextConfig", {"head_dim": 4, "attn_logit_softcapping": 9.0}, ["attn_logit_softcapping = 9.0", "None"]),
        ("Gemma3TextConfig", {"head_dim": 4, "rope_parameters": LONG}, ["rope_type is 'linear'"]),
        ("Gemma3TextConfig", {"head_dim": 4, "rope_parameters": NEAR}, ["windowed layers", "'yarn'"]),
        (
            "Gemma4TextConfig",
            {"head_dim": 4, "global_head_dim": 4},
            ["'gemma4_text'", "beside a dense layer", "gpt_oss"],
        ),
        ("GPT2Config", {}, ["'gpt2'", "llama"]),
    ],
)
def test_what_our_modules_do_not_express_is_refused_in_one_sentence(kind, values, words):
    with torch.device("meta"):
        theirs = transformers.AutoModelForCausalLM.from_config(getattr(transformers, kind)(**TINY | values))
    with pytest.raises(ValueError) as error:
        from_hugging_face(theirs)
    sentence = str(error.value)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence


def test_gemma_4_is_refused_for_what_its_layers_have():
    """Each reason that the sentence gives, in a model of transformers itself; where it lacks one, we may have it."""
    values = {"hidden_size_per_layer_input": 0, "num_hidden_layers": 2, "head_dim": 4, "global_head_dim": 8}
    values |= {"layer_types": ["sliding_attention", "full_attention"], "enable_moe_block": True, "num_experts": 4}
    values |= {
        "top_k_experts": 2,
        "moe_intermediate_size": 8,
        "attention_k_eq_v": True,
        "num_global_key_value_heads": 1,
    }
    theirs = build("Gemma4TextConfig", TINY | {"vocab_size": VOCAB} | values)
    with pytest.raises(ValueError) as error:
        from_hugging_face(theirs)
    windowed, full = theirs.model.layers
    reasons = {
        "heads of another size": full.self_attn.q_norm.weight.shape != windowed.self_attn.q_norm.weight.shape,
        "keys can be their values": full.self_attn.v_proj is None,
        "turn in part": not theirs.model.rotary_emb.full_attention_inv_freq.all(),
        "values are normalized": not windowed.self_attn.v_norm.with_scale,
        "beside a dense layer": full.mlp.up_proj.weight.numel() and full.experts.down_proj.numel(),
        "router with gains": full.router.scale.shape == (theirs.config.hidden_size,),
        "a weight for each expert": full.router.per_expert_scale.shape == (4,),
        "multiplied by a number of its own": full.layer_scalar.numel() == 1,
    }
    for words, holds in reasons.items():
        assert words in str(error.value)
        assert holds, words


def test_the_first_layers_that_qwen3_names_as_dense_are_our_dense_layers():
    values = TINY | QWEN | {"num_hidden_layers": 3, "head_dim": 4, "mlp_only_layers": [0], "vocab_size": VOCAB}
    theirs = build("Qwen3MoeConfig", values)
    ours = from_hugging_face(theirs)
    assert [ours.config.is_sparse(layer) for layer in range(3)] == [False, True, True]
    assert torch.allclose(ours(text(9)), theirs(text(9)).logits, atol=1e-5)
    assert to_hugging_face(ours).config.mlp_only_layers == [0]


@pytest.mark.parametrize("kind", ["DeepseekV2Config", "DeepseekV3Config"])
def test_a_mixture_without_shared_experts_goes_there_and_back(kind):
    values = TINY | {"vocab_size": VOCAB, "num_key_value_heads": 2, "num_hidden_layers": 2}
    values |= {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "first_k_dense_replace": 1}
    values |= {"q_lora_rank": 4, "kv_lora_rank": 4, "qk_nope_head_dim": 4, "qk_rope_head_dim": 4, "v_head_dim": 4}
    values |= {"n_group": 1, "topk_group": 1, "n_shared_experts": 0}
    theirs = build(kind, values)
    ours = from_hugging_face(theirs)
    assert ours.config.mixture.n_shared_experts == 0
    assert torch.allclose(ours(text(9)), theirs(text(9)).logits, atol=1e-5)
    assert torch.allclose(to_hugging_face(ours)(text(9)).logits, theirs(text(9)).logits, atol=1e-5)


def test_a_model_without_a_head_is_refused():
    with pytest.raises(ValueError, match="has no lm_head"):
        from_hugging_face(transformers.LlamaModel(transformers.LlamaConfig(**TINY)))


def test_a_model_that_no_family_has_is_refused_with_what_is_missing():
    config = ModelConfig.from_card("course-moe")  # a bias beside softmax scores and grouped attention
    with pytest.raises(ValueError, match="closest, 'qwen3_moe', lacks moe.expert_bias = True$"):
        to_hugging_face(Transformer(config, device="meta"))
    config = small_config(attention=AttentionConfig(n_heads=2, joint_qk_norm=True))
    with pytest.raises(ValueError, match="lacks"):
        to_hugging_face(Transformer(config, device="meta"))


def test_sizes_that_transformers_refuses_are_refused_in_a_sentence():
    config = small_config(dim=10, attention=AttentionConfig(n_heads=4, head_dim=4))
    with pytest.raises(ValueError, match=r"'llama', lacks sizes like these \(.*hidden size \(10\) is not a multiple"):
        to_hugging_face(Transformer(config, device="meta"))
