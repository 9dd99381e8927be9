"""A model of four narrow layers with 16 experts each, and what is kept of a run of it."""

from dataclasses import replace
from typing import Any

import numpy as np

from moe_lessons.config import ModelConfig, MoEConfig, TrainConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.studies.ablation import small_model
from moe_lessons.text.corpus import Corpus
from moe_lessons.tracing.record import our_routers
from moe_lessons.training.evaluate import evaluate
from moe_lessons.training.held_out import first_documents
from moe_lessons.training.loop import train

N_LAYERS = 4
MOE = MoEConfig(n_routed_experts=16, top_k=2, hidden_dim=64, expert_bias=True)
READ = 100_000  # tokens of the validation text that a run's losses are of


def four_layers(vocab_size: int, moe: MoEConfig = MOE) -> ModelConfig:
    """Lesson 09's small model, twice as deep. A dense layer of it does the work of two experts."""
    return replace(small_model(vocab_size, None), n_layers=N_LAYERS, moe=moe)


def run(model: Transformer, corpus: Corpus, config: TrainConfig) -> dict[str, Any]:
    """Train the model in place; its held-out losses in nats per token, and its busiest expert in every sparse layer.

    `busiest` is an expert's share of all choices in times of an even share, by the layer's number: the highest one,
    over the last tenth of the steps together.
    """
    # Of the loop's own evaluation, which is not used.
    few = corpus._replace(valid=first_documents(corpus.valid, min(12, corpus.valid.n_documents)))
    history = train(model, few, config, progress=False)
    losses = {name: round(it.nats_per_token, 4) for name, it in evaluate(model, corpus, max_tokens=READ).items()}
    layers = our_routers(model)
    late = history.loads[-max(1, history.steps // 10) :].sum(axis=0)
    busiest = {str(layer): round(float(load.max() / load.mean()), 3) for layer, load in zip(layers, late, strict=True)}
    return {"mean": round(float(np.mean(list(losses.values()))), 4), "losses": losses, "busiest": busiest}
