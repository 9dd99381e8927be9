"""What Hugging Face's families of models call the sizes and tensors that ours have: data, and no code but lookups."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Family(NamedTuple):
    """One `model_type` of transformers, as far as our modules express it."""

    model_type: str
    sizes: tuple[tuple[str, str], ...]  # entries of our configuration and theirs
    always: dict[str, Any]  # entries of ours that the family leaves no choice about
    only: dict[str, Any]  # options of theirs with the one value that our modules know
    names: Mapping[str, str] = {}  # tensors within a layer that other families call otherwise, ours and theirs
    windows: bool = False  # whether layers are listed as windowed and full ones
    two_rotations: bool = False  # whether either kind turns by its own
    scaled_embedding: bool = False  # whether embeddings are multiplied by the root of their size
    gains_above_one: bool = False  # whether a norm's gain is kept as what it has beyond 1
    woven_experts: bool = False  # whether the rows of gate and up take turns, in matrices that stand on their side


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
_BIAS = (("attention.bias", "attention_bias"),)
_SILU = {"hidden_act": "silu"}
_PLAIN = {**_SILU, "attention_bias": False}
_V2 = {"attention.norm_eps": 1e-6, "moe.normalize": False, "moe.group_score": "max"}
_V2_ONLY = {**_PLAIN, "mlp_bias": False, "norm_topk_prob": False}

_GELU = {"gate.activation": "gelu"}
_SCALAR = (("attention.query_scalar", "query_pre_attn_scalar"),)
_LOGIT_CAP = (("logit_cap", "final_logit_softcapping"),)
_OUTPUT_NORMS = {
    "attention_output_norm.weight": "post_attention_layernorm.weight",
    "feed_forward_norm.weight": "pre_feedforward_layernorm.weight",
    "feed_forward_output_norm.weight": "post_feedforward_layernorm.weight",
}

FAMILIES = (
    Family("llama", _GROUPED + _HEAD_DIM + _BIAS, {}, {**_SILU, "mlp_bias": False}),
    Family("qwen3", _GROUPED + _HEAD_DIM + _BIAS, {"attention.qk_norm": True}, {**_SILU, "use_sliding_window": False}),
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
            *(_GROUPED + _BIAS + _TOP_K),
            ("moe.n_routed_experts", "num_experts"),
            ("moe.hidden_dim", "intermediate_size"),
            ("moe.normalize", "norm_topk_prob"),
        ),
        {"attention.joint_qk_norm": True},
        {**_SILU, "clip_qkv": None},
    ),
    Family(
        "qwen3_moe",
        (
            *(_GROUPED + _HEAD_DIM + _BIAS + _TOP_K),
            ("moe.n_routed_experts", "num_experts"),
            ("moe.hidden_dim", "moe_intermediate_size"),
            ("moe.normalize", "norm_topk_prob"),
        ),
        {"attention.qk_norm": True},
        {**_SILU, "use_sliding_window": False, "decoder_sparse_step": 1},
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
    Family(
        "gpt_oss",
        (
            *(_GROUPED + _HEAD_DIM + _BIAS + _TOP_K),
            ("moe.n_routed_experts", "num_local_experts"),
            ("moe.hidden_dim", "intermediate_size"),
            ("gate.sharpness", "swiglu_alpha"),
            ("gate.limit", "swiglu_limit"),
        ),
        {"attention.sinks": True, "moe.bias": True, "gate.shift": 1.0},
        _SILU,
        names={
            "feed_forward.router.weight": "mlp.router.weight",
            "feed_forward.router.bias": "mlp.router.bias",
        },
        windows=True,
        woven_experts=True,
    ),
    Family(
        "gemma",
        _GROUPED + _HEAD_DIM + _BIAS,
        _GELU,
        {"hidden_act": "gelu_pytorch_tanh", "use_bidirectional_attention": None},
        scaled_embedding=True,
        gains_above_one=True,
    ),
    Family(
        "gemma2",
        (*(_GROUPED + _HEAD_DIM + _BIAS + _SCALAR + _LOGIT_CAP), ("attention.score_cap", "attn_logit_softcapping")),
        {**_GELU, "output_norms": True},
        {"hidden_activation": "gelu_pytorch_tanh", "use_bidirectional_attention": None},
        names=_OUTPUT_NORMS,
        windows=True,
        scaled_embedding=True,
        gains_above_one=True,
    ),
    Family(
        "gemma3_text",
        _GROUPED + _HEAD_DIM + _BIAS + _SCALAR + _LOGIT_CAP,
        {**_GELU, "output_norms": True, "attention.qk_norm": True},
        {
            "hidden_activation": "gelu_pytorch_tanh",
            "use_bidirectional_attention": False,
            "attn_logit_softcapping": None,  # which its fast attention would forget
        },
        names=_OUTPUT_NORMS,
        windows=True,
        two_rotations=True,
        scaled_embedding=True,
        gains_above_one=True,
    ),
)

# Why some well-known families are not among them.
BEYOND = {
    "gemma3": "it also sees pictures; its language model alone is 'gemma3_text'",
    "gemma4": "it also sees and hears, and its language model 'gemma4_text' is beyond them, too",
    "gemma4_text": "its full layers have heads of another size, whose keys can be their values and turn in part, all "
    "values are normalized, a mixture works beside a dense layer and behind a router with gains and a weight for each "
    "expert, and each layer's output is multiplied by a number of its own",
}

OUTSIDE = {
    "embedding.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
# Ours and theirs within one layer; a layer has those that its kind needs. Families that do not agree have `names`.
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
    "attention.output.bias": "self_attn.o_proj.bias",
    "attention.sinks": "self_attn.sinks",
    "feed_forward.router.weight": "mlp.gate.weight",
    "feed_forward.router.expert_bias": "mlp.gate.e_score_correction_bias",
    "feed_forward.experts.gate_up": "mlp.experts.gate_up_proj",
    "feed_forward.experts.down": "mlp.experts.down_proj",
    "feed_forward.experts.gate_up_bias": "mlp.experts.gate_up_proj_bias",
    "feed_forward.experts.down_bias": "mlp.experts.down_proj_bias",
    "feed_forward.shared.gate.weight": "mlp.shared_experts.gate_proj.weight",
    "feed_forward.shared.up.weight": "mlp.shared_experts.up_proj.weight",
    "feed_forward.shared.down.weight": "mlp.shared_experts.down_proj.weight",
}
# The same for attention with keys and values; those of latent attention are laid out otherwise.
PROJECTIONS = {
    "attention.query.weight": "self_attn.q_proj.weight",
    "attention.key.weight": "self_attn.k_proj.weight",
    "attention.value.weight": "self_attn.v_proj.weight",
    "attention.query.bias": "self_attn.q_proj.bias",
    "attention.key.bias": "self_attn.k_proj.bias",
    "attention.value.bias": "self_attn.v_proj.bias",
}
