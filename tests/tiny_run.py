"""A model and a text so small that a whole training takes a moment: what tests of training share."""

import os
import signal
from pathlib import Path

import numpy as np
import torch
from small import small_model

from moe_lessons.config import MoEConfig, TrainConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.text.corpus import Corpus, Split
from moe_lessons.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train([], 257)
KINDS = {"dense": {"sparse": False}, "moe": {}, "noisy": {"noise": True}}


def split(texts: list[tuple[str, int]], log_prob: float = -3.0) -> Split:
    """Documents (text, domain) as the corpus lays them out, byte by byte."""
    ids = [[TOKENIZER.document_id, *TOKENIZER.encode(text)] for text, _ in texts]
    lengths = [len(i) for i in ids]
    return Split(
        ids=np.concatenate(ids).astype(np.uint16),
        labels=np.repeat([d for _, d in texts], lengths).astype(np.uint8),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        document_domains=np.array([d for _, d in texts], dtype=np.uint8),
        document_bytes=np.array([len(t.encode()) for t, _ in texts], dtype=np.int64),
        document_log_prob=np.array([log_prob if d == 0 else np.nan for _, d in texts]),
    )


def corpus() -> Corpus:
    documents = [(f"{n} and {n} make {n + n}." if n % 2 else f"Satz {n}: schön!", n % 2) for n in range(60)]
    return Corpus(TOKENIZER, ("german", "sums"), split(documents[:50]), split(documents[50:]), "f00d")


def model(sparse: bool = True, seed: int = 0, noise: bool = False, **changes) -> Transformer:
    moe = MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8, expert_bias=True, noise=noise) if sparse else None
    return small_model(seed, vocab_size=257, moe=moe, **changes)


def sums(folder: Path) -> Path:
    """A file in this folder with four thousand lines of reckoning."""
    path = folder / "text.txt"
    path.write_text("".join(f"{i} and {i * i % 97} make {i + i * i % 97}\n" for i in range(4000)), encoding="utf-8")
    return path


def config(**changes) -> TrainConfig:
    return TrainConfig(**({"batch_size": 2, "seq_len": 16, "bias_rate": 0.01, "balance_loss": 0.01} | changes))


def weights(model: Transformer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same_to_the_bit(first: Transformer, second: Transformer) -> None:
    for (name, one), two in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(one, two), name


class StopAt:
    """A board that presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step, self.points = step, []

    def start(self, total: float, unit: str) -> None: ...

    def point(self, **values: float) -> None:
        self.points.append(values)
        if values["step"] == self.step:
            os.kill(os.getpid(), signal.SIGINT)

    def evaluation(self, step: int, values: dict[str, float]) -> None: ...

    def finish(self) -> None: ...
