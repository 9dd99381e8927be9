"""Models of Hugging Face's `transformers` as ours, and ours as theirs: the same numbers under other names."""

from pathlib import Path

from torch import nn

from moe_lessons.model.transformer import Transformer
from moe_lessons.published.configurations import config_from_hugging_face, config_to_hugging_face, family_of
from moe_lessons.published.layouts import our_layer, our_layout, outside_names, their_layer, their_layout


def from_hugging_face(hf_model: nn.Module) -> Transformer:
    """Our Transformer with the weights of one of transformers' causal language models, and so with its logits.

    Gains that a family keeps as what they have beyond 1 are made whole, which 16 bits round.
    Raises ValueError for a family, or an option of it, that our modules do not express.
    """
    config = config_from_hugging_face(hf_model.config)
    family, theirs = family_of(hf_model.config), hf_model.state_dict()
    if "lm_head.weight" not in theirs:
        raise ValueError(f"{type(hf_model).__name__} has no lm_head; give the ...ForCausalLM model that ends in one")
    model = Transformer(config, device="meta")
    weights = {ours: theirs[name].clone() for ours, name in outside_names(config).items()}
    for layer in range(config.n_layers):
        prefix = f"model.layers.{layer}."
        inside = {name.removeprefix(prefix): tensor for name, tensor in theirs.items() if name.startswith(prefix)}
        # where we have no shared expert, theirs may be one of width 0
        inside = {name: tensor for name, tensor in inside.items() if tensor.numel()}
        weights |= {f"blocks.{layer}.{name}": tensor for name, tensor in our_layer(family, config, inside).items()}
    weights = {name: our_layout(family, name, tensor) for name, tensor in weights.items()}
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
    family = family_of(theirs)
    hf_model = AutoModelForCausalLM.from_config(theirs, dtype=model.embedding.weight.dtype).eval()
    ours = {name: their_layout(family, name, tensor) for name, tensor in model.state_dict().items()}
    weights = {name: ours[our_name] for our_name, name in outside_names(config).items()}
    for layer in range(config.n_layers):
        prefix = f"blocks.{layer}."
        inside = {name.removeprefix(prefix): tensor for name, tensor in ours.items() if name.startswith(prefix)}
        named = their_layer(family, config, inside)
        weights |= {f"model.layers.{layer}.{name}": tensor for name, tensor in named.items()}
    # Without shared experts of ours, theirs are matrices without a row.
    empty = {name: tensor for name, tensor in hf_model.state_dict().items() if not tensor.numel()}
    hf_model.load_state_dict(weights | empty)
    if folder is not None:
        hf_model.save_pretrained(folder)
    return hf_model
