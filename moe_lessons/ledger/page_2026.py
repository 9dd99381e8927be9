"""The ledger's second page: what was claimed of DeepSeek-V4 in 2026, each line computed and judged.

What lesson 17 settles is computed there once more, in its own words; a test holds both to the same number.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch

from moe_lessons.accounting import cache_bytes, count_parameters, parameter_table
from moe_lessons.accounting.long_context import equivalent_flops, kept_bytes, written_products
from moe_lessons.config import ModelConfig
from moe_lessons.ledger.judges import Judgment
from moe_lessons.ledger.measures import Measured
from moe_lessons.long_texts import CompressionConfig, IndexerConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.published.cards import read_card, stored_bytes
from moe_lessons.tracing.record import record_routing

MILLION = 2**20
PRO, BEFORE = "deepseek-v4-pro", "deepseek-v3.2"
# Bits of what is multiplied, where not 8. The report (section 2.3.4) puts V4's indexer into 4. Attention in 16 is our
# reading: of four such lists it is the only one near the report's numbers for both of its models. Other lists fit, too;
# lesson 17 counts them.
BITS = {PRO: {"attention": 16, "indexer": 4}, BEFORE: {"attention": 16}}


def sizes(name: str) -> ModelConfig:
    """A card's configuration, made to read a million tokens."""
    return replace(ModelConfig.from_card(name), max_length=MILLION)


def at_work() -> Measured:
    """DeepSeek-V4-Pro's parameters at work on a token, without the input embedding."""
    count = count_parameters(sizes(PRO))
    return Measured(
        count.active_without_embedding / 1e9,
        "{:.1f}",
        f"Of {count.total / 1e9:,.0f} billion in all, {count.active_without_embedding / count.total:.1%}, where the "
        f"look-up of the input embedding does not count; with it {count.active / 1e9:.1f} billion.",
    )


def arithmetic() -> Measured:
    """FLOPs of a token behind a million others, by DeepSeek-V3.2's, a product in 16 bits counted as two in 8."""
    products = {name: written_products(sizes(name), MILLION) for name in (PRO, BEFORE)}
    pro, before = (equivalent_flops(products[name], BITS[name]) for name in (PRO, BEFORE))
    plain = sum(products[PRO].values()) / sum(products[BEFORE].values())
    return Measured(
        pro / before,
        "{:.1%}",
        f"Attention in 16 bits, V4's indexer in 4, all else in 8, as we read the report. Every product counted alike "
        f"it is {plain:.1%}.",
    )


def cache() -> Measured:
    """Bytes that a million tokens leave, by DeepSeek-V3.2's."""
    pro, before = (kept_bytes(sizes(name), MILLION) for name in (PRO, BEFORE))
    alike = cache_bytes(sizes(PRO), MILLION) / cache_bytes(sizes(BEFORE), MILLION)
    return Measured(
        pro / before,
        "{:.1%}",
        f"{pro / 2**30:.1f} GiB against {before / 2**30:.1f}, in the formats of serving. With every number in "
        f"16 bits it is {alike:.1%}.",
    )


def layers_by_id() -> Measured:
    """Layers of a small DeepSeek-V4 in which the token's id alone decides which experts work."""
    same = same_by_id(small_v4())
    others = [share for share in same if share < 1]
    return Measured(
        sum(share == 1 for share in same),
        "{:.0f}",
        f"In a small, untrained model with as many layers and such a table in the same ones. In the others, from "
        f"{min(others):.0%} to {max(others):.0%} of the tokens go where most tokens of their id go.",
    )


def bits() -> Measured:
    """Bits that DeepSeek-V4-Pro's parameters are stored in, in the mean."""
    card = read_card(PRO)
    parts, total = parameter_table(card.config), count_parameters(card.config).total
    stored = stored_bytes(card)
    assert stored is not None
    wide = sum(part.total for part in parts if card.stored_bits.get(part.name, card.stored_bits["rest"]) >= 16)
    return Measured(
        8 * stored / total,
        "{:.2f}",
        f"{stored / 1e9:.0f} GB; {wide / 1e9:.1f} billion parameters, {wide / total:.2%}, are counted with 16 bits.",
    )


def small_v4() -> ModelConfig:
    """DeepSeek-V4-Pro's layers with their kinds, tables and streams, made narrow enough to run here."""
    config = sizes(PRO)
    heads, far = config.shared_kv_attention, config.shared_kv_attention.compression
    assert isinstance(far, CompressionConfig)
    narrow = {"n_heads": 2, "head_dim": 8, "rope_head_dim": 4, "q_lora_rank": 8, "window": 16}
    few = replace(far, indexer=IndexerConfig(n_heads=2, head_dim=8, top_k=4), heavy_rate=16)
    return replace(
        config,
        vocab_size=64,
        dim=16,
        hidden_dim=8,
        max_length=256,
        attention=replace(heads, **narrow, output_groups=2, output_rank=4, compression=few),
        moe=replace(config.mixture, n_routed_experts=16, top_k=2, hidden_dim=8),
    )


def same_by_id(config: ModelConfig, tokens: int = 1024, *, dealt_anew: bool = False) -> list[float]:
    """By layer, the share of tokens whose experts are those that most tokens of their id have, without training.

    `dealt_anew` shuffles the ids once the routes are known, so that they agree by luck alone.
    """
    model, generator = Transformer(config, seed=0).eval(), torch.Generator().manual_seed(0)
    ids = torch.randint(config.vocab_size, (tokens // 128, 128), generator=generator)
    with record_routing(model) as trace, torch.no_grad():
        model.read(ids)
    if dealt_anew:
        ids = ids.flatten()[torch.randperm(tokens, generator=generator)]
    shares = []
    for layer in np.sort(trace.experts, axis=-1):  # which they are, in whatever order
        routes = Counter(zip(ids.flatten().tolist(), map(tuple, layer.tolist()), strict=True))
        most: Counter[int] = Counter()
        for (token, _), count in routes.items():
            most[token] = max(most[token], count)
        shares.append(most.total() / tokens)
    return shares


def _parameters(values: Mapping[str, float]) -> Judgment:
    value, total = values["17"], count_parameters(sizes(PRO)).total / 1e9
    near = abs(value / 49 - 1) < 0.02 and abs(total / 1600 - 1) < 0.02
    return Judgment(
        "right" if near else "wrong",
        f"{value:.1f} of {total:,.0f} billion, {value / total:.1%}, counted by the code of this course.",
    )


def _arithmetic(values: Mapping[str, float]) -> Judgment:
    value = values["17"]
    word = "right" if abs(value - 0.27) < 0.01 else "half right" if value < 0.5 else "wrong"
    return Judgment(
        word, f"{value:.1%}, where a product counts by its bits. The report does not say which take 16, so that "
        "a point up or down is open."
    )  # fmt: skip


def _cache(values: Mapping[str, float]) -> Judgment:
    value = values["17"]
    word = "right" if abs(value - 0.10) < 0.01 else "half right" if value < 0.5 else "wrong"
    return Judgment(word, f"{value:.1%} of the bytes, {1 / value:.1f} times fewer, in the formats that servers use.")


def _routes(values: Mapping[str, float]) -> Judgment:
    layers, stated = round(values["17"]), sizes(PRO).mixture.n_hash_layers
    return Judgment(
        "right" if layers == stated else "wrong",
        f"In {layers} layers the id alone decides which experts work. How much each of them counts is learned.",
    )


def _bits(values: Mapping[str, float]) -> Judgment:
    value = values["17"]
    word = "right" if 4 <= value <= 8 else "wrong"
    return Judgment(
        word, f"{value:.2f} bits a parameter in the mean: nearly all of them are experts, in 4 and a scale."
    )


MEASURES_2026: Mapping[tuple[str, str], Callable[[], Measured]] = {
    ("v4-parameters", "17"): at_work,
    ("v4-arithmetic", "17"): arithmetic,
    ("v4-cache", "17"): cache,
    ("v4-routes-from-a-table", "17"): layers_by_id,
    ("v4-bits", "17"): bits,
}
JUDGES_2026: Mapping[str, Callable[[Mapping[str, float]], Judgment]] = {
    "v4-parameters": _parameters,
    "v4-arithmetic": _arithmetic,
    "v4-cache": _cache,
    "v4-routes-from-a-table": _routes,
    "v4-bits": _bits,
}
