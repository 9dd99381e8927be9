"""`moe-lessons count`: parameters, cache and FLOPs of a model card, or of all of them in one table."""

import argparse
import json

CONTEXTS = (4096, 131_072, 1_048_576)
IN_COLUMNS = {
    "cache_bytes": "cache bytes",
    "flops_per_token": "FLOPs per token read",
    "next_token_flops": "FLOPs per token written",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("card", nargs="?", help="a name from data/models, such as deepseek-v3")
    parser.add_argument("--all", action="store_true", help="every card, in one table")
    parser.add_argument(
        "--context",
        type=int,
        metavar="N",
        help="tokens to look back on; without it 4096, and for one card 131072 and 1048576, too",
    )
    parser.add_argument("--json", action="store_true", help="print JSON: one object, or for --all one for each card")


def run(args: argparse.Namespace) -> int:
    from moe_lessons.cards import card_names
    from moe_lessons.published.cards import cost, read_card

    if (args.card is None) != args.all:
        raise ValueError(f"give the name of one card or --all; the cards are: {', '.join(card_names(later=True))}")
    cards = [read_card(name) for name in (card_names(later=True) if args.all else [args.card])]
    contexts = CONTEXTS if args.context is None else (args.context,)
    costs = {card.name: cost(card, contexts[0]) for card in cards}
    if args.json:
        details = {
            card.name: costs[card.name]._asdict()
            | {"not_expressed": card.not_expressed, "source": card.source, "stored_bits": card.stored_bits}
            for card in cards
        }
        print(json.dumps(details if args.all else details[args.card]))
        return 0
    if args.all:
        print("\n".join(table(cards, costs, contexts[0])))
        return 0
    [card] = cards
    # As many tokens as the model reads take the place of more.
    at = {found.context: found for found in (cost(card, context) for context in contexts)}
    print("\n".join(one(card, list(at.values()))))
    return 0


def one(card, costs: list) -> list[str]:
    """All that is known of one card; what depends on the text's length, in a column for each."""
    from moe_lessons.published.cards import in_words

    first = costs[0]
    lines = [f"{name.replace('_', ' '):<26} {getattr(first, name):>21,}" for name in first._fields[:3]]
    if first.weight_bytes is None:
        lines.append(f"{'weight bytes':<26} {'not stated':>21}")
    else:
        lines.append(f"{'weight bytes':<26} {first.weight_bytes:>21,}")
    lines.append(f"{'cache bytes per token':<26} {first.cache_bytes_per_token:>21,}")
    lines += ["", f"{'looking back on':<26} " + " ".join(f"{of.context:>21,}" for of in costs)]
    for name, words in IN_COLUMNS.items():
        lines.append(f"{words:<26} " + " ".join(f"{getattr(of, name):>21,}" for of in costs))
    notes = [f"weights are stored in {in_words(card.stored_bits)}"] if card.stored_bits else []
    notes += [f"not in our modules: {what}" for what in card.not_expressed]
    return [*lines, "", *notes] if notes else lines


def table(cards: list, costs: dict, context: int) -> list[str]:
    """One line for each card, smallest first; a star where the published model does something that ours does not."""
    head = ("model", "parameters", "active", "without embedding", "cache bytes", "FLOPs")
    rows: list[tuple[str, ...]] = [head]
    for card in sorted(cards, key=lambda card: costs[card.name].total):
        star, of = "*" if card.not_expressed else "", costs[card.name]
        shown = (*of[:3], of.cache_bytes, of.next_token_flops)
        rows.append((card.name + star, *(f"{value:,}" for value in shown)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{first:<{widths[0]}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
        for first, *rest in rows
    ]
    lines += [
        "",
        f"Cache: of {context:,} tokens or as many as the model reads, two bytes a number; FLOPs: of the last of them, "
        "by itself.",
    ]
    if any(card.not_expressed for card in cards):
        lines.append("* does something that our modules do not: `moe-lessons count NAME` says what.")
    return lines
