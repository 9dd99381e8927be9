"""Configurations of Hugging Face's `transformers` as ours, and ours as theirs, by the tables in `families`."""

from dataclasses import asdict, replace
from typing import Any

from moe_lessons.concerns import Gate
from moe_lessons.config import AttentionConfig, ModelConfig
from moe_lessons.published import shared_kv
from moe_lessons.published.families import BEYOND, FAMILIES, Family
from moe_lessons.published.rotations import our_rotation, their_rotation, usual_window

FAMILIES = (*FAMILIES, shared_kv.FAMILY)


def config_from_hugging_face(theirs: Any) -> ModelConfig:
    """Our configuration of the model that one of transformers' configurations describes.

    Raises ValueError for a family, or an option of it, that our modules do not express.
    """
    family = family_of(theirs)
    values: dict[str, Any] = {}
    sizes = {ours: getattr(theirs, name, None) for ours, name in family.sizes}
    if family.scaled_embedding:
        sizes["embedding_scale"] = theirs.hidden_size**0.5
    sizes |= shared_kv.our_values(theirs) if family is shared_kv.FAMILY else our_rotation(theirs, family)
    for path, value in (family.always | sizes).items():
        *owners, name = path.split(".")
        if value is not None:
            place = values
            for owner in owners:
                place = place.setdefault(owner, {})
            place[name] = value
    if named := getattr(theirs, "mlp_only_layers", None):
        values["moe"]["n_dense_layers"] = _first_layers("mlp_only_layers", named)
    kinds = getattr(theirs, "mlp_layer_types", None)
    if kinds and family is not shared_kv.FAMILY:
        dense = [layer for layer, kind in enumerate(kinds) if kind == "dense"]
        values["moe"]["n_dense_layers"] = _first_layers("mlp_layer_types with dense ones", dense)
    if values.get("moe", {}).get("n_dense_layers", 0) >= values["n_layers"]:
        del values["moe"]
    return _usual(ModelConfig.from_dict(values))


def _first_layers(name: str, named: list[int]) -> int:
    """How many layers are named, where they are the first ones; ours are dense nowhere else."""
    if sorted(named) != list(range(len(named))):
        raise ValueError(f"the model has {name} = {named!r}, but our modules have dense layers only at first")
    return len(named)


def config_to_hugging_face(config: ModelConfig) -> Any:
    """transformers' configuration of a model like ours: of the first family that gives back the same sizes.

    Raises ValueError, with what keeps the closest family from it, where there is none.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    ours, lacking = _flat(_essential(config)), {}
    for family in FAMILIES:
        if not all(path in ours for path, _ in family.sizes if path.startswith("attention.")):
            continue  # another kind of attention
        try:
            theirs = AutoConfig.for_model(family.model_type, **_their_values(config, family))
            back = _flat(_essential(config_from_hugging_face(theirs)))
        except (ValueError, StrictDataclassError) as error:
            lacking[family.model_type] = [f"sizes like these ({str(error).splitlines()[-1].strip()})"]
            continue
        if back == ours:
            return theirs
        different = [path for path, value in ours.items() if path not in back or back[path] != value]
        lacking[family.model_type] = [f"{path} = {ours[path]!r}" for path in different]
    if not lacking:
        raise ValueError(f"Hugging Face has no model with attention like this one's: {config.attention}")
    closest = min(lacking, key=lambda name: len(lacking[name]))
    raise ValueError(
        f"Hugging Face has no model like this one; the closest, {closest!r}, lacks {', '.join(lacking[closest])}"
    )


def family_of(theirs: Any) -> Family:
    """The family whose options all have the value that we know; a ValueError says what stands in the way."""
    name = theirs.model_type
    families = [family for family in FAMILIES if family.model_type == name]
    if not families:
        known = ", ".join(dict.fromkeys(family.model_type for family in FAMILIES))
        why = f": {BEYOND[name]}" if name in BEYOND else ""
        raise ValueError(f"model_type is {name!r}, which our modules do not express{why}; they express: {known}")
    wrong: dict[str, Any] = {}
    for family in families:
        wrong = {option: value for option, value in family.only.items() if getattr(theirs, option, value) != value}
        if not wrong:
            return family
    option, value = next(iter(wrong.items()))
    raise ValueError(f"the model has {option} = {getattr(theirs, option)!r}, but our modules know only {value!r}")


def _their_values(config: ModelConfig, family: Family) -> dict[str, Any]:
    """What the family's configuration is built from, and no token ids: ours mean other tokens."""
    ours = _flat(config)
    values = {name: ours[path] for path, name in family.sizes if path in ours} | family.only
    if "query_pre_attn_scalar" in values:
        scalar = config.grouped_attention.query_scalar or config.grouped_attention.sizes.head_dim
        values["query_pre_attn_scalar"] = int(scalar) if scalar == int(scalar) else scalar
    if config.moe is None and ("moe.n_dense_layers", "first_k_dense_replace") in family.sizes:
        values["first_k_dense_replace"] = config.n_layers
    if family.model_type == "qwen3_moe":
        values["mlp_only_layers"] = list(range(config.moe.n_dense_layers if config.moe else config.n_layers))
    no_ids = {f"{name}_token_id": None for name in ("bos", "eos", "pad")}
    rest = shared_kv.their_values(config) if family is shared_kv.FAMILY else their_rotation(config, family)
    return values | no_ids | rest


def _essential(config: ModelConfig) -> ModelConfig:
    """The same model without what its logits do not depend on."""
    moe = config.moe and replace(config.moe, noise=False)
    hidden_dim = moe.hidden_dim if moe is not None and moe.n_dense_layers == 0 else config.hidden_dim
    return _usual(replace(config, moe=moe, mtp_depth=0, hidden_dim=hidden_dim))


def _usual(config: ModelConfig) -> ModelConfig:
    """The same model in the words that are usual where there are several: short patterns, None for what is None's."""
    heads = config.attention
    if isinstance(heads, AttentionConfig):
        if heads.query_scalar == heads.sizes.head_dim:
            heads = replace(heads, query_scalar=None)
        if heads.window is not None:
            heads = replace(heads, window=usual_window(heads, config.n_layers))
    gate = None if config.gate == Gate() else config.gate
    return replace(config, attention=heads, gate=gate)


_NESTED = ("attention", "moe", "gate", "indexer", "compression", "hyper_connections")


def _flat(config: ModelConfig) -> dict[str, Any]:
    """Entries by path, such as "moe.top_k"; entries that are None stay."""
    return _flattened(asdict(config))


def _flattened(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if name in _NESTED and value is not None:
            flat |= _flattened(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
