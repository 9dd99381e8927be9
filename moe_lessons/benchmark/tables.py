"""What `moe-lessons bench` prints: a few lines for each section."""

from typing import TYPE_CHECKING

from moe_lessons.benchmark.sparse_layer import DENSE

if TYPE_CHECKING:
    from moe_lessons.benchmark.generation_speed import Generation
    from moe_lessons.benchmark.machine import Machine
    from moe_lessons.benchmark.next_token import Continuation
    from moe_lessons.benchmark.sparse_layer import Contest
    from moe_lessons.benchmark.timing import Timing
    from moe_lessons.benchmark.training_speed import Training


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
    dense = [name for name in DENSE if name in names]
    head = [
        ["", *(f"{contest.shape.dim} x {contest.shape.hidden}" for contest in contests)],
        ["", *(f"{contest.shape.experts} experts, {contest.shape.top_k} used" for contest in contests)],
        ["", *(f"{contest.shape.tokens:,} tokens" for contest in contests)],
        *([f"{name}, ms", *(_spread(contest.timings[name], 1000, 1) for contest in contests)] for name in dense),
    ]
    rows = [[name, *(_cell(contest, name) for contest in contests)] for name in names if name not in dense]
    which, note = "dense", []
    if len(dense) > 1:
        which, note = "faster dense", ["plain: times the dense layer through autograd, also where that is the slower"]
        rows.append(["*, plain", *(f"{contest.ratio(contest.default, to='dense'):.2f}" for contest in contests)])
        rows.append(["MoE, plain", *(f"{contest.ratio('MoE', to='dense'):.2f}" for contest in contests)])
    lines = [
        f"Sparse layer in {precision}, forward and backward: times the {which} layer of the same active size",
        *aligned(head + rows),
        "* what the layer takes by itself; MoE and Mixtral: whole layers, with their router",
        *note,
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
    return _spread(contest.timings[name], 1 / contest.timings[contest.rival].median, 2) + star


def _spread(timing: "Timing", factor: float, digits: int) -> str:
    median, low, high = (value * factor for value in timing)
    return f"{median:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def _conclusion(contest: "Contest", peak: float | None) -> str:
    speeds = {name: contest.shape.flops / contest.timings[name].median for name in (contest.rival, contest.default)}
    shares = "; ".join(f"{name} {_speed(speed, peak)}" for name, speed in speeds.items())
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
            f"{training.tokens:,}",
            f"{training.tokens_per_second:,.0f}",
            _spread(training.step, 1000, 0),
            _spread(training.optimizer, 1000, 0) if training.optimizer else "",
            _speed(training.tokens_per_second * training.flops_per_token, peak),
        ]
        for name, training in found.items()
    ]
    ratio = found["moe"].step.median / found["dense"].step.median
    return [
        "Training, optimizer included",
        *aligned([["", "tokens a step", "tokens/s", "ms a step", "of these the optimizer", "model's products"], *rows]),
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
