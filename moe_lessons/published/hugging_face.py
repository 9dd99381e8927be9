"""Models of Hugging Face's `transformers` as ours: the same numbers under other names."""

import torch
from torch import nn

from moe_lessons.config import AttentionConfig, ModelConfig, MoEConfig
from moe_lessons.model.transformer import Transformer

# The rest of the names, ours to theirs, inside one layer.
_ATTENTION = {
    "attention_norm.weight": "input_layernorm.weight",
    "attention.query.weight": "self_attn.q_proj.weight",
    "attention.key.weight": "self_attn.k_proj.weight",
    "attention.value.weight": "self_attn.v_proj.weight",
    "attention.output.weight": "self_attn.o_proj.weight",
    "feed_forward_norm.weight": "post_attention_layernorm.weight",
}
_DENSE = {f"feed_forward.{name}.weight": f"mlp.{name}_proj.weight" for name in ("gate", "up", "down")}
_MIXTRAL = {
    "feed_forward.router.weight": "mlp.gate.weight",
    "feed_forward.experts.gate_up": "mlp.experts.gate_up_proj",
    "feed_forward.experts.down": "mlp.experts.down_proj",
}


def from_hugging_face(hf_model: nn.Module) -> Transformer:
    """Our Transformer with the weights of a `LlamaForCausalLM` or `MixtralForCausalLM`, and so with its logits.

    Raises ValueError for another class, and for options that our model does not teach (biases, scaled rotary
    positions, other activations, a sliding window).
    """
    theirs = hf_model.config
    family = theirs.model_type
    if family not in ("llama", "mixtral"):
        raise ValueError(f"model_type is {family!r}, but only 'llama' and 'mixtral' can be converted")
    _refuse_other_options(theirs)
    heads = AttentionConfig(
        n_heads=theirs.num_attention_heads,
        n_kv_heads=theirs.num_key_value_heads,
        head_dim=getattr(theirs, "head_dim", None),
        rope_theta=float(theirs.rope_parameters["rope_theta"]),
    )
    moe = None
    if family == "mixtral":
        moe = MoEConfig(
            n_routed_experts=theirs.num_local_experts,
            top_k=theirs.num_experts_per_tok,
            hidden_dim=theirs.intermediate_size,
        )
    config = ModelConfig(
        vocab_size=theirs.vocab_size,
        dim=theirs.hidden_size,
        n_layers=theirs.num_hidden_layers,
        hidden_dim=theirs.intermediate_size,
        max_length=theirs.max_position_embeddings,
        attention=heads,
        moe=moe,
        norm_eps=theirs.rms_norm_eps,
        tie_embeddings=theirs.tie_word_embeddings,
    )
    weights = hf_model.state_dict()
    parameter = next(hf_model.parameters())
    model = Transformer(config, device="meta").to_empty(device=parameter.device).to(parameter.dtype)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(weights[_their_name(name, family)])
    return model.eval()


def _their_name(name: str, family: str) -> str:
    outer = {
        "embedding.weight": "model.embed_tokens.weight",
        "norm.weight": "model.norm.weight",
        "head.weight": "lm_head.weight",
    }
    if name in outer:
        return outer[name]
    _, layer, rest = name.split(".", 2)
    inner = _ATTENTION | (_DENSE if family == "llama" else _MIXTRAL)
    return f"model.layers.{layer}.{inner[rest]}"


def _refuse_other_options(theirs: object) -> None:
    rope_type = theirs.rope_parameters.get("rope_type", "default")
    for name, value, allowed in (
        ("rope_type", rope_type, "default"),
        ("hidden_act", theirs.hidden_act, "silu"),
        ("attention_bias", getattr(theirs, "attention_bias", False), False),
        ("mlp_bias", getattr(theirs, "mlp_bias", False), False),
        ("sliding_window", getattr(theirs, "sliding_window", None), None),
    ):
        if value != allowed:
            raise ValueError(f"the model has {name} = {value!r}, but this course's model knows only {allowed!r}")
