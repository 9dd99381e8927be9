"""What several widgets are tried with: a tokenizer, attention weights, a configuration, loads."""

import re

import numpy as np

from moe_lessons.config import AttentionConfig, ModelConfig


def by_words(text: str) -> tuple[list[int], list[str]]:
    """A tokenizer that cuts before blanks."""
    pieces = re.findall(r"\s?\S+|\s", text)
    return [len(piece) for piece in pieces], pieces


def causal(layers: int = 2, heads: int = 3, time: int = 5) -> np.ndarray:
    """Attention weights of random scores."""
    scores = np.random.default_rng(0).normal(size=(layers, heads, time, time))
    weights = np.exp(scores) * np.tri(time)
    return weights / weights.sum(-1, keepdims=True)


def dense(**changes) -> ModelConfig:
    sizes = {"vocab_size": 100, "dim": 32, "n_layers": 2, "hidden_dim": 48, "max_length": 64}
    return ModelConfig(**{**sizes, "attention": AttentionConfig(n_heads=4, n_kv_heads=2), **changes})


def random_loads(points: int = 7, layers: int = 2, experts: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.multinomial(60, [1 / experts] * experts, size=(points, layers)) * rng.integers(1, 3, (1, 1, 1))
