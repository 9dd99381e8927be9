"""Hugging Face's models of drawn sizes, small and odd, family by family; skips where transformers is missing."""

import pytest
import torch
from hypothesis import strategies as st

transformers = pytest.importorskip("transformers")
VOCAB = 61


@st.composite
def rotations(draw, kinds=("default", "yarn", "llama3")) -> dict:
    """Rotary positions, plain or scaled for longer texts."""
    kind = draw(st.sampled_from(kinds))
    values = {"rope_type": kind, "rope_theta": draw(st.sampled_from([100.0, 10_000.0, 500_000.0]))}
    if kind == "default":
        return values
    values |= {"factor": draw(st.sampled_from([2.0, 40.0])), "original_max_position_embeddings": 16}
    if kind == "llama3":
        return values | {"low_freq_factor": 1.0, "high_freq_factor": draw(st.sampled_from([2.0, 4.0]))}
    values |= {"beta_fast": draw(st.sampled_from([1.0, 32.0])), "beta_slow": 1.0}
    if draw(st.booleans()):
        values |= {"mscale": 0.707, "mscale_all_dim": draw(st.sampled_from([0.707, 1.0]))}
    return values


@st.composite
def common(draw) -> dict:
    """Sizes that every family has."""
    return {
        "vocab_size": VOCAB,
        "intermediate_size": draw(st.integers(1, 6)) * 8,
        "num_hidden_layers": draw(st.integers(1, 3)),
        "max_position_embeddings": 64,
        "rms_norm_eps": draw(st.sampled_from([1e-6, 1e-5])),
        "tie_word_embeddings": draw(st.booleans()),
        "initializer_range": 0.1,
        "pad_token_id": None,  # whose embedding would be zero, and all its scores tied
        "rope_parameters": draw(rotations()),
    }


@st.composite
def grouped(draw) -> dict:
    """Query heads that share key-value heads."""
    shared, kv_heads = draw(st.sampled_from([1, 2, 3])), draw(st.integers(1, 2))
    return draw(common()) | {
        "hidden_size": shared * kv_heads * 8,
        "num_attention_heads": shared * kv_heads,
        "num_key_value_heads": kv_heads,
    }


@st.composite
def experts(draw, count: str) -> dict:
    """Some of several experts."""
    n = draw(st.integers(1, 9))
    return {count: n, "num_experts_per_tok": draw(st.integers(1, n))}


@st.composite
def llama(draw):
    return "LlamaConfig", draw(grouped()) | {"head_dim": draw(st.sampled_from([4, 8, 12]))}


@st.composite
def qwen3(draw):
    return "Qwen3Config", draw(grouped()) | {"head_dim": draw(st.sampled_from([4, 8, 12]))}


@st.composite
def mixtral(draw):
    values = draw(grouped()) | draw(experts("num_local_experts"))
    plain = values["rope_parameters"]["rope_type"] == "default"  # transformers 5.23 scales none without a head_dim
    return "MixtralConfig", values | {"head_dim": draw(st.sampled_from([None, 4, 12] if plain else [4, 12]))}


@st.composite
def olmoe(draw):
    values = draw(grouped()) | draw(experts("num_experts"))
    return "OlmoeConfig", values | {"norm_topk_prob": draw(st.booleans())}


@st.composite
def qwen3_moe(draw):
    values = draw(grouped()) | draw(experts("num_experts"))
    own = {"norm_topk_prob": draw(st.booleans()), "moe_intermediate_size": draw(st.integers(1, 5)) * 4}
    dense = {"mlp_only_layers": list(range(draw(st.sampled_from([0, 0, 1, 3]))))[: values["num_hidden_layers"]]}
    return "Qwen3MoeConfig", values | own | dense | {"head_dim": draw(st.sampled_from([4, 8, 12]))}


@st.composite
def latent(draw, step: int = 1) -> dict:
    """Latent attention of sizes in steps, groups of experts, shared experts, dense layers at first."""
    heads, groups, members = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(2, 4))
    best = draw(st.integers(1, groups))
    return draw(common()) | {
        "hidden_size": heads * 8,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "q_lora_rank": draw(st.none() | st.integers(3, 9)),
        "kv_lora_rank": draw(st.integers(2, 5)) * step,
        "qk_nope_head_dim": draw(st.integers(1, 5)) * step,
        "qk_rope_head_dim": draw(st.sampled_from([4, 6, 8])),
        "v_head_dim": draw(st.integers(1, 9)),
        "n_routed_experts": groups * members,
        "n_shared_experts": draw(st.integers(0, 2)),
        "num_experts_per_tok": draw(st.integers(1, best * members)),
        "moe_intermediate_size": draw(st.integers(1, 5)) * 4,
        "first_k_dense_replace": draw(st.sampled_from([0, 0, 1, 3])),
        "routed_scaling_factor": draw(st.sampled_from([1.0, 2.5])),
        "n_group": groups,
        "topk_group": best,
        "rope_parameters": draw(rotations(("default", "yarn"))),
    }


@st.composite
def deepseek_v2(draw):
    method = draw(st.sampled_from(["greedy", "group_limited_greedy"]))
    # transformers 5.23 reads pairs in place as complex numbers, which must begin at even places.
    return "DeepseekV2Config", draw(latent(step=2)) | {"topk_method": method}


@st.composite
def deepseek_v3(draw):
    return "DeepseekV3Config", draw(latent()) | {"norm_topk_prob": draw(st.booleans())}


@st.composite
def deepseek_v32(draw):
    """Picks fewer tokens than there are, or more; so many heads that no two keys are worth nothing to all of them."""
    values = draw(latent()) | {"norm_topk_prob": draw(st.booleans()), "q_lora_rank": draw(st.integers(3, 9))}
    return "DeepseekV32Config", values | {
        "index_n_heads": draw(st.sampled_from([16, 24])),
        "index_head_dim": draw(st.sampled_from([8, 12])),
        "index_topk": draw(st.sampled_from([1, 3, 8, 64])),
    }


@st.composite
def deepseek_v4(draw):
    """Every kind of layer, rates, windows shorter and longer than the text, entries picked or all read."""
    heads, groups = draw(st.sampled_from([(1, 1), (2, 1), (2, 2), (4, 2)]))
    layers = draw(st.integers(1, 3))
    values = draw(common()) | draw(experts("n_routed_experts"))
    del values["intermediate_size"]
    kinds = ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"]
    turned = draw(rotations(("default", "yarn")))
    turned = {name: value for name, value in turned.items() if not name.startswith("mscale")}
    return (
        "DeepseekV4Config",
        values
        | {
            "hidden_size": draw(st.sampled_from([16, 24])),
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "o_groups": groups,
            "o_lora_rank": draw(st.integers(2, 9)),
            "head_dim": 16,
            "partial_rotary_factor": draw(st.sampled_from([0.25, 0.5, 1.0])),
            "q_lora_rank": draw(st.integers(3, 9)),
            "moe_intermediate_size": draw(st.integers(1, 5)) * 4,
            "scoring_func": draw(st.sampled_from(["sqrtsoftplus", "sigmoid"])),
            "layer_types": [draw(st.sampled_from(kinds)) for _ in range(layers)],
            "compress_rates": {
                "compressed_sparse_attention": draw(st.sampled_from([1, 2, 4])),
                "heavily_compressed_attention": draw(st.sampled_from([3, 8, 64])),
            },
            "sliding_window": draw(st.sampled_from([2, 3, 8, 64])),  # transformers 5.23 keeps all of a window of 1
            "mlp_layer_types": (["hash_moe"] * draw(st.integers(0, layers)) + ["moe"] * layers)[:layers],
            "hc_mult": draw(st.sampled_from([1, 2, 4])),
            "hc_sinkhorn_iters": draw(st.sampled_from([1, 3, 20])),
            "index_n_heads": 16,  # so many that no two entries are worth nothing to all of them
            "index_head_dim": draw(st.sampled_from([16, 20])),
            "index_topk": draw(st.sampled_from([1, 3, 64])),
            "swiglu_limit": draw(st.sampled_from([0.01, 0.1, 10.0])),
            "rope_theta": draw(st.sampled_from([100.0, 10_000.0])),
            "compress_rope_theta": turned.pop("rope_theta"),
            "rope_parameters": turned,
        },
    )


@st.composite
def kinds_of_layers(draw, values: dict) -> dict:
    """Which layers are windowed, and windows shorter and longer than the texts."""
    kinds = st.sampled_from(["sliding_attention", "full_attention"])
    n = values["num_hidden_layers"]
    return {"layer_types": draw(st.lists(kinds, min_size=n, max_size=n)), "sliding_window": draw(st.integers(2, 50))}


@st.composite
def gpt_oss(draw):
    values = draw(grouped()) | draw(experts("num_local_experts"))
    values |= draw(kinds_of_layers(values)) | {"attention_bias": draw(st.booleans())}
    if values["rope_parameters"]["rope_type"] == "yarn":
        values["rope_parameters"]["truncate"] = draw(st.booleans())
    gate = {"swiglu_alpha": draw(st.sampled_from([1.0, 1.702])), "swiglu_limit": draw(st.sampled_from([0.1, 7.0]))}
    return "GptOssConfig", values | gate | {"head_dim": draw(st.sampled_from([4, 8, 12]))}


@st.composite
def gemma(draw):
    values = draw(grouped()) | {"attention_bias": draw(st.booleans())}
    return "GemmaConfig", values | {"head_dim": draw(st.sampled_from([4, 8, 12]))}


@st.composite
def later_gemma(draw) -> dict:
    """What Gemma 2 and 3 share."""
    values = draw(grouped())
    return values | draw(kinds_of_layers(values)) | {
        "head_dim": draw(st.sampled_from([4, 8, 12])),
        "query_pre_attn_scalar": draw(st.sampled_from([4, 9, 12])),
        "final_logit_softcapping": draw(st.sampled_from([None, 1.5, 30.0])),
        "attention_bias": draw(st.booleans()),
    }  # fmt: skip


@st.composite
def gemma2(draw):
    return "Gemma2Config", draw(later_gemma()) | {"attn_logit_softcapping": draw(st.sampled_from([None, 1.0, 50.0]))}


@st.composite
def gemma3_text(draw):
    two = {"full_attention": draw(rotations()), "sliding_attention": draw(rotations(("default",)))}
    return "Gemma3TextConfig", draw(later_gemma()) | {"rope_parameters": two}


FAMILIES = {
    "llama": llama,
    "qwen3": qwen3,
    "mixtral": mixtral,
    "olmoe": olmoe,
    "qwen3_moe": qwen3_moe,
    "deepseek_v2": deepseek_v2,
    "deepseek_v3": deepseek_v3,
    "deepseek_v32": deepseek_v32,
    "deepseek_v4": deepseek_v4,
    "gpt_oss": gpt_oss,
    "gemma": gemma,
    "gemma2": gemma2,
    "gemma3_text": gemma3_text,
}
families = pytest.mark.parametrize("family", FAMILIES)


HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_hidden_layers": 1}
TINY = {"vocab_size": 9, "hidden_size": 8, "intermediate_size": 8} | HEADS


@torch.no_grad()
def build(kind: str, values: dict, seed: int = 0) -> torch.nn.Module:
    """Their model, with gains and biases that are not the ones and zeros of a fresh one."""
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(getattr(transformers, kind)(**values)).eval()
    beyond_one = model.config.model_type.startswith("gemma")  # what a gain has beyond 1 is kept
    for name, tensor in model.state_dict().items():
        if name.endswith("norm.weight"):
            tensor.uniform_(0.5, 1.5).sub_(1.0 if beyond_one else 0.0)
        elif name.endswith("tid2eid"):
            experts = model.config.n_routed_experts
            tensor.copy_(torch.rand(len(tensor), experts).argsort(dim=1)[:, : tensor.shape[1]])
        elif name.endswith(("position_bias", "hc.base", "hc_base")):
            tensor.normal_()
        elif name.endswith(("bias", "sinks")):
            tensor.normal_(std=0.3)
    return model


def text(time: int, batch: int = 2, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, VOCAB, (batch, time), generator=torch.Generator().manual_seed(seed))
