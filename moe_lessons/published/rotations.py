"""Rotary positions and sliding windows, which Hugging Face keeps for all layers or for each kind of them, as ours."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from moe_lessons.concerns import SlidingWindow
from moe_lessons.config import AnyAttention, AttentionConfig, ModelConfig
from moe_lessons.published.families import Family

# Entries of rope_parameters that change nothing.
_HARMLESS = (("partial_rotary_factor", 1.0), ("truncate", True), ("type", "yarn"), ("type", "llama3"))
_KINDS = {"sliding_attention": "windowed", "full_attention": "full"}


def our_rotation(theirs: Any, family: Family) -> dict[str, Any]:
    """The entries of our attention that say how positions turn and how far a layer's tokens see.

    Raises ValueError for kinds of layers and of rotation that our modules do not express.
    """
    rope = theirs.rope_parameters
    of_full = our_scaling(rope["full_attention"] if family.two_rotations else rope)
    values = {f"attention.{name}": value for name, value in of_full.items()}
    if not family.windows:
        return values
    for kind in theirs.layer_types:
        if kind not in _KINDS:
            raise ValueError(f"layer_types has {kind!r}, but our modules know only {', '.join(map(repr, _KINDS))}")
    pattern = tuple(_KINDS[kind] for kind in theirs.layer_types)
    if "windowed" not in pattern:
        return values
    window: dict[str, Any] = {"size": theirs.sliding_window, "pattern": pattern}
    if family.two_rotations:
        of_windowed = our_scaling(rope["sliding_attention"])
        if of_windowed != of_full:
            if of_windowed["rope_scaling"] is not None:
                kind = rope["sliding_attention"]["rope_type"]
                raise ValueError(f"rope_type of windowed layers is {kind!r}, but our modules know only 'default' there")
            window["rope_theta"] = of_windowed["rope_theta"]
    return values | {"attention.window": window}


def their_rotation(config: ModelConfig, family: Family) -> dict[str, Any]:
    """The inverse of `our_rotation`."""
    of_full = their_scaling(config.attention)
    if not family.windows:
        return {"rope_parameters": of_full}
    heads = config.grouped_attention
    names = {ours: theirs for theirs, ours in _KINDS.items()}
    kinds = ["full" if heads.window_of(layer) is None else "windowed" for layer in range(config.n_layers)]
    values: dict[str, Any] = {"layer_types": [names[kind] for kind in kinds], "rope_parameters": of_full}
    if heads.window is not None:
        values["sliding_window"] = heads.window.size
    if family.two_rotations:
        own = None if heads.window is None else heads.window.rope_theta
        of_windowed = of_full if own is None else {"rope_type": "default", "rope_theta": own}
        values["rope_parameters"] = {"full_attention": of_full, "sliding_attention": of_windowed}
    return values


def usual_window(heads: AttentionConfig, n_layers: int) -> SlidingWindow | None:
    """The same window with the shortest pattern, and no base of its own where that is the full layers', unscaled."""
    window = heads.window
    if window is None or all(window.of(layer) is None for layer in range(n_layers)):
        return None
    kinds = [window.pattern[layer % len(window.pattern)] for layer in range(n_layers)]
    period = next(n for n in range(1, n_layers + 1) if all(kinds[i] == kinds[i % n] for i in range(n_layers)))
    same = heads.rope_scaling is None and window.rope_theta == heads.rope_theta
    return replace(window, pattern=tuple(kinds[:period]), rope_theta=None if same else window.rope_theta)


def our_scaling(theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Base and scaling of one kind of layer."""
    kind = theirs.get("rope_type", "default")
    if kind not in ("default", "yarn", "llama3"):
        raise ValueError(f"rope_type is {kind!r}, but our modules know only 'default', 'yarn' and 'llama3'")
    known = {"rope_type", "rope_theta", "factor", "original_max_position_embeddings"}
    scaling: dict[str, Any] = {}
    if kind != "default":
        scaling = {"factor": theirs["factor"], "original_length": theirs["original_max_position_embeddings"]}
    if kind == "yarn":
        known |= {"beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"}
        scaling |= {} if theirs.get("truncate", True) else {"whole": False}
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
    return {"rope_theta": float(theirs["rope_theta"]), "rope_scaling": scaling or None}


def their_scaling(attention: AnyAttention) -> dict[str, Any]:
    """The inverse of `our_scaling`."""
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
    if not scaling.whole:
        values["truncate"] = False
    if scaling.mscale_all_dim:
        values |= {"mscale": scaling.mscale, "mscale_all_dim": scaling.mscale_all_dim}
    return values
