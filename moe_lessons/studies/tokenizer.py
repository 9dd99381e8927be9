"""The course's tokenizer, learned again from text that every installation has: data/tokenizer.json.

python -m moe_lessons.studies.tokenizer --vocab-size 1024 --seed 0
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from moe_lessons.resources import data_path
from moe_lessons.text.corpus import tokenizer_texts
from moe_lessons.text.tokenizer import Tokenizer


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the course's tokenizer and write it."""
    parser = argparse.ArgumentParser(prog="python -m moe_lessons.studies.tokenizer", description=main.__doc__)
    parser.add_argument("--vocab-size", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None, help="default: the course's data/tokenizer.json")
    options = parser.parse_args(arguments)
    out = options.out or data_path() / "tokenizer.json"
    tokenizer = Tokenizer.train(tokenizer_texts(seed=options.seed), options.vocab_size)
    tokenizer.save(out)
    print(f"{out}: {tokenizer.vocab_size} tokens, fingerprint {tokenizer.fingerprint[:16]}")


if __name__ == "__main__":
    main()
