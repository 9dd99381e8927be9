"""Configurations of Hugging Face's `transformers` as ours, and ours as theirs, by the tables in `families`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from moe_lessons.config import ModelConfig
from moe_lessons.published import shared_kv
from moe_lessons.published.families import BEYOND, FAMILIES, Family

FAMILIES = (*FAMILIES, shared_kv.FAMILY)

# Entries of rope_parameters that change nothing.
_HARMLESS = (("partial_rotary_factor", 1.0), ("truncate", True), ("type", "yarn"), ("type", "llama3"))


def config_from_hugging_face(theirs: Any) -> ModelConfig:
    """Our configuration of the model that one of transformers' configurations describes.

    Raises ValueError for a family, or an option of it, that our modules do not express.
    """
    family = _family_of(theirs)
    values: dict[str, Any] = {}
    sizes = {ours: getattr(theirs, name, None) for ours, name in family.sizes}
    if family is shared_kv.FAMILY:
        sizes |= shared_kv.our_values(theirs, _our_rotation)
    else:
        sizes |= _our_rotation(theirs.rope_parameters)
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
    return ModelConfig.from_dict(values)


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
    closest = min(lacking, key=lambda name: len(lacking[name]))
    raise ValueError(
        f"Hugging Face has no model like this one; the closest, {closest!r}, lacks {', '.join(lacking[closest])}"
    )


def _family_of(theirs: Any) -> Family:
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
    if config.moe is None and ("moe.n_dense_layers", "first_k_dense_replace") in family.sizes:
        values["first_k_dense_replace"] = config.n_layers
    if family.model_type == "qwen3_moe":
        values["mlp_only_layers"] = list(range(config.moe.n_dense_layers if config.moe else config.n_layers))
    no_ids = {f"{name}_token_id": None for name in ("bos", "eos", "pad")}
    if family is shared_kv.FAMILY:
        return values | no_ids | shared_kv.their_values(config, _their_rotation)
    return values | no_ids | {"rope_parameters": _their_rotation(config.attention)}


def _essential(config: ModelConfig) -> ModelConfig:
    """The same model without what its logits do not depend on."""
    moe = config.moe and replace(config.moe, noise=False)
    hidden_dim = moe.hidden_dim if moe is not None and moe.n_dense_layers == 0 else config.hidden_dim
    return replace(config, moe=moe, mtp_depth=0, hidden_dim=hidden_dim)


def _flat(config: ModelConfig) -> dict[str, Any]:
    """Entries by path, such as "moe.top_k"; entries that are None stay."""
    return _flattened(config.to_dict())


def _flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if name in ("attention", "moe", "indexer", "compression", "hyper_connections") and value is not None:
            flat |= _flattened(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _our_rotation(theirs: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of our attention that Hugging Face keeps in `rope_parameters`."""
    kind = theirs.get("rope_type", "default")
    if kind not in ("default", "yarn", "llama3"):
        raise ValueError(f"rope_type is {kind!r}, but our modules know only 'default', 'yarn' and 'llama3'")
    known = {"rope_type", "rope_theta", "factor", "original_max_position_embeddings"}
    scaling: dict[str, Any] = {}
    if kind != "default":
        scaling = {"factor": theirs["factor"], "original_length": theirs["original_max_position_embeddings"]}
    if kind == "yarn":
        known |= {"beta_fast", "beta_slow", "mscale", "mscale_all_dim"}
        scaling |= {"fast": theirs.get("beta_fast") or 32.0, "slow": theirs.get("beta_slow") or 1.0}
        if theirs.get("mscale") and theirs.get("mscale_all_dim"):
            scaling |= {"mscale": theirs["mscale"], "mscale_all_dim": theirs["mscale_all_dim"]}
        elif theirs.get("mscale_all_dim"):
            raise ValueError("rope_parameters has mscale_all_dim without mscale; our modules need both or neither")
    elif kind == "llama3":
        known |= {"low_freq_factor", "high_freq_factor"}
        scaling |= {"fast": theirs["high_freq_factor"], "slow": theirs["low_freq_factor"]}
        scaling |= {"ramp": "turns", "mscale": 0.0}
    for name, value in theirs.items():
        if name not in known and value is not None and (name, value) not in _HARMLESS:
            raise ValueError(f"rope_parameters has {name} = {value!r}, which our modules do not express")
    return {"attention.rope_theta": float(theirs["rope_theta"]), "attention.rope_scaling": scaling or None}


def _their_rotation(attention: Any) -> dict[str, Any]:
    """The inverse of `_our_rotation`."""
    scaling, theta = attention.rope_scaling, attention.rope_theta
    if scaling is None:
        return {"rope_type": "default", "rope_theta": theta}
    values = {
        "rope_theta": theta,
        "factor": scaling.factor,
        "original_max_position_embeddings": scaling.original_length,
    }
    if scaling.ramp == "turns":
        return values | {"rope_type": "llama3", "low_freq_factor": scaling.slow, "high_freq_factor": scaling.fast}
    values |= {"rope_type": "yarn", "beta_fast": scaling.fast, "beta_slow": scaling.slow}
    if scaling.mscale_all_dim:
        values |= {"mscale": scaling.mscale, "mscale_all_dim": scaling.mscale_all_dim}
    return values
