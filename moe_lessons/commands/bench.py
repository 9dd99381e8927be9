"""`moe-lessons bench`: how fast this machine is, ours and others' side by side in one run."""

import argparse
import json
from pathlib import Path
from typing import Any

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
    parser.add_argument(
        "--gpu-report",
        nargs="?",
        const=Path("gpu-report.json"),
        type=Path,
        metavar="FILE",
        help="in under ten minutes on a CUDA device: layer, training, writing, GPU tests and every lesson's seconds, "
        "into FILE (default: %(const)s); goes on with a file that is there",
    )


def run(args: argparse.Namespace) -> int:
    """Measure section by section; a table is printed as soon as it is there."""
    if unknown := [name for name in args.only or () if name not in SECTIONS]:
        raise ValueError(f"--only names {unknown[0]!r}, but the sections are: {', '.join(SECTIONS)}")
    if args.rounds < 1:
        raise ValueError(f"--rounds is {args.rounds}, but a median needs at least 1; leave it out for 15")
    if args.gpu_report:
        return _gpu_report(args)
    from moe_lessons.benchmark.machine import describe
    from moe_lessons.benchmark.sections import MEASURE
    from moe_lessons.benchmark.tables import machine_lines
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


def _gpu_report(args: argparse.Namespace) -> int:
    """Measure part by part into the file; 1 where something is missing in it."""
    if args.only or args.json:
        raise ValueError("--gpu-report goes without --only and --json: it has parts of its own, and writes its JSON")
    import torch

    from moe_lessons import __version__
    from moe_lessons.benchmark.machine import describe
    from moe_lessons.benchmark.tables import machine_lines
    from moe_lessons.device import choose_device
    from moe_lessons.gpu_report.parts import parts, summary
    from moe_lessons.gpu_report.report import write_report

    device = choose_device(args.device)
    if device.type != "cuda" and not args.quick:
        raise ValueError(
            f"--gpu-report measures a CUDA device, but torch {torch.__version__} is to use {device.type!r} here; run "
            "it where there is a GPU, or try the report itself with --device cpu --quick"
        )
    machine = describe(device)
    print("\n".join(machine_lines(machine)), flush=True)
    head = {"version": __version__, "machine": machine._asdict(), "device": str(device), "quick": args.quick}
    wanted = parts(str(device), args.rounds, quick=args.quick)
    report = write_report(args.gpu_report, head, wanted, lambda line: print(line, flush=True))
    print("\n".join(["", *summary(report), f"written to {args.gpu_report}"]))
    entries = [entry for group in ("bench", "tests", "lessons") for entry in report[group].values()]
    return 0 if all("result" in entry for entry in entries) and not report["tests"]["gpu"]["result"]["failed"] else 1
