"""What Hugging Face's families of models call the sizes and tensors that ours have: data, and no code but lookups."""

from typing import Any, NamedTuple


class Family(NamedTuple):
    """One `model_type` of transformers, as far as our modules express it."""

    model_type: str
    sizes: tuple[tuple[str, str], ...]  # entries of our configuration and theirs
    always: dict[str, Any]  # entries of ours that the family leaves no choice about
    only: dict[str, Any]  # options of theirs with the one value that our modules know


_SIZES = (
    ("vocab_size", "vocab_size"),
    ("dim", "hidden_size"),
    ("n_layers", "num_hidden_layers"),
    ("hidden_dim", "intermediate_size"),
    ("max_length", "max_position_embeddings"),
    ("norm_eps", "rms_norm_eps"),
    ("tie_embeddings", "tie_word_embeddings"),
    ("attention.n_heads", "num_attention_heads"),
)
_GROUPED = (*_SIZES, ("attention.n_kv_heads", "num_key_value_heads"))
_LATENT = (
    *_SIZES,
    ("attention.n_heads", "num_key_value_heads"),  # every head has keys of its own, once they are unpacked
    ("attention.q_lora_rank", "q_lora_rank"),
    ("attention.kv_lora_rank", "kv_lora_rank"),
    ("attention.qk_nope_head_dim", "qk_nope_head_dim"),
    ("attention.qk_rope_head_dim", "qk_rope_head_dim"),
    ("attention.v_head_dim", "v_head_dim"),
)
_HEAD_DIM = (("attention.head_dim", "head_dim"),)
_TOP_K = (("moe.top_k", "num_experts_per_tok"),)
_DEEPSEEK = (
    *_TOP_K,
    ("moe.n_routed_experts", "n_routed_experts"),
    ("moe.hidden_dim", "moe_intermediate_size"),
    ("moe.n_shared_experts", "n_shared_experts"),
    ("moe.n_dense_layers", "first_k_dense_replace"),
    ("moe.route_scale", "routed_scaling_factor"),
)
_INDEXER = (
    ("attention.indexer.n_heads", "index_n_heads"),
    ("attention.indexer.head_dim", "index_head_dim"),
    ("attention.indexer.top_k", "index_topk"),
)
_GROUPS = (("moe.n_groups", "n_group"), ("moe.top_groups", "topk_group"))
_PLAIN = {"hidden_act": "silu", "attention_bias": False}
_V2 = {"attention.norm_eps": 1e-6, "moe.normalize": False, "moe.group_score": "max"}
_V2_ONLY = {**_PLAIN, "mlp_bias": False, "norm_topk_prob": False}

FAMILIES = (
    Family("llama", _GROUPED + _HEAD_DIM, {}, {**_PLAIN, "mlp_bias": False}),
    Family("qwen3", _GROUPED + _HEAD_DIM, {"attention.qk_norm": True}, {**_PLAIN, "use_sliding_window": False}),
    Family(
        "mixtral",
        (
            *(_GROUPED + _HEAD_DIM + _TOP_K),
            ("moe.n_routed_experts", "num_local_experts"),
            ("moe.hidden_dim", "intermediate_size"),
        ),
        {},
        {"hidden_act": "silu", "sliding_window": None},
    ),
    Family(
        "olmoe",
        (
            *(_GROUPED + _TOP_K),
            ("moe.n_routed_experts", "num_experts"),
            ("moe.hidden_dim", "intermediate_size"),
            ("moe.normalize", "norm_topk_prob"),
        ),
        {"attention.joint_qk_norm": True},
        {**_PLAIN, "clip_qkv": None},
    ),
    Family(
        "qwen3_moe",
        (
            *(_GROUPED + _HEAD_DIM + _TOP_K),
            ("moe.n_routed_experts", "num_experts"),
            ("moe.hidden_dim", "moe_intermediate_size"),
            ("moe.normalize", "norm_topk_prob"),
        ),
        {"attention.qk_norm": True},
        {**_PLAIN, "use_sliding_window": False, "decoder_sparse_step": 1},
    ),
    Family(
        "deepseek_v3",
        (*(_LATENT + _DEEPSEEK + _GROUPS), ("moe.normalize", "norm_topk_prob")),
        {"attention.norm_eps": 1e-6, "moe.score_function": "sigmoid", "moe.expert_bias": True},
        {**_PLAIN, "rope_interleave": True},
    ),
    Family(
        "deepseek_v32",
        (*(_LATENT + _INDEXER + _DEEPSEEK + _GROUPS), ("moe.normalize", "norm_topk_prob")),
        {"attention.norm_eps": 1e-6, "moe.score_function": "sigmoid", "moe.expert_bias": True},
        {**_PLAIN, "mlp_bias": False},
    ),
    Family(
        "deepseek_v2", _LATENT + _DEEPSEEK, {**_V2, "moe.group_score": "top2"}, {**_V2_ONLY, "topk_method": "greedy"}
    ),
    Family("deepseek_v2", _LATENT + _DEEPSEEK + _GROUPS, _V2, {**_V2_ONLY, "topk_method": "group_limited_greedy"}),
)

# Why some well-known families are not among them.
BEYOND = {
    "gpt_oss": "its attention has sinks and biases, and its experts a clamped gate",
    "gemma": "it gates with GELU and scales its embeddings",
    "gemma2": "it gates with GELU, caps scores and logits and normalizes twice more a layer",
    "gemma3_text": "it gates with GELU, mixes two kinds of attention and normalizes twice more a layer",
}

OUTSIDE = {
    "embedding.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
# Ours and theirs within one layer; a layer has those that its kind needs. All families agree on them.
LAYER = {
    "attention_norm.weight": "input_layernorm.weight",
    "feed_forward_norm.weight": "post_attention_layernorm.weight",
    "attention.output.weight": "self_attn.o_proj.weight",
    "attention.query_norm.weight": "self_attn.q_norm.weight",
    "attention.key_norm.weight": "self_attn.k_norm.weight",
    "attention.compress_query.weight": "self_attn.q_a_proj.weight",
    "attention.query_latent_norm.weight": "self_attn.q_a_layernorm.weight",
    "attention.latent_norm.weight": "self_attn.kv_a_layernorm.weight",
    "attention.indexer.query.weight": "self_attn.indexer.wq_b.weight",
    "attention.indexer.key.weight": "self_attn.indexer.wk.weight",
    "attention.indexer.key_norm.weight": "self_attn.indexer.k_norm.weight",
    "attention.indexer.key_norm.bias": "self_attn.indexer.k_norm.bias",
    "attention.indexer.head_weights.weight": "self_attn.indexer.weights_proj.weight",
    "feed_forward.gate.weight": "mlp.gate_proj.weight",
    "feed_forward.up.weight": "mlp.up_proj.weight",
    "feed_forward.down.weight": "mlp.down_proj.weight",
    "feed_forward.router.weight": "mlp.gate.weight",
    "feed_forward.router.expert_bias": "mlp.gate.e_score_correction_bias",
    "feed_forward.experts.gate_up": "mlp.experts.gate_up_proj",
    "feed_forward.experts.down": "mlp.experts.down_proj",
    "feed_forward.shared.gate.weight": "mlp.shared_experts.gate_proj.weight",
    "feed_forward.shared.up.weight": "mlp.shared_experts.up_proj.weight",
    "feed_forward.shared.down.weight": "mlp.shared_experts.down_proj.weight",
}
# The same for attention with keys and values; those of latent attention are laid out otherwise.
PROJECTIONS = {
    "attention.query.weight": "self_attn.q_proj.weight",
    "attention.key.weight": "self_attn.k_proj.weight",
    "attention.value.weight": "self_attn.v_proj.weight",
}
