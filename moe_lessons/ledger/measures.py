"""The lines of the ledger, each computed by one function from what ships with the course.

What a lesson settles is computed there once more, in its own words; a test holds both to the same number.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch

from moe_lessons.accounting import cache_bytes_per_token, count_parameters, training_flops_per_token
from moe_lessons.accounting.price import accelerators, flops_per_token, sizes, utilization
from moe_lessons.cards import card_names
from moe_lessons.config import ModelConfig, TrainConfig
from moe_lessons.ledger.runs import leads_by_clock, record, spent
from moe_lessons.model.low_precision import to_float8
from moe_lessons.model.multi_token import multi_token_loss
from moe_lessons.model.router import choose, within_best_groups
from moe_lessons.model.speculative import speculate
from moe_lessons.model.transformer import Transformer
from moe_lessons.parallel.crossing import crossing, vectors_sent
from moe_lessons.published.cards import read_card
from moe_lessons.resources import data_path
from moe_lessons.text.corpus import SOURCES, course_corpus
from moe_lessons.text.grammars import GRAMMARS
from moe_lessons.text.sources import installed_text
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing.record import our_routers, record_routing
from moe_lessons.tracing.specialization import share_explained
from moe_lessons.training.batches import Batches
from moe_lessons.training.checkpoint import load_checkpoint
from moe_lessons.training.held_out import held_out
from moe_lessons.training.optimizers import build_optimizers
from moe_lessons.training.schedule import learning_rate_factor


class Measured(NamedTuple):
    """One line of the ledger, computed."""

    value: float
    show: str  # a format, or words
    verdict: str


def tokens_per_word() -> Measured:
    """English as the course's tokenizer cuts it, beside the other kinds of text (lesson 01)."""
    tokenizer, texts = Tokenizer.load(), {}
    for name, grammar in GRAMMARS.items():
        rng = random.Random(1)
        texts[name] = "".join(grammar.sample(rng).text for _ in range(100))
    for name in SOURCES:
        texts[name] = "\n".join(installed_text(name, train_bytes=1, valid_bytes=40_000).valid)
    each = {name: len(tokenizer.encode(text)) / len(text.split()) for name, text in texts.items() if text}
    english = each["english"]
    return Measured(
        english,
        f"between {math.floor(english)} and {math.ceil(english)}",
        f"With {tokenizer.vocab_size:,} tokens it takes from {min(each.values()):.0f} to {max(each.values()):.0f} "
        "tokens a word, by kind of text.",
    )


def above_the_floor() -> Measured:
    """How far the shipped dense model stays above the exact entropy of the generated domains (lesson 04)."""
    notes = record("course-dense")
    domains = [row for row in notes["result"]["domains"].values() if row["floor_nats_per_token"] is not None]
    tokens = sum(row["tokens"] for row in domains)
    gap = sum((row["nats_per_token"] - row["floor_nats_per_token"]) * row["tokens"] for row in domains) / tokens
    flops = notes["tokens"] * training_flops_per_token(
        ModelConfig.from_dict(notes["config"]), notes["train"]["seq_len"]
    )
    return Measured(
        gap, "{:.2f}", f"A dense model got so near on four generated domains with {flops / 1e12:.0f} TFLOP of training."
    )


def gained_by_experts() -> Measured:
    """The shipped sparse model's held-out loss against the dense one's, mean over domains (lesson 07)."""
    dense, sparse = ({n: r["nats_per_token"] for n, r in record(f"course-{kind}")["result"]["domains"].items()}
                     for kind in ("dense", "moe"))  # fmt: skip
    sizes = {kind: count_parameters(ModelConfig.from_card(f"course-{kind}")).total for kind in ("dense", "moe")}
    gains = [dense[name] - sparse[name] for name in dense]
    return Measured(
        float(np.mean(gains)),
        "{:.3f}",
        f"The same tokens and arithmetic per token, {sizes['moe'] / sizes['dense']:.1f} times the parameters; "
        f"from {min(gains):.3f} to {max(gains):.3f} by kind of text.",
    )


def explained_by_the_token() -> Measured:
    """What the token alone says about its first expert in the shipped model, mean over layers (lesson 07)."""
    shares = _explained(lambda trace, labels: (trace.token_ids, None))
    beyond = _explained(lambda trace, labels: (labels, trace.token_ids))
    return Measured(
        float(np.mean(shares)),
        "{:.0%}",
        f"Routes are chosen per token and layer. Once the token is known, the kind of text adds {beyond[0]:.0%} in the "
        f"first layer and up to {max(beyond):.0%} above.",
    )


def explained_without_the_bias() -> Measured:
    """The same without the router's bias, as Hugging Face's class has it that lesson 13 looks into."""
    shares = _explained(lambda trace, labels: (trace.token_ids, None), bias=False)
    beyond = _explained(lambda trace, labels: (labels, trace.token_ids), bias=False)
    return Measured(
        float(np.mean(shares)),
        "{:.0%}",
        f"Our weights in another class of model: the kind of text adds {beyond[0]:.0%} in the first layer and "
        f"{beyond[-1]:.0%} in the last.",
    )


def at_work() -> Measured:
    """DeepSeek-V3's parameters at work on a token, counted by our code from the published sizes (lesson 09)."""
    count = count_parameters(ModelConfig.from_card("deepseek-v3"))
    return Measured(
        count.active,
        "{:,.0f}",
        f"Of {count.total:,} in all, {count.active / count.total:.1%}; without the input embedding "
        f"{count.active_without_embedding:,}.",
    )


def cache_saved() -> Measured:
    """What DeepSeek-V3 keeps of a token, against a key and a value for each of its heads (lesson 10)."""
    config = ModelConfig.from_card("deepseek-v3")
    heads, layers = config.latent_attention, config.n_layers
    full = 2 * heads.n_heads * heads.v_head_dim
    kept = cache_bytes_per_token(config, 1) // layers
    return Measured(
        full / kept, "{:.0f}", f"DeepSeek-V3 keeps {kept} numbers of a token in each layer, and as many heads of "
        f"ordinary attention would keep {full:,}.",
    )  # fmt: skip


def tokens_per_step(steps: int = 80) -> Measured:
    """What a module that guesses one token further brings the shipped dense model, which stands still (lesson 11)."""
    shipped = load_checkpoint(data_path("checkpoints/course-dense.safetensors")).model
    corpus, config = course_corpus(progress=False), TrainConfig(steps=steps, batch_size=8, seq_len=128)
    with torch.random.fork_rng(devices=[]):
        model = Transformer(replace(shipped.config, mtp_depth=1))
    model.load_state_dict(shipped.state_dict(), strict=False)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("mtp."))
    optimizers, batches = build_optimizers(model, config), Batches(corpus.train.ids, 8, 128, config.seed)
    for step in range(steps):
        inputs, targets = batches(step)
        with torch.no_grad():
            hidden = model.read(inputs)
        multi_token_loss(model.look_ahead(hidden, targets), targets).backward()
        factor = learning_rate_factor((step + 1) / steps, config.warmup, config.final_lr)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = factor * group["initial_lr"]
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    model.eval()
    written = []
    for text in BEGINNINGS:
        ids = torch.tensor([[corpus.tokenizer.document_id, *corpus.tokenizer.encode(text)]])
        written += [speculate(model, ids, 60, temperature=t, seed=2).tokens_per_pass for t in (0.0, 1.0)]
    mean = float(np.mean(written))
    return Measured(
        mean,
        "{:.2f}",
        f"A module of one layer, trained for {steps} steps while the model stands still, on {len(BEGINNINGS)} texts.",
    )


BEGINNINGS = (  # lesson 11's
    '{"type": "order", "id": "204517", "status": "',
    "Am 3. Mai um 9.15 Uhr ging Lena in den",
    "47 + 386 = 433\n12 + 7 - 3 = 16\n",
    "def mean(values):\n    return",
)


def final_run() -> Measured:
    """The bill of DeepSeek-V3's final run (arXiv:2412.19437, table 1), in million dollars (lesson 12)."""
    hours, rent = 2_664_000 + 119_000 + 5_000, 2.0  # of H800s: pre-training, longer context, post-training; USD an hour
    config, tokens = ModelConfig.from_card("deepseek-v3"), 14.8e12
    busy = utilization(tokens * flops_per_token(sizes(config), 4096).training, 2_664_000, accelerators()["h800"])
    return Measured(
        hours * rent / 1e6, "{:.3f}", f"{hours / 1e6:.3f} million hours at an assumed {rent:.0f} dollars, for the last "
        f"run alone. The hours are possible: {busy:.0%} of the machines' peak.",
    )  # fmt: skip


def bought_by_compute() -> Measured:
    """What the second half of the compute bought the shipped sparse model (lesson 12)."""
    (half_flops, half), (full_flops, full) = (spent(f"course-moe{end}") for end in ("-half", ""))
    by_length = ", ".join(f"{lead:+.3f} nats after {seconds:g} s" for seconds, lead in leads_by_clock().items())
    return Measured(
        half - full, "{:.2f}", f"{full_flops / half_flops:.1f} times the compute bought this much in one model. In "
        f"equal seconds our sparse model's mean lead was {by_length}.",
    )  # fmt: skip


def between_machines() -> Measured:
    """What eight bits there and a choice within groups save of DeepSeek-V3's traffic between machines (lesson 15)."""
    moe, numbers = ModelConfig.from_card("deepseek-v3").mixture, torch.ones(256, 128)
    scores = torch.rand(20_000, moe.n_routed_experts, generator=torch.Generator().manual_seed(0))
    limited = within_best_groups(scores, moe.n_groups, moe.top_groups, moe.group_score)
    home = np.repeat(np.arange(moe.n_groups), len(scores) // moe.n_groups)
    free, few = (
        float(crossing(vectors_sent(choose(each, moe.top_k).numpy(), home, moe.n_routed_experts, moe.n_groups)))
        for each in (scores, limited)
    )
    there = to_float8(numbers, (1, 128)).bytes / numbers.numel()  # bytes a number, scales included; two on the way back
    return Measured(
        free * (2 + 2) / (few * (there + 2)), "{:.1f}", f"Eight bits on the way there and {moe.top_groups} of "
        f"{moe.n_groups} groups, against sixteen bits and a free choice; of the journeys alone {1 - few / free:.0%} "
        "are saved.",
    )  # fmt: skip


def sparse_models() -> Measured:
    """How many of the published models that our code counts are mixtures of experts (lesson 13)."""
    cards = [card for card in map(read_card, card_names()) if card.is_published]
    sparse = [card.name for card in cards if card.config.moe is not None]
    return Measured(
        len(sparse), "{:.0f}", f"Of {len(cards)} published models that our code counts: {', '.join(sparse)}."
    )


@cache
def _read_by_the_shipped_model(bias: bool, windows: int = 64) -> tuple[Any, np.ndarray]:
    """The trace of held-out text, and each token's domain; with the routers' bias or without."""
    corpus = course_corpus(progress=False)
    model = load_checkpoint(data_path("checkpoints/course-moe.safetensors")).model.eval()
    if not bias:
        for router in our_routers(model).values():
            router.expert_bias = None
    width = model.config.max_length
    ids = held_out(corpus, windows, width)
    with record_routing(model, corpus.tokenizer) as trace, torch.no_grad():
        model.read(ids)  # without the head, whose scores for all tokens would take much memory
    return trace, corpus.valid.labels[: windows * width].astype(np.int64)


def _explained(labels: Callable[..., tuple[np.ndarray, np.ndarray | None]], bias: bool = True) -> list[float]:
    """The share of each layer's first choices that a label explains."""
    trace, domains = _read_by_the_shipped_model(bias)
    label, given = labels(trace, domains)
    return [share_explained(layer, label, given).explained for layer in trace.experts[:, :, 0]]


MEASURES: Mapping[tuple[str, str], Callable[[], Measured]] = {
    ("active-parameters", "09"): at_work,
    ("experts-by-prompt", "07"): explained_by_the_token,
    ("experts-by-prompt", "13"): explained_without_the_bias,
    ("token-is-a-word", "01"): tokens_per_word,
    ("cheap-and-unexplained", "04"): above_the_floor,
    ("cheap-and-unexplained", "07"): gained_by_experts,
    ("cheap-and-unexplained", "12"): final_run,
    ("more-compute-wins", "12"): bought_by_compute,
    ("scarcity-made-inventive", "10"): cache_saved,
    ("scarcity-made-inventive", "11"): tokens_per_step,
    ("scarcity-made-inventive", "15"): between_machines,
    ("the-field", "13"): sparse_models,
}
