"""Models of Hugging Face's `transformers` as ours, and ours as theirs: the same numbers under other names."""

from collections.abc import Mapping
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from moe_lessons.config import LatentAttentionConfig
from moe_lessons.long_texts import SharedKVAttentionConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.published import shared_kv
from moe_lessons.published.configurations import config_from_hugging_face, config_to_hugging_face
from moe_lessons.published.families import LAYER, OUTSIDE, PROJECTIONS


def from_hugging_face(hf_model: nn.Module) -> Transformer:
    """Our Transformer with the weights of one of transformers' causal language models, and so with its logits.

    Raises ValueError for a family, or an option of it, that our modules do not express.
    """
    config = config_from_hugging_face(hf_model.config)
    theirs = hf_model.state_dict()
    if "lm_head.weight" not in theirs:
        raise ValueError(f"{type(hf_model).__name__} has no lm_head; give the ...ForCausalLM model that ends in one")
    model = Transformer(config, device="meta")
    outside = OUTSIDE | shared_kv.OUTSIDE if config.hyper_connections else OUTSIDE
    weights = {ours: theirs[name].clone() for ours, name in outside.items()}
    for layer in range(config.n_layers):
        prefix = f"model.layers.{layer}."
        inside = {name.removeprefix(prefix): tensor for name, tensor in theirs.items() if name.startswith(prefix)}
        inside = {
            name: tensor for name, tensor in inside.items() if tensor.numel()
        }  # no shared expert is one of width 0
        latent = isinstance(config.attention, LatentAttentionConfig)
        names = LAYER if latent else LAYER | PROJECTIONS
        named = {ours: inside[name].clone() for ours, name in names.items() if name in inside}
        if latent:
            named |= _unpack_latent_attention(inside, config.latent_attention)
        if isinstance(config.attention, SharedKVAttentionConfig):
            named = shared_kv.our_layer(inside, config)
        weights |= {f"blocks.{layer}.{name}": tensor for name, tensor in named.items()}
    model.load_state_dict(weights, assign=True)  # takes each tensor's own precision: biases stay in float32
    if config.tie_embeddings:
        model.head.weight = model.embedding.weight
    return model.eval()


def to_hugging_face(model: Transformer, folder: str | Path | None = None) -> nn.Module:
    """One of transformers' models with our weights and logits; saved to `folder` for AutoModelForCausalLM, if given.

    What works only in training, noise on the router, or beside the model, multi-token modules, is left behind. Token
    ids have no special meaning: encode texts with our tokenizer. Raises ValueError where no family has a model like
    ours, and ImportError without transformers.
    """
    from transformers import AutoModelForCausalLM

    config = model.config
    theirs = config_to_hugging_face(config)
    hf_model = AutoModelForCausalLM.from_config(theirs, dtype=model.embedding.weight.dtype).eval()
    ours = model.state_dict()
    outside = OUTSIDE | shared_kv.OUTSIDE if config.hyper_connections else OUTSIDE
    weights = {name: ours[our_name] for our_name, name in outside.items()}
    for layer in range(config.n_layers):
        prefix = f"blocks.{layer}."
        inside = {name.removeprefix(prefix): tensor for name, tensor in ours.items() if name.startswith(prefix)}
        latent = isinstance(config.attention, LatentAttentionConfig)
        names = LAYER if latent else LAYER | PROJECTIONS
        named = {name: inside[our_name] for our_name, name in names.items() if our_name in inside}
        if latent:
            named |= _pack_latent_attention(inside, config.latent_attention)
        if isinstance(config.attention, SharedKVAttentionConfig):
            named = shared_kv.their_layer(inside, config)
        weights |= {f"model.layers.{layer}.{name}": tensor for name, tensor in named.items()}
    # Without shared experts of ours, theirs are matrices without a row.
    empty = {name: tensor for name, tensor in hf_model.state_dict().items() if not tensor.numel()}
    hf_model.load_state_dict(weights | empty)
    if folder is not None:
        hf_model.save_pretrained(folder)
    return hf_model


def _unpack_latent_attention(theirs: Mapping[str, Tensor], sizes: LatentAttentionConfig) -> dict[str, Tensor]:
    """Our four matrices from their two joint ones; turned pairs go from neighbors to halves."""
    name = "self_attn.q_proj.weight" if sizes.q_lora_rank is None else "self_attn.q_b_proj.weight"
    nope, rope = sizes.qk_nope_head_dim, sizes.qk_rope_head_dim
    query = rearrange(theirs[name], "(heads qk) columns -> heads qk columns", heads=sizes.n_heads)
    query = _joined(query[:, :nope], _halves(query[:, nope:]))
    compress, rope_key = theirs["self_attn.kv_a_proj_with_mqa.weight"].split([sizes.kv_lora_rank, rope])
    both = rearrange(
        theirs["self_attn.kv_b_proj.weight"], "(heads size) columns -> heads size columns", heads=sizes.n_heads
    )
    return {
        "attention.query.weight": query,
        "attention.compress.weight": compress.clone(),
        "attention.rope_key.weight": _halves(rope_key[None])[0],
        "attention.key.weight": _joined(both[:, :nope]),
        "attention.value.weight": _joined(both[:, nope:]),
    }


def _pack_latent_attention(ours: Mapping[str, Tensor], sizes: LatentAttentionConfig) -> dict[str, Tensor]:
    """The inverse of `_unpack_latent_attention`."""
    nope = sizes.qk_nope_head_dim

    def by_head(name: str) -> Tensor:
        return rearrange(
            ours[f"attention.{name}.weight"], "(heads size) columns -> heads size columns", heads=sizes.n_heads
        )

    query = by_head("query")
    rope_key = _neighbors(ours["attention.rope_key.weight"][None])
    name = "self_attn.q_proj.weight" if sizes.q_lora_rank is None else "self_attn.q_b_proj.weight"
    return {
        name: _joined(query[:, :nope], _neighbors(query[:, nope:])),
        "self_attn.kv_a_proj_with_mqa.weight": _joined(ours["attention.compress.weight"][None], rope_key),
        "self_attn.kv_b_proj.weight": _joined(by_head("key"), by_head("value")),
    }


def _joined(*parts: Float[Tensor, "heads _ columns"]) -> Float[Tensor, "rows columns"]:
    """Each head's rows, one part below the other, head after head."""
    return torch.cat(parts, dim=1).flatten(0, 1).clone()


def _halves(rows: Float[Tensor, "heads rows columns"]) -> Float[Tensor, "heads rows columns"]:
    """Turned pairs from (0, 1), (2, 3) ... to (0, n / 2), (1, n / 2 + 1) ..."""
    return rearrange(rows, "heads (pairs two) columns -> heads (two pairs) columns", two=2)


def _neighbors(rows: Float[Tensor, "heads rows columns"]) -> Float[Tensor, "heads rows columns"]:
    """The inverse of `_halves`."""
    return rearrange(rows, "heads (two pairs) columns -> heads (pairs two) columns", two=2)
