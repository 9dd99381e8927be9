"""`moe-lessons bench`: how fast this machine is, ours and others' side by side in one run."""

import argparse
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from moe_lessons.benchmark.generation_speed import Generation
    from moe_lessons.benchmark.machine import Machine
    from moe_lessons.benchmark.next_token import Continuation
    from moe_lessons.benchmark.sparse_layer import Contest
    from moe_lessons.benchmark.timing import Timing
    from moe_lessons.benchmark.training_speed import Training

SECTIONS = {
    "layer": "the sparse layer, each dispatch, beside a dense one and Hugging Face's Mixtral",
    "training": "tokens a second, dense and sparse",
    "generation": "tokens a second, beside Hugging Face's generate",
    "latent": "the next token behind 2,048 others: latents absorbed, latents unpacked, ordinary keys and values",
    "start": "seconds until Python has imported the course",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure, and how often."""
    sections = ", ".join(SECTIONS)
    parser.add_argument("--only", nargs="+", metavar="SECTION", help=f"some of: {sections}; default: all")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="calls of each; default: %(default)s")
    parser.add_argument("--device", help="cpu or cuda; default: a GPU where there is one")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, to see that it runs; the numbers mean nothing"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Measure section by section; a table is printed as soon as it is there."""
    if unknown := [name for name in args.only or () if name not in SECTIONS]:
        raise ValueError(f"--only names {unknown[0]!r}, but the sections are: {', '.join(SECTIONS)}")
    if args.rounds < 1:
        raise ValueError(f"--rounds is {args.rounds}, but a median needs at least 1; leave it out for 15")
    from moe_lessons.benchmark.machine import describe
    from moe_lessons.device import choose_device, keep_freed_memory

    device = choose_device(args.device)
    keep_freed_memory()  # before anything is timed: it serves all alike
    machine = describe(device)
    results: dict[str, Any] = {"machine": machine._asdict(), "rounds": args.rounds, "quick": args.quick}
    _show(args, machine_lines(machine))
    for name in SECTIONS:
        if args.only is None or name in args.only:
            results[name], lines = MEASURE[name](args, device, machine)
            _show(args, ["", *lines])
    if args.json:
        print(json.dumps(results))
    return 0


def _show(args: argparse.Namespace, lines: list[str]) -> None:
    if not args.json:
        print("\n".join(lines), flush=True)


def _layer(args: argparse.Namespace, device: "torch.device", machine: "Machine") -> tuple[list, list[str]]:
    import torch

    from moe_lessons.benchmark.sparse_layer import SHAPES, Shape, compare

    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    shapes = [Shape(16, 8, 4, 2, 64)] if args.quick else SHAPES
    contests = [compare(shape, args.rounds, device, dtype) for shape in shapes]
    precision = str(dtype).removeprefix("torch.")
    found = [
        contest.shape._asdict()
        | {"precision": precision, "default": contest.default, "best_peer": contest.best_peer()}
        | {"ways": {name: _row(contest, name, machine) for name in contest.timings}, "left_out": contest.left_out}
        for contest in contests
    ]
    return found, layer_lines(contests, precision, machine.peak)


def _row(contest: "Contest", name: str, machine: "Machine") -> dict[str, float | None]:
    timing, dense = contest.timings[name], contest.timings["dense"].median
    speed = contest.shape.flops / timing.median
    return {
        "ratio": timing.median / dense,
        "ratio_low": timing.low / dense,
        "ratio_high": timing.high / dense,
        "seconds": timing.median,
        "flops_per_second": speed,
        "share_of_peak": speed / machine.peak if machine.peak else None,
    }


def _training(args: argparse.Namespace, device: "torch.device", machine: "Machine") -> tuple[dict, list[str]]:
    from moe_lessons.benchmark.training_speed import compare

    found = compare(args.rounds, device, quick=args.quick, parts=True)
    result = {
        name: training._asdict()
        | {"step": training.step._asdict(), "tokens_per_second": training.tokens_per_second}
        | ({"optimizer": training.optimizer._asdict()} if training.optimizer else {})
        for name, training in found.items()
    }
    return result, training_lines(found, machine.peak)


def _generation(args: argparse.Namespace, device: "torch.device", machine: "Machine") -> tuple[dict, list[str]]:
    from moe_lessons.benchmark.generation_speed import compare

    found = compare(min(args.rounds, 7), device, quick=args.quick)
    ways = {
        name: timing._asdict()
        | {"tokens_per_second": found.tokens_per_second(name), "threads": found.threads[name]}
        | {"others": {count: other._asdict() for count, other in found.others[name].items()}}
        for name, timing in found.timings.items()
    }
    faster = {kind: found.times_as_fast(kind) for kind in ("dense", "moe")}
    kept = {"tokens": found.tokens, "same_text": found.same_text, "left_out": found.left_out}
    return {"timings": ways, "times_as_fast": faster} | kept, generation_lines(found)


def _latent(args: argparse.Namespace, device: "torch.device", machine: "Machine") -> tuple[dict, list[str]]:
    from moe_lessons.benchmark.next_token import compare

    found = compare(args.rounds, device, quick=args.quick)
    ways = {
        name: timing._asdict() | {"times_absorbed": found.times_as_long(name), "cache_bytes": found.cache_bytes[name]}
        for name, timing in found.timings.items()
    }
    return {"context": found.context, "ways": ways}, latent_lines(found)


def _start(args: argparse.Namespace, device: "torch.device", machine: "Machine") -> tuple[dict, list[str]]:
    from moe_lessons.benchmark.start_up import STATEMENTS, compare

    statements = dict(list(STATEMENTS.items())[:2]) if args.quick else STATEMENTS
    found = compare(min(args.rounds, 5), statements)
    return {name: timing._asdict() for name, timing in found.items()}, start_lines(found)


MEASURE: dict[str, Callable[..., tuple[Any, list[str]]]] = {
    "layer": _layer,
    "training": _training,
    "generation": _generation,
    "latent": _latent,
    "start": _start,
}


def machine_lines(machine: "Machine") -> list[str]:
    """Where the numbers come from."""
    transformers = f"transformers {machine.transformers}" if machine.transformers else "without transformers"
    return [
        f"{machine.device}, {machine.cores} cores, {machine.threads} threads; {machine.system}, Python "
        f"{machine.python}, torch {machine.torch}, {transformers}",
        "Medians of calls that take turns, with their quartiles; freed memory is kept, for all alike.",
    ]


def layer_lines(contests: list["Contest"], precision: str, peak: float | None) -> list[str]:
    """One column for each shape, one row for each way; below it what was left out, and what it comes to."""
    names = list(dict.fromkeys(name for contest in contests for name in contest.timings))
    head = [
        ["", *(f"{contest.shape.dim} x {contest.shape.hidden}" for contest in contests)],
        ["", *(f"{contest.shape.experts} experts, {contest.shape.top_k} used" for contest in contests)],
        ["", *(f"{contest.shape.tokens:,} tokens" for contest in contests)],
        ["dense, ms", *(_spread(contest.timings["dense"], 1000, 1) for contest in contests)],
    ]
    rows = [[name, *(_cell(contest, name) for contest in contests)] for name in names if name != "dense"]
    lines = [
        f"Sparse layer in {precision}, forward and backward: times the dense layer of the same active size",
        *aligned(head + rows),
        "* what the layer takes by itself; MoE and Mixtral: whole layers, with their router",
    ]
    reasons = dict.fromkeys(
        (name, reason, "" if all(name in other.left_out for other in contests) else f" at {_size(contest)}")
        for contest in contests
        for name, reason in contest.left_out.items()
    )
    lines += [f"left out: {name}{where}: {reason}" for name, reason, where in reasons]
    return lines + [_conclusion(contest, peak) for contest in contests]


def _size(contest: "Contest") -> str:
    shape = contest.shape
    return f"{shape.dim} x {shape.hidden} x {shape.experts}"


def _cell(contest: "Contest", name: str) -> str:
    if name not in contest.timings:
        return "-"
    star = "*" if name == contest.default else " "
    return _spread(contest.timings[name], 1 / contest.timings["dense"].median, 2) + star


def _spread(timing: "Timing", factor: float, digits: int) -> str:
    median, low, high = (value * factor for value in timing)
    return f"{median:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def _conclusion(contest: "Contest", peak: float | None) -> str:
    speeds = {name: contest.shape.flops / contest.timings[name].median for name in ("dense", contest.default)}
    shares = ", ".join(f"{name} {_speed(speed, peak)}" for name, speed in speeds.items())
    peer = contest.best_peer()
    if peer is None:
        return f"{_size(contest)}: {shares}"
    less = 1 - contest.timings["MoE"].median / contest.timings[peer].median
    compared = f"{100 * less:.0f}% less" if less >= 0 else f"{-100 * less:.0f}% more"
    return f"{_size(contest)}: {shares}; MoE takes {compared} time than the best of Hugging Face, {peer}"


def _speed(flops_per_second: float, peak: float | None) -> str:
    share = f" ({100 * flops_per_second / peak:.0f}% of the peak)" if peak else ""
    return f"{flops_per_second / 1e9:,.0f} GFLOP/s{share}"


def training_lines(found: dict[str, "Training"], peak: float | None) -> list[str]:
    """Tokens a second of each model, and what a sparse step costs in dense ones."""
    rows = [
        [
            name.replace(name.partition(",")[0], training.card, 1),
            f"{training.tokens_per_second:,.0f}",
            _spread(training.step, 1000, 0),
            _spread(training.optimizer, 1000, 0) if training.optimizer else "",
            _speed(training.tokens_per_second * training.flops_per_token, peak),
        ]
        for name, training in found.items()
    ]
    ratio = found["moe"].step.median / found["dense"].step.median
    return [
        f"Training, {found['dense'].tokens:,} tokens a step, optimizer included",
        *aligned([["", "tokens/s", "ms a step", "of these the optimizer", "model's products"], *rows]),
        f"a sparse step takes {ratio:.2f} times as long as a dense one",
    ]


def generation_lines(found: "Generation") -> list[str]:
    """Tokens a second of each model, ours and theirs, and how much faster ours are."""
    rows = [
        [
            name,
            str(found.threads[name]),
            f"{found.tokens_per_second(name):,.0f}",
            _spread(timing, 1000 / found.tokens, 2),
        ]
        for name, timing in found.timings.items()
    ]
    faster = {kind: ratio for kind in ("dense", "moe") if (ratio := found.times_as_fast(kind)) is not None}
    same = {True: "the same text from both", False: "NOT the same text from both", None: "nothing to compare with"}
    return [
        f"Generation with the cache, {found.tokens} tokens of one sequence: {same[found.same_text]}",
        *aligned([["", "threads given", "tokens/s", "ms a token"], *rows]),
        *(f"{kind}: {ratio:.2f} times as fast as Hugging Face, best against best" for kind, ratio in faster.items()),
        *(f"left out: {name}: {reason}" for name, reason in found.left_out.items()),
    ]


def latent_lines(found: "Continuation") -> list[str]:
    """Milliseconds and cache of each way, and what unpacking costs."""
    base = found.timings["absorbed"].median
    rows = [
        [name, _spread(timing, 1000, 2), _spread(timing, 1 / base, 2), f"{found.cache_bytes[name] / 1e6:.1f}"]
        for name, timing in found.timings.items()
    ]
    return [
        f"Latent attention, one more token behind {found.context:,} others; kept: ordinary attention, as many heads",
        *aligned([["", "ms a token", "times absorbed", "MB of cache"], *rows]),
        f"unpacking the latents takes {found.times_as_long('unpacked'):.2f} times as long as absorbing, "
        f"ordinary attention {found.times_as_long('kept'):.2f} times",
    ]


def start_lines(found: dict[str, "Timing"]) -> list[str]:
    """Milliseconds from the start of Python to its end."""
    rows = [[name, _spread(timing, 1000, 0)] for name, timing in found.items()]
    return ["From the start of Python to its end", *aligned([["", "ms"], *rows])]


def aligned(rows: list[list[str]]) -> list[str]:
    """Columns of one width each, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([f"  {first:<{widths[0]}}", *cells]).rstrip())
    return lines
