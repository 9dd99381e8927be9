"""Model cards: the sizes of published models as facts, with their sources, and what these sizes cost."""

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple

from moe_lessons.accounting import (
    Kept,
    ParameterCount,
    cache_bytes,
    cache_bytes_per_token,
    continuation_flops,
    count_parameters,
    forward_flops,
    numbers_kept,
    parameter_table,
)
from moe_lessons.cards import card_values
from moe_lessons.config import ModelConfig


class Extra(NamedTuple):
    """What our modules lack of a published model, by formulas over its configuration; less than 0 takes away.

    `products` and `cache` may depend on `context`, the tokens that one looks back on, itself among them.
    """

    what: str
    total: str  # parameters
    active: str
    products: str  # of one token
    cache: str  # numbers kept of a text


class Card(NamedTuple):
    """One file of data/models."""

    name: str
    source: str
    config: ModelConfig
    published_parameters: int | None  # what the publisher's weights add up to
    stated: dict[str, str]  # numbers in the publisher's words, such as total = "47B", and their source
    not_expressed: tuple[str, ...]  # what the published model does and ours does not
    extra: tuple[Extra, ...]
    stored_bits: dict[str, float]  # of a number in the publisher's files, by part, and of the rest; {}: nobody says

    @property
    def is_published(self) -> bool:
        """Whether somebody else made the model; the course's own cards say how to train one."""
        return self.source != "moe-lessons"


class Cost(NamedTuple):
    """What a model of these sizes costs."""

    total: int
    active: int
    active_without_embedding: int
    cache_bytes_per_token: int  # two bytes a number
    flops_per_token: int  # of a forward pass that looks back on `context` tokens
    context: int
    cache_bytes: int  # of a text of `context` tokens; layers with a sliding window keep no more than it is wide
    next_token_flops: int  # of the last of `context` tokens, where the others lie in the cache
    weight_bytes: int | None  # as the publisher stores them; None: nobody says


def read_card(name: str) -> Card:
    """The card `data/models/<name>.toml`; an unknown name is a ValueError that lists the known ones."""
    values = card_values(name)
    return Card(
        name=name,
        source=values["source"],
        config=ModelConfig.from_dict(values["config"]),
        published_parameters=values.get("published_parameters"),
        stated=values.get("stated", {}),
        not_expressed=tuple(values.get("not_expressed", ())),
        extra=tuple(_extra(written) for written in values.get("extra", ())),
        stored_bits=values.get("stored_bits", {}),
    )


def _extra(written: dict[str, str]) -> Extra:
    """One entry of a card; a model's parts that say nothing of products and cache have none."""
    what, total = written["what"], written["total"]
    return Extra(what, total, written.get("active", total), written.get("products", "0"), written.get("cache", "0"))


def count_card(card: Card) -> ParameterCount:
    """The parameters of the published model: those of our modules, and the extra ones by their formulas."""
    count = count_parameters(card.config)
    total = sum(evaluate(extra.total, card.config) for extra in card.extra)
    active = sum(evaluate(extra.active, card.config) for extra in card.extra)
    return ParameterCount(count.total + total, count.active + active, count.active_without_embedding + active)


def cost(card: Card, context: int = 4096) -> Cost:
    """Parameters, cache and FLOPs of one token that looks back on `context` tokens, or on as many as the model reads.

    Raises ValueError for a context that is not a positive number.
    """
    if context < 1:
        raise ValueError(f"context is {context}, but must be at least 1: a token looks back on itself")
    config = card.config
    context = min(context, config.max_length)
    products = sum(evaluate(extra.products, config, context) for extra in card.extra)
    each, kept = cache_bytes_per_token(config), cache_bytes(config, context)
    for extra in card.extra:
        each += 2 * (evaluate(extra.cache, config, context + 1) - evaluate(extra.cache, config, context))
        kept += 2 * evaluate(extra.cache, config, context)
    flops = forward_flops(config, 1, context) // context + 2 * products
    following = continuation_flops(config, 1, 1, context - 1) + 2 * products
    return Cost(*count_card(card), each, flops, context, kept, following, stored_bytes(card))


def kept_by(card: Card) -> Kept:
    """Numbers that a text leaves behind in the published model, as a curve over the text's length."""
    kept = numbers_kept(card.config)
    fixed, first = (sum(evaluate(extra.cache, card.config, length) for extra in card.extra) for length in (0, 1))
    return kept._replace(growing=kept.growing + first - fixed, fixed=kept.fixed + fixed)


def stored_bytes(card: Card) -> int | None:
    """The weights in the precision of their publisher's files, without multi-token modules; None where nobody says."""
    if not card.stored_bits:
        return None
    config, rest = card.config, card.stored_bits["rest"]
    bits = sum(part.total * card.stored_bits.get(part.name, rest) for part in parameter_table(config))
    if config.moe is not None and config.moe.bias:  # what is added in experts is not stored as their matrices are
        layers = sum(config.is_sparse(layer) for layer in range(config.n_layers))
        added = layers * config.moe.n_routed_experts * (2 * config.moe.hidden_dim + config.dim)
        bits += added * (rest - card.stored_bits.get("experts", rest))
    return round((bits + rest * sum(evaluate(extra.total, config) for extra in card.extra)) / 8)


def in_words(bits: Mapping[str, float]) -> str:
    """Bits of a number by part, as `Card.stored_bits` has them, in words: the fewest first."""
    parts: dict[float, list[str]] = {}
    for part, each in sorted(bits.items(), key=lambda item: item[1]):
        parts.setdefault(each, []).append(part.replace("_", " "))
    if len(parts) == 1:
        return f"{next(iter(parts)):g} bits a number"
    return "; ".join(f"{each:g} bits: {', '.join(named)}" for each, named in parts.items())


def evaluate(formula: str, config: ModelConfig, context: int | None = None) -> int:
    """The value of sums, differences and products of whole numbers and of a configuration's sizes.

    Such as "n_layers * moe.top_k"; where there is a `context`, that is such a size, too.

    Raises ValueError for anything else in the formula.
    """

    def value(node: ast.AST) -> Any:
        match node:
            case ast.Expression(body=body):
                return value(body)
            case ast.Constant(value=int() as number):
                return number
            case ast.Name(id="context") if context is not None:
                return context
            case ast.Name(id=name) if hasattr(config, name):
                return getattr(config, name)
            case ast.Attribute(value=owner, attr=name) if hasattr(value(owner), name):
                return getattr(value(owner), name)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return value(left) + value(right)
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                return value(left) - value(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return value(left) * value(right)
        raise ValueError(
            f"{ast.unparse(node)!r} in the formula {formula!r} is no size of the model, sum, difference or product"
        )

    return value(ast.parse(formula, mode="eval"))
