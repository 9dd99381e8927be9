"""`moe-lessons train`: train a model on the course's corpus or on a text of one's own, and say how good it became.

`torchrun --nproc_per_node 2 -m moe_lessons train ...` is the same run on two processes.
"""

import argparse
import json
import math
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moe_lessons.training import Evaluation
    from moe_lessons.training.team import Alone


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to train on what, for how long."""
    parser.add_argument("--model", default="moe", metavar="dense|moe|CARD", help="default: moe; a card: data/models")
    parser.add_argument(
        "--text", type=Path, metavar="FILE", help="UTF-8 text, or a folder of *.txt; default: the course's corpus"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, help="train for this long, then measure; default: 100")
    length.add_argument("--steps", type=int, help="train for so many steps instead")
    parser.add_argument("--size-mb", type=float, default=1.0, help="the course's corpus: MB a domain; default: 1")
    parser.add_argument("--vocab-size", type=int, metavar="N", help="with --text: pieces to learn; default: the card's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cpu, cuda or mps; default: a GPU where there is one")
    parser.add_argument("--out", type=Path, metavar="PATH", help="keep the model at PATH.safetensors, notes beside it")
    parser.add_argument("--checkpoint-every", type=int, default=0, metavar="N", help="steps; default: at the end only")
    parser.add_argument("--half", action="store_true", help="keep it in 16 bits: half the file")
    parser.add_argument("--resume", action="store_true", help="go on with the stopped run at --out")
    parser.add_argument(
        "--patience",
        type=float,
        default=120.0,
        metavar="S",
        help="with torchrun: seconds to wait for a process that does not answer; default: 120",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Train, evaluate on text that training never saw, and print the result; 130 after Ctrl-C."""
    from moe_lessons.parallel import team

    with team(args.patience) as processes:
        return _run(args, processes)


def _run(args: argparse.Namespace, processes: "Alone") -> int:
    import torch

    from moe_lessons.accounting import count_parameters
    from moe_lessons.device import choose_device, own_gpu
    from moe_lessons.model.transformer import Transformer
    from moe_lessons.training import evaluate, mean_nats_per_byte, phone_book_bits, save_checkpoint, train
    from moe_lessons.training.checkpoint import beside
    from moe_lessons.training.recipes import recipe

    if args.resume and args.out is None:
        raise ValueError("--resume is given without --out; say where the stopped run was kept")
    if args.steps is not None and args.steps < 1:
        raise ValueError(f"--steps is {args.steps}, but training takes at least 1; leave it out for 100 seconds")
    device = own_gpu(choose_device(args.device))
    chosen = recipe(args.model, device.type, own_text=args.text is not None)
    length = (
        {"steps": args.steps}
        if args.steps is not None
        else {"seconds": 100.0 if args.seconds is None else args.seconds}
    )
    config = chosen.train_config(seed=args.seed, checkpoint_every=args.checkpoint_every, **length)
    if args.vocab_size is not None and args.text is None:
        raise ValueError(
            "--vocab-size is given without --text; the course's corpus has its own tokenizer, so leave it out"
        )
    corpus = _corpus(args, args.vocab_size or chosen.model.vocab_size)
    model = Transformer(chosen.model_config(corpus.tokenizer.vocab_size), device=device, seed=args.seed)
    command = f"moe-lessons train {shlex.join(_given(args))}"
    processes.spread(model)
    kept = {"checkpoint": args.out, "resume": args.resume, "notes": {"command": command}}
    history = train(model, corpus, config, **kept, team=processes)
    if processes.leader and not args.json:
        tokens = len(corpus.valid.ids)
        print(f"trained for {history.seconds:.0f} s; now measuring on {tokens:,} other tokens", file=sys.stderr)
    evaluations = evaluate(model, corpus, seq_len=config.seq_len)
    nats = mean_nats_per_byte(evaluations)
    count = count_parameters(model.config)
    result = {
        "nats_per_byte": nats,
        "bits_per_byte": nats / math.log(2),
        "seconds": history.seconds,
        "steps": history.steps,
        "tokens": history.tokens,
        "tokens_per_second": history.tokens / history.seconds if history.seconds else 0.0,
        "parameters_total": count.total,
        "parameters_active": count.active,
        "interrupted": history.interrupted,
        "model": chosen.card,
        "seed": args.seed,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "processes": processes.size,
        "domains": {name: _row(evaluation) for name, evaluation in evaluations.items()},
    }
    if "phone_book" in evaluations:
        known = phone_book_bits(model, corpus.tokenizer)
        result |= {"phone_book_bits": known.stored, "phone_book_bits_at_most": known.maximum}
    if args.out is not None:
        notes = {"command": command, "result": result, "train": asdict(config), **history.summary()}
        save_checkpoint(args.out, model, notes, torch.float16 if args.half else torch.float32, write=processes.leader)
        if args.text is not None and processes.leader:
            corpus.tokenizer.save(beside(args.out, ".tokenizer.json"))
    if processes.leader:
        print(json.dumps(result) if args.json else _table(result))
    return 130 if history.interrupted else 0


def _corpus(args: argparse.Namespace, vocab_size: int) -> Any:
    from moe_lessons.text.corpus import course_corpus
    from moe_lessons.text.own_text import text_corpus

    if args.text is not None:
        return text_corpus(args.text, vocab_size=vocab_size)
    return course_corpus(size_mb=args.size_mb)


def _given(args: argparse.Namespace) -> list[str]:
    """The arguments that decide the result, as one would type them."""
    words = ["--model", args.model]
    for name in ("text", "seconds", "steps", "size_mb", "vocab_size", "seed", "device"):
        value = getattr(args, name)
        if value is not None and not (name == "size_mb" and args.text is not None):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def _row(evaluation: "Evaluation") -> dict[str, float | None]:
    known = math.isfinite(evaluation.floor_nats)
    return {
        "nats_per_token": evaluation.nats_per_token,
        "nats_per_byte": evaluation.nats_per_byte,
        "bits_per_byte": evaluation.bits_per_byte,
        "tokens": evaluation.tokens,
        "floor_nats_per_token": evaluation.floor_per_token if known else None,
        "over_floor": evaluation.over_floor if known else None,
    }


def _table(result: dict[str, Any]) -> str:
    lines = [
        f"{result['nats_per_byte']:.3f} nats a byte ({result['bits_per_byte']:.3f} bits) on text not trained on, after "
        f"{result['steps']:,} steps, {result['tokens']:,} tokens, {result['seconds']:.0f} s",
        f"{result['parameters_total']:,} parameters, {result['parameters_active']:,} at work on one token",
    ]
    for name, row in result["domains"].items():
        floor = row["floor_nats_per_token"]
        beside = f"  floor {floor:.3f}, {100 * row['over_floor']:.0f}% above it" if floor is not None else ""
        lines.append(f"  {name:<12} {row['nats_per_token']:.3f} nats a token{beside}")
    if "phone_book_bits" in result:
        stored, most = result["phone_book_bits"], result["phone_book_bits_at_most"]
        blind = f"none of the phone book's {most:,.0f} bits known by heart: its guesses are worse than blind ones"
        lines.append(f"{stored:,.0f} of {most:,.0f} bits of the phone book known by heart" if stored > 0 else blind)
    return "\n".join(lines)
