"""The sections of `moe-lessons bench`: each measures, and returns what goes into the JSON and the lines to print."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moe_lessons.benchmark.tables import generation_lines, latent_lines, layer_lines, start_lines, training_lines

if TYPE_CHECKING:
    import torch

    from moe_lessons.benchmark.machine import Machine
    from moe_lessons.benchmark.sparse_layer import Contest


def _layer(args: argparse.Namespace, device: "torch.device", machine: "Machine") -> tuple[list, list[str]]:
    import torch

    from moe_lessons.benchmark.sparse_layer import GPU_SHAPES, SHAPES, Shape, compare

    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    of_device = GPU_SHAPES if device.type == "cuda" else SHAPES
    shapes = [Shape(16, 8, 4, 2, 64)] if args.quick else of_device
    contests = [compare(shape, args.rounds, device, dtype) for shape in shapes]
    precision = str(dtype).removeprefix("torch.")
    found = [
        contest.shape._asdict()
        | {"precision": precision, "default": contest.default, "rival": contest.rival, "best_peer": contest.best_peer()}
        | {"ways": {name: _row(contest, name, machine) for name in contest.timings}, "left_out": contest.left_out}
        for contest in contests
    ]
    return found, layer_lines(contests, precision, machine.peak)


def _row(contest: "Contest", name: str, machine: "Machine") -> dict[str, float | None]:
    timing, dense = contest.timings[name], contest.timings[contest.rival].median
    speed = contest.shape.flops / timing.median
    return {
        "ratio": timing.median / dense,
        "ratio_low": timing.low / dense,
        "ratio_high": timing.high / dense,
        "ratio_to_dense": contest.ratio(name, to="dense"),
        "seconds": timing.median,
        "flops_per_second": speed,
        "share_of_peak": speed / machine.peak if machine.peak else None,
    }


def _training(args: argparse.Namespace, device: "torch.device", machine: "Machine") -> tuple[dict, list[str]]:
    from moe_lessons.benchmark.plain_training import plain_steps
    from moe_lessons.benchmark.training_speed import ARMS, MORE, compare

    peers, left_out = plain_steps(device, quick=args.quick)
    found = compare(args.rounds, device, arms=ARMS | MORE, quick=args.quick, parts=True, peers=peers)
    result = {
        name: training._asdict()
        | {"step": training.step._asdict(), "tokens_per_second": training.tokens_per_second}
        | ({"optimizer": training.optimizer._asdict()} if training.optimizer else {})
        for name, training in found.items()
    }
    return result, training_lines(found, machine.peak) + [f"left out: {name}: {why}" for name, why in left_out.items()]


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
