"""Model cards: the sizes of published models as facts, with their sources, and what these sizes cost."""

import ast
from typing import Any, NamedTuple

from moe_lessons.accounting import ParameterCount, cache_bytes, cache_bytes_per_token, count_parameters, forward_flops
from moe_lessons.cards import card_values
from moe_lessons.config import ModelConfig


class Extra(NamedTuple):
    """Parameters of a published model that our modules lack, counted by a formula over the configuration."""

    what: str
    total: str
    active: str


class Card(NamedTuple):
    """One file of data/models."""

    name: str
    source: str
    config: ModelConfig
    published_parameters: int | None  # what the publisher's weights add up to
    stated: dict[str, str]  # numbers in the publisher's words, such as total = "47B", and their source
    not_expressed: tuple[str, ...]  # what the published model does and ours does not
    extra: tuple[Extra, ...]

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
        extra=tuple(Extra(e["what"], e["total"], e.get("active", e["total"])) for e in values.get("extra", ())),
    )


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
    context = min(context, card.config.max_length)
    flops = forward_flops(card.config, 1, context) // context
    kept = cache_bytes_per_token(card.config), cache_bytes(card.config, context)
    return Cost(*count_card(card), kept[0], flops, context, kept[1])


def evaluate(formula: str, config: ModelConfig) -> int:
    """The value of sums and products of whole numbers and of a configuration's sizes: "n_layers * moe.top_k".

    Raises ValueError for anything else in the formula.
    """

    def value(node: ast.AST) -> Any:
        match node:
            case ast.Expression(body=body):
                return value(body)
            case ast.Constant(value=int() as number):
                return number
            case ast.Name(id=name) if hasattr(config, name):
                return getattr(config, name)
            case ast.Attribute(value=owner, attr=name) if hasattr(value(owner), name):
                return getattr(value(owner), name)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return value(left) + value(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return value(left) * value(right)
        raise ValueError(f"{ast.unparse(node)!r} in the formula {formula!r} is no size of the model, sum or product")

    return value(ast.parse(formula, mode="eval"))
