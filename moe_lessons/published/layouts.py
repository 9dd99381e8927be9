"""How tensors lie: the names of those in a layer, and those that Hugging Face's families order otherwise than we do."""

from collections.abc import Mapping

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from moe_lessons.config import LatentAttentionConfig, ModelConfig
from moe_lessons.long_texts import SharedKVAttentionConfig
from moe_lessons.published import shared_kv
from moe_lessons.published.families import LAYER, OUTSIDE, PROJECTIONS, Family


def outside_names(config: ModelConfig) -> dict[str, str]:
    """Our names and theirs of the tensors outside of the layers."""
    return OUTSIDE | shared_kv.OUTSIDE if config.hyper_connections else OUTSIDE


def our_layer(family: Family, config: ModelConfig, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of one layer's tensors under our names."""
    if isinstance(config.attention, SharedKVAttentionConfig):
        return shared_kv.our_layer(theirs, config)
    names = _layer_names(family, config)
    ours = {our: theirs[name].clone() for our, name in names.items() if name in theirs}
    if isinstance(config.attention, LatentAttentionConfig):
        ours |= unpack_latent_attention(theirs, config.attention)
    return ours


def their_layer(family: Family, config: ModelConfig, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `our_layer`."""
    if isinstance(config.attention, SharedKVAttentionConfig):
        return shared_kv.their_layer(ours, config)
    names = _layer_names(family, config)
    theirs = {name: ours[our] for our, name in names.items() if our in ours}
    if isinstance(config.attention, LatentAttentionConfig):
        theirs |= pack_latent_attention(ours, config.attention)
    return theirs


def _layer_names(family: Family, config: ModelConfig) -> dict[str, str]:
    """Our names and theirs of the tensors in a layer; those of latent attention's matrices are not among them."""
    latent = isinstance(config.attention, LatentAttentionConfig)
    return (LAYER if latent else LAYER | PROJECTIONS) | dict(family.names)


def our_layout(family: Family, name: str, theirs: Tensor) -> Tensor:
    """One of the family's tensors as ours; `name` is our name of it."""
    if family.gains_above_one and name.endswith("norm.weight"):
        return theirs + 1
    if family.woven_experts and ".experts." in name:
        if not name.endswith("_bias"):
            theirs = theirs.mT
        if "gate_up" in name:
            theirs = torch.cat([theirs[:, ::2], theirs[:, 1::2]], dim=1)
        return theirs.contiguous()
    return theirs


def their_layout(family: Family, name: str, ours: Tensor) -> Tensor:
    """The inverse of `our_layout`."""
    if family.gains_above_one and name.endswith("norm.weight"):
        return ours - 1
    if family.woven_experts and ".experts." in name:
        if "gate_up" in name:
            ours = torch.stack(ours.chunk(2, dim=1), dim=2).flatten(1, 2)
        return ours if name.endswith("_bias") else ours.mT
    return ours


def unpack_latent_attention(theirs: Mapping[str, Tensor], sizes: LatentAttentionConfig) -> dict[str, Tensor]:
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


def pack_latent_attention(ours: Mapping[str, Tensor], sizes: LatentAttentionConfig) -> dict[str, Tensor]:
    """The inverse of `unpack_latent_attention`."""
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
