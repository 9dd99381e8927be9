"""`moe-lessons count`: the parameters of a model card, in all and at work on one token."""

import argparse
import json

HELP = "count a model's parameters, in all and at work on one token"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("card", help="a name from data/models, such as course-moe")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from moe_lessons.accounting import count_parameters
    from moe_lessons.config import ModelConfig

    count = count_parameters(ModelConfig.from_card(args.card))
    if args.json:
        print(json.dumps(count._asdict()))
        return 0
    for name, value in count._asdict().items():
        print(f"{name.replace('_', ' '):<26} {value:>18,}")
    return 0
