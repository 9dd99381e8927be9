"""What RouterView is tried with: a random trace, and what its still picture says."""

import numpy as np

from moe_lessons.tracing import RoutingTrace


def make(layers=3, tokens=9, experts=6, top_k=2, seed=0, **fields) -> RoutingTrace:
    logits = np.random.default_rng(seed).normal(size=(layers, tokens, experts))
    pieces = [f" t{i}" if i % 4 else "\n" for i in range(tokens)]
    return RoutingTrace.from_logits(logits, pieces, top_k=top_k, **fields)


def texts(figure) -> str:
    return "\n".join(text.get_text() for axis in figure.axes for text in axis.texts)


def axis_named(figure, name):
    return next(axis for axis in figure.axes if axis.get_label() == name)
