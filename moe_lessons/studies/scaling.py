"""A study of loss against compute: the course's two recipes in several sizes, for several lengths.

`python -m moe_lessons.studies.scaling data/studies/scaling.json` makes the file that lesson 12 fits: one CPU thread,
half an hour on a quiet core. Stopped and started again it goes on with the runs that are missing.
"""

import json
import platform
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from moe_lessons.config import ModelConfig
from moe_lessons.files import replacing
from moe_lessons.model.transformer import Transformer
from moe_lessons.text.corpus import Corpus, course_corpus
from moe_lessons.training.evaluate import evaluate
from moe_lessons.training.loop import train
from moe_lessons.training.recipes import recipe

LAYERS = {32: 2, 64: 3, 96: 4}  # by dim; the course's own models have 128 and 4
STEPS = (100, 200, 400, 800)


def scaled(kind: str, dim: int, n_layers: int) -> ModelConfig:
    """The course's "dense" or "moe" model with another width and depth: the same proportions, heads of 16."""
    model = recipe(kind).model
    heads = replace(model.attention, n_heads=dim // 16, n_kv_heads=dim // 32, head_dim=16)
    moe = model.moe and replace(model.moe, hidden_dim=model.moe.hidden_dim * dim // model.dim)
    hidden = model.hidden_dim * dim // model.dim
    return replace(model, dim=dim, n_layers=n_layers, hidden_dim=hidden, attention=heads, moe=moe)


def plan() -> list[tuple[str, int, int, int]]:
    """Every run as (kind, dim, steps, seed), cheap ones first; a second seed where it costs little."""
    runs = [(kind, dim, steps, 0) for dim in LAYERS for steps in STEPS for kind in ("dense", "moe")]
    runs += [(kind, dim, steps, 1) for dim in (32, 64) for steps in STEPS[:3] for kind in ("dense", "moe")]
    return sorted(runs, key=lambda run: run[1] ** 1.4 * run[2])


def measure(corpus: Corpus, kind: str, dim: int, steps: int, seed: int) -> dict[str, Any]:
    """Train one model and say what it costs on held-out text, in nats per token by domain."""
    config = scaled(kind, dim, LAYERS[dim])
    run = train(
        Transformer(config, seed=seed), corpus, recipe(kind).train_config(steps=steps, seed=seed), progress=False
    )
    losses = {name: round(run.evaluations[-1][name], 5) for name in corpus.domains}
    row = {"kind": kind, "dim": dim, "n_layers": LAYERS[dim], "steps": steps, "seed": seed, "tokens": run.tokens}
    return row | {"seconds": round(run.seconds, 1), "losses": losses}


def study(path: Path, runs: Iterable[tuple[str, int, int, int]]) -> None:
    """Make the runs that the file lacks and write it after each of them."""
    corpus = course_corpus(progress=False)
    notes = {
        "command": "OMP_NUM_THREADS=1 python -m moe_lessons.studies.scaling data/studies/scaling.json",
        "made_with": {"python": platform.python_version(), "torch": torch.__version__},
        "floors": _floors(corpus),
        "runs": [],
    }
    if path.is_file():
        notes["runs"] = json.loads(path.read_text(encoding="utf-8"))["runs"]
    done = {(row["kind"], row["dim"], row["steps"], row["seed"]) for row in notes["runs"]}
    for run in runs:
        if run in done:
            continue
        before = time.process_time()
        row = measure(corpus, *run)
        notes["runs"].append(row)
        text = json.dumps(notes | {"runs": []}, indent=1)
        lines = ",\n".join(f"  {json.dumps(one)}" for one in notes["runs"])
        with replacing(path) as scratch:
            scratch.write_text(text.replace('"runs": []', f'"runs": [\n{lines}\n ]') + "\n", encoding="utf-8")
        mean = sum(row["losses"].values()) / len(row["losses"])
        print(f"{run}: {mean:.4f} nats per token, {time.process_time() - before:.0f} s of one core", flush=True)


def _floors(corpus: Corpus) -> dict[str, float | None]:
    """The exact floor of the same held-out documents, where a grammar wrote them: no model is needed for it."""
    model = Transformer(replace(scaled("dense", 32, 1), hidden_dim=2))
    found = evaluate(model, corpus, max_tokens=30_000, seq_len=256)
    known = {name: found[name].floor_per_token for name in corpus.domains}
    return {name: round(floor, 5) if floor == floor else None for name, floor in known.items()}


if __name__ == "__main__":
    study(Path(sys.argv[1]), plan())
