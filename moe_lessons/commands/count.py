"""`moe-lessons count`: parameters, cache and FLOPs of a model card, or of all of them in one table."""

import argparse
import json

HELP = "count a model's parameters, in all and at work on one token, its cache and its FLOPs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("card", nargs="?", help="a name from data/models, such as deepseek-v3")
    parser.add_argument("--all", action="store_true", help="every card, in one table")
    parser.add_argument("--context", type=int, default=4096, metavar="N", help="tokens to look back on (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON: one object, or for --all one for each card")


def run(args: argparse.Namespace) -> int:
    from moe_lessons.cards import card_names
    from moe_lessons.published.cards import cost, read_card

    if (args.card is None) != args.all:
        raise ValueError(f"give the name of one card or --all; the cards are: {', '.join(card_names())}")
    cards = [read_card(name) for name in (card_names() if args.all else [args.card])]
    costs = {card.name: cost(card, args.context) for card in cards}
    if args.json:
        details = {
            card.name: costs[card.name]._asdict() | {"not_expressed": card.not_expressed, "source": card.source}
            for card in cards
        }
        print(json.dumps(details if args.all else details[args.card]))
        return 0
    if args.all:
        print("\n".join(table(cards, costs, args.context)))
        return 0
    [card] = cards
    for name, value in costs[card.name]._asdict().items():
        print(f"{name.replace('_', ' '):<26} {value:>21,}")
    for what in card.not_expressed:
        print(f"not in our modules: {what}")
    return 0


def table(cards: list, costs: dict, context: int) -> list[str]:
    """One line for each card, smallest first; a star where the published model does something that ours does not."""
    head = ("model", "parameters", "active", "without embedding", "cache bytes/token", "FLOPs/token")
    rows: list[tuple[str, ...]] = [head]
    for card in sorted(cards, key=lambda card: costs[card.name].total):
        star = "*" if card.not_expressed else ""
        rows.append((card.name + star, *(f"{value:,}" for value in costs[card.name][:5])))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{first:<{widths[0]}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
        for first, *rest in rows
    ]
    note = (
        f"FLOPs: forward, looking back on {context:,} tokens or as many as the model reads; cache: two bytes a number."
    )
    lines += ["", note]
    if any(card.not_expressed for card in cards):
        lines.append("* does something that our modules do not: `moe-lessons count NAME` says what.")
    return lines
