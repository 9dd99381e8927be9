"""Text written token by token with the cache, beside Hugging Face's `generate` on the same weights."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from moe_lessons.benchmark.timing import Timing, interleaved
from moe_lessons.model.generate import generate
from moe_lessons.model.threads import on_threads
from moe_lessons.model.transformer import Transformer
from moe_lessons.published import to_hugging_face
from moe_lessons.training.recipes import recipe

PEER = "Hugging Face"
KINDS = ("dense", "moe")


class Generation(NamedTuple):
    """The seconds of each way to write `tokens` tokens; `same_text` where Hugging Face's were ours.

    Small products may take longer on all threads than on one, so each way is given the number of threads that is best
    for it. (Our own `generate` uses one for a small model, however many it is given.)
    """

    timings: dict[str, Timing]
    tokens: int
    same_text: bool | None  # None without transformers
    left_out: dict[str, str]
    threads: dict[str, int]
    others: dict[str, dict[int, Timing]]  # with the numbers of threads that were not the best, from the same run

    def tokens_per_second(self, name: str) -> float:
        """Of the median call."""
        return self.tokens / self.timings[name].median

    def times_as_fast(self, kind: str) -> float | None:
        """Hugging Face's seconds over ours, best against best; None without transformers."""
        theirs = self.timings.get(f"{kind}, {PEER}")
        return theirs.median / self.timings[kind].median if theirs else None


def compare(rounds: int, device: torch.device, *, quick: bool = False) -> Generation:
    """The course's dense and sparse model, untrained, always taking the likeliest token, one sequence at a time."""
    n_new, prompt = (4 if quick else 128), torch.arange(16, device=device)[None]
    ways, left_out = {}, {}
    for kind in KINDS:
        config = recipe(kind, device.type).model
        if config.moe is not None:  # the bias of the loss-free balance has no place in the closest family, Qwen3-MoE
            config = replace(config, moe=replace(config.moe, expert_bias=False))
        model = Transformer(config, device=device).eval()
        ways[kind] = partial(generate, model, prompt, n_new, temperature=0.0)
        try:
            ways[f"{kind}, {PEER}"] = partial(_theirs, to_hugging_face(model).to(device), prompt, n_new)
        except ImportError:
            left_out[PEER] = "transformers is not installed"
    texts = {name: way() for name, way in ways.items()}
    same = [bool(torch.equal(text, texts[name.partition(",")[0]])) for name, text in texts.items() if "," in name]
    counts = sorted({1, torch.get_num_threads()}) if device.type == "cpu" else [torch.get_num_threads()]
    each = {f"{name} {count}": partial(with_threads, count, way) for name, way in ways.items() for count in counts}
    found = interleaved(each, rounds, warmup=1)
    by_way = {name: {count: found[f"{name} {count}"] for count in counts} for name in ways}
    best = {name: min(counts, key=lambda count: by_way[name][count].median) for name in ways}
    timings = {name: by_way[name].pop(best[name]) for name in ways}
    return Generation(timings, n_new, all(same) if same else None, left_out, best, by_way)


def with_threads(count: int, function: Callable[[], object]) -> object:
    """Call it with so many threads of PyTorch; afterwards there are as many as before."""
    with on_threads(count):
        return function()


def _theirs(model: Any, prompt: Tensor, n_new: int) -> Tensor:
    mask = torch.ones_like(prompt)
    length = {"min_new_tokens": n_new, "max_new_tokens": n_new}
    return model.generate(prompt, attention_mask=mask, do_sample=False, use_cache=True, pad_token_id=0, **length)
