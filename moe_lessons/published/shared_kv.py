"""transformers' models with one vector a token as key and value (DeepSeek-V4), as ours and back.

Theirs turns neighboring numbers of a vector, ours its two halves, so whatever is as wide as a head is put into
another order: matrices that make it, gains of its norms, and the matrix that reads it.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from moe_lessons.config import ModelConfig
from moe_lessons.published.families import Family
from moe_lessons.published.rotations import our_scaling, their_scaling

MODEL_TYPE = "deepseek_v4"
_KINDS = {
    "sliding_attention": "window",
    "compressed_sparse_attention": "sparse",
    "heavily_compressed_attention": "heavy",
}
_SCORES = {"sqrtsoftplus": "sqrt_softplus", "sigmoid": "sigmoid"}
FAMILY = Family(
    MODEL_TYPE,
    (
        ("vocab_size", "vocab_size"),
        ("dim", "hidden_size"),
        ("n_layers", "num_hidden_layers"),
        ("max_length", "max_position_embeddings"),
        ("norm_eps", "rms_norm_eps"),
        ("tie_embeddings", "tie_word_embeddings"),
        ("attention.n_heads", "num_attention_heads"),
        ("attention.head_dim", "head_dim"),
        ("attention.q_lora_rank", "q_lora_rank"),
        ("attention.window", "sliding_window"),
        ("attention.output_groups", "o_groups"),
        ("attention.output_rank", "o_lora_rank"),
        ("attention.compression.indexer.n_heads", "index_n_heads"),
        ("attention.compression.indexer.head_dim", "index_head_dim"),
        ("attention.compression.indexer.top_k", "index_topk"),
        ("gate.limit", "swiglu_limit"),
        ("moe.n_routed_experts", "n_routed_experts"),
        ("moe.top_k", "num_experts_per_tok"),
        ("moe.hidden_dim", "moe_intermediate_size"),
        ("moe.route_scale", "routed_scaling_factor"),
        ("hyper_connections.n_streams", "hc_mult"),
        ("hyper_connections.sinkhorn_steps", "hc_sinkhorn_iters"),
        ("hyper_connections.eps", "hc_eps"),
    ),
    {"moe.n_shared_experts": 1, "moe.normalize": True, "moe.expert_bias": True, "attention.sinks": True},
    {
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "num_key_value_heads": 1,
        "n_shared_experts": 1,
        "norm_topk_prob": True,
    },
)


def our_values(theirs: Any) -> dict[str, Any]:
    """Entries of our configuration that no table of names gives.

    Raises ValueError for what our modules do not express.
    """
    hashed = [layer for layer, kind in enumerate(theirs.mlp_layer_types) if kind == "hash_moe"]
    if hashed != list(range(len(hashed))):
        raise ValueError(f"the model has hash_moe in layers {hashed!r}, but our modules have hash layers only at first")
    values = {
        "hidden_dim": theirs.moe_intermediate_size,  # of dense layers, which the model has none of
        "attention.rope_head_dim": theirs.qk_rope_head_dim,
        "attention.compression.layers": tuple(_KINDS[kind] for kind in theirs.layer_types),
        "attention.compression.sparse_rate": theirs.compress_rates["compressed_sparse_attention"],
        "attention.compression.heavy_rate": theirs.compress_rates["heavily_compressed_attention"],
        "moe.n_hash_layers": len(hashed),
        "moe.score_function": _score(theirs.scoring_func),
    }
    for kind, place in (("main", "attention."), ("compress", "attention.compression.")):
        turned = dict(theirs.rope_parameters[kind])
        share = turned.pop("partial_rotary_factor", 1.0)
        if int(theirs.head_dim * share) != theirs.qk_rope_head_dim:
            raise ValueError(
                f"rope_parameters turns {share} of a head in {kind!r}, but our modules turn one part alike"
            )
        factor = turned.pop("attention_factor", None)
        ours = our_scaling(turned)
        if factor is not None and ours["rope_scaling"] is not None:
            if factor != 1:
                raise ValueError(f"rope_parameters has attention_factor = {factor!r}, but our modules know only 1")
            ours["rope_scaling"] |= {"mscale": 0.0, "mscale_all_dim": 0.0}
        values |= {place + name: value for name, value in ours.items()}
    return values


def their_values(config: ModelConfig) -> dict[str, Any]:
    """What their configuration needs besides the table's names; ValueError where they have no word for it."""
    attention, moe = config.shared_kv_attention, config.mixture
    if (compression := attention.compression) is None:
        raise ValueError("attention.compression is None, but Hugging Face's models of this kind need one")
    names = {ours: theirs for theirs, ours in _KINDS.items()}
    scores = {ours: theirs for theirs, ours in _SCORES.items()}
    if moe.score_function not in scores:
        raise ValueError(f"score_function is {moe.score_function!r}, but theirs are: {', '.join(_SCORES)}")
    share = attention.rope_head_dim / attention.head_dim
    rotations = {}
    for kind, turned in (("main", attention), ("compress", attention.with_entries)):
        rotations[kind] = their_scaling(turned) | {"partial_rotary_factor": share}
        if turned.rope_scaling is not None and turned.rope_scaling.mscale == 0:
            rotations[kind]["attention_factor"] = 1.0
    return {
        "layer_types": [names[kind] for kind in compression.layers],
        "compress_rates": {
            "compressed_sparse_attention": compression.sparse_rate,
            "heavily_compressed_attention": compression.heavy_rate,
        },
        "mlp_layer_types": ["hash_moe"] * moe.n_hash_layers + ["moe"] * (config.n_layers - moe.n_hash_layers),
        "scoring_func": scores[moe.score_function],
        "partial_rotary_factor": share,
        "rope_theta": attention.rope_theta,
        "compress_rope_theta": compression.rope_theta,
        "rope_parameters": rotations,
    }


def _score(name: str) -> str:
    if name not in _SCORES:
        raise ValueError(f"scoring_func is {name!r}, but our modules know only: {', '.join(_SCORES)}")
    return _SCORES[name]


OUTSIDE = {
    "norm.read": "model.hc_head.hc_fn",
    "norm.read_scale": "model.hc_head.hc_scale",
    "norm.read_bias": "model.hc_head.hc_base",
}
_FAR, _INDEX = "self_attn.compressor.", "self_attn.compressor.indexer."
LAYER = {
    "attention_norm.weight": "input_layernorm.weight",
    "feed_forward_norm.weight": "post_attention_layernorm.weight",
    "attention.compress_query.weight": "self_attn.q_a_proj.weight",
    "attention.query_latent_norm.weight": "self_attn.q_a_norm.weight",
    "attention.query.weight": "self_attn.q_b_proj.weight",
    "attention.key_value.weight": "self_attn.kv_proj.weight",
    "attention.key_value_norm.weight": "self_attn.kv_norm.weight",
    "attention.sinks": "self_attn.sinks",
    "attention.output.inner": "self_attn.o_a_proj.weight",
    "attention.output.outer.weight": "self_attn.o_b_proj.weight",
    "attention.entries.content.weight": _FAR + "kv_proj.weight",
    "attention.entries.gate.weight": _FAR + "gate_proj.weight",
    "attention.entries.position_bias": _FAR + "position_bias",
    "attention.entries.norm.weight": _FAR + "kv_norm.weight",
    "attention.indexer.query.weight": _INDEX + "q_b_proj.weight",
    "attention.indexer.keys.content.weight": _INDEX + "kv_proj.weight",
    "attention.indexer.keys.gate.weight": _INDEX + "gate_proj.weight",
    "attention.indexer.keys.position_bias": _INDEX + "position_bias",
    "attention.indexer.keys.norm.weight": _INDEX + "kv_norm.weight",
    "attention.indexer.head_weights.weight": _INDEX + "scorer.weights_proj.weight",
    "around_attention.weight": "attn_hc.fn",
    "around_attention.bias": "attn_hc.base",
    "around_attention.scale": "attn_hc.scale",
    "around_feed_forward.weight": "ffn_hc.fn",
    "around_feed_forward.bias": "ffn_hc.base",
    "around_feed_forward.scale": "ffn_hc.scale",
    "feed_forward.router.weight": "mlp.gate.weight",
    "feed_forward.router.expert_bias": "mlp.gate.e_score_correction_bias",
    "feed_forward.router.routes": "mlp.gate.tid2eid",
    "feed_forward.experts.gate_up": "mlp.experts.gate_up_proj",
    "feed_forward.experts.down": "mlp.experts.down_proj",
    "feed_forward.shared.gate.weight": "mlp.shared_experts.gate_proj.weight",
    "feed_forward.shared.up.weight": "mlp.shared_experts.up_proj.weight",
    "feed_forward.shared.down.weight": "mlp.shared_experts.down_proj.weight",
}
# Axes along which numbers of heads lie one behind the other, or of the indexer's heads.
_ROWS, _COLUMNS = 0, -1
_TURNED = {
    "attention.query.weight": _ROWS,
    "attention.key_value.weight": _ROWS,
    "attention.key_value_norm.weight": _ROWS,
    "attention.output.inner": _COLUMNS,
} | {
    f"attention.{part}.{name}": axis
    for part in ("entries", "indexer.keys")
    for name, axis in (("content.weight", 0), ("gate.weight", 0), ("position_bias", -1), ("norm.weight", 0))
}
_TURNED["attention.indexer.query.weight"] = _ROWS


def our_layer(theirs: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """One layer's tensors under our names."""
    groups = config.shared_kv_attention.output_groups
    ours = {name: _reordered(name, theirs[their], config, "ours") for name, their in LAYER.items() if their in theirs}
    inner = "attention.output.inner"
    return ours | {inner: ours[inner].unflatten(0, (groups, -1))}


def their_layer(ours: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """The inverse of `our_layer`."""
    theirs = {their: _reordered(name, ours[name], config, "theirs") for name, their in LAYER.items() if name in ours}
    inner = LAYER["attention.output.inner"]
    return theirs | {inner: theirs[inner].flatten(0, 1)}


def _reordered(name: str, tensor: Tensor, config: ModelConfig, order: str) -> Tensor:
    """A copy, with each head's turned numbers in our order, halves, or in theirs, neighbors."""
    if name not in _TURNED:
        return tensor.clone()
    attention, axis = config.shared_kv_attention, _TURNED[name]
    size, rope = attention.head_dim, attention.rope_head_dim
    if name.startswith("attention.indexer.") and attention.compression and attention.compression.indexer:
        size = attention.compression.indexer.head_dim
    halves = torch.cat([torch.arange(0, rope, 2), torch.arange(1, rope, 2)])
    places = torch.cat([torch.arange(size - rope), size - rope + halves]).to(tensor.device)
    places = places if order == "ours" else places.argsort()
    axis = axis % tensor.ndim
    return tensor.unflatten(axis, (-1, size)).index_select(axis + 1, places).flatten(axis, axis + 1)
