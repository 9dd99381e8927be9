"""What the site answers to the widgets, against the widgets' own Python."""

import base64
import random

import numpy as np
import pytest
import torch
from in_node import ask_site

from moe_lessons.model.transformer import Transformer
from moe_lessons.resources import data_path
from moe_lessons.routing_rule import SCORE_FUNCTIONS
from moe_lessons.text.prompts import prompts
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing.ask import Tracer, tracer
from moe_lessons.tracing.attention import record_attention
from moe_lessons.tracing.opening import telling_token
from moe_lessons.tracing.rule import DROPPING
from moe_lessons.training.checkpoint import load_checkpoint
from moe_lessons.widgets import AttentionView, RouterView, SamplingView, TokenView
from moe_lessons.widgets.router_view.messages import receive

TEXTS = [
    "Es war einmal ein Fuchs.",
    '{"type": "order"}',
    "47 + 386 = 433",
    "for i in range(9):",
    "مرحبا 🙂\n",
    "  ",
    "a\x00b<|doc|>",
]
FLOATS = {"nats": 2.5e-4, "shares": 1.5e-4}  # they are rounded to four digits


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


@pytest.fixture(scope="module")
def model() -> Transformer:
    return load_checkpoint(data_path("checkpoints/course-moe.safetensors")).model


def random_knobs(rng: random.Random) -> dict:
    """All knobs, each turned now and then, as the browser sends them."""
    off = rng.sample(range(16), rng.choice([0, 0, 1, 3]))
    return {
        "top_k": rng.choice([1, 2, 2, 3, 5, 12]),
        "temperature": rng.choice([1, 1, 0.1, 0.7, 4]),
        "score_function": rng.choice(SCORE_FUNCTIONS),
        "normalize": rng.random() < 0.7,
        "noise": rng.choice([0, 0, 0.3, 2]),
        "seed": rng.randrange(2**32),
        "capacity": rng.choice([0, 0, 0.5, 1, 1.25]),
        "dropping": rng.choice(DROPPING),
        "bias": rng.choice([[], [], [rng.gauss(0, 0.1) for _ in range(16)]]),
        "off": sorted(off),
        "top_groups": 1,
        "acts_on": rng.choice([-1, -1, 0, 2, 3]),
    }


def same(name: str, found: object, want: object) -> bool:
    """Whether a trait of the browser is that of Python, as far as float32 goes."""
    if name == "guesses" and want and isinstance(want[0], tuple):
        return same_guess(found, want)
    if isinstance(want, bytes):
        return base64.b64decode(found) == want
    if isinstance(want, float) and not isinstance(found, bool):
        return abs(found - want) <= FLOATS.get(name, 0)
    if isinstance(want, dict):
        return found.keys() == want.keys() and all(same(key, found[key], want[key]) for key in want)
    if isinstance(want, list | tuple):
        pairs = zip(found, want, strict=True)
        return len(found) == len(want) and all(same(name, a, b) for a, b in pairs)
    return found == want


def same_guess(found: list, want: list[tuple[str, float]]) -> bool:
    """Whether the shares are the same, and the pieces, where two that are as likely may change places."""
    shares = [share for _, share in want]
    alone = [sum(abs(share - other) < 3e-4 for other in shares) == 1 for share in shares[:-1]]
    pieces = all(a[0] == b[0] for a, b, clear in zip(found, want, alone, strict=False) if clear)
    return pieces and same("shares", [share for _, share in found], shares)


def told(view: RouterView, changes: dict) -> list[str]:
    """The traits that changed otherwise than in Python; those made of floats are compared apart."""
    apart = ("arrays", "other_arrays", "applied_logits")
    return [name for name in changes if name not in apart and not same(name, changes[name], getattr(view, name))]


def floats(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype="<f4", count=len(data) // 4)


def near_tie(view: RouterView) -> bool:
    """Whether a choice, or who gets a slot, hung on less than float32 can hold."""
    knobs, asked = view.knobs, view.acts_on
    result = view._result
    for layer, routed in zip(result.after.layers, result.routed, strict=True):
        turned = asked in (-1, layer)
        wanted = routed.scores + result.after.bias[layer]
        if turned and knobs.bias:
            wanted = wanted + np.array(knobs.bias)
        if turned and knobs.off:
            wanted[:, list(knobs.off)] = -9.0
        ranked = -np.sort(-wanted, axis=-1)[:, : routed.experts.shape[1] + 1]
        queue = np.sort(routed.weights, axis=0)
        close = [np.abs(np.diff(ranked, axis=-1)).min(initial=1.0)]
        if turned and knobs.capacity and knobs.dropping == "priority":
            gaps = np.diff(queue, axis=0)
            close.append(gaps[queue[1:] > 0].min(initial=1.0))
        if min(close) < 1e-5:
            return True
    return False


def test_three_hundred_random_settings_are_applied_as_in_python(node, model, tokenizer, monkeypatch):
    monkeypatch.setattr(Tracer, "_again", lambda self, trace: trace)  # it would read the same text 300 times
    rng = random.Random(0)
    ask = tracer(model, tokenizer, "course-moe")
    ties = 0
    for text in TEXTS[:3]:
        messages = [{"apply": random_knobs(rng)} for _ in range(100)]
        view = RouterView(ask(text), ask=ask)
        _, *answers = ask_site(node, "messages", {"text": text, "messages": messages})
        for message, changes in zip(messages, answers, strict=True):
            receive(view, message)
            wrong = told(view, changes)
            logits, want = (floats(data) for data in (base64.b64decode(changes["applied_logits"]), view.applied_logits))
            if wrong == [] and logits.size == want.size and np.allclose(logits, want, atol=1e-4):
                assert view.message or want.size
                continue
            assert view._result and near_tie(view), (text, message, wrong, changes["message"], view.message)
            ties += 1
    assert ties <= 6, "so many ties are none"


def test_a_text_opens_on_the_token_and_in_the_layer_where_it_does_in_python(node, model, tokenizer):
    ask = tracer(model, tokenizer, "course-moe")
    texts = [text for each in prompts().values() for text in each] + ["I go to it", "a b cd ef", "no"]
    for text, answer in zip(
        texts,
        ask_site(node, "messages", {"text": texts[0], "messages": [{"ask": text} for text in texts]})[1:],
        strict=True,
    ):
        assert answer["pinned"] == telling_token(ask(text), answer["layer"]), text


def test_texts_are_asked_kept_and_compared_as_in_python(node, model, tokenizer):
    ask = tracer(model, tokenizer, "course-moe")
    turned = {**random_knobs(random.Random(1)), "top_k": 3, "off": [2]}
    messages = [
        *({"ask": text} for text in TEXTS),
        {"keep": True},
        {"apply": turned},
        *({"ask": text} for text in ("47 + 386 = 4!", "", "word " * 300, "a" * 100_000, "🙂" * 300)),
        {"keep": False},
        {"apply": {**turned, "off": list(range(15))}},
        {"apply": {**turned, "temperature": -1.5}},
        {"apply": {**turned, "acts_on": 7}},
        {"ask": 3},
        {"other": "x"},
    ]
    view = RouterView(ask(TEXTS[0]), ask=ask)
    first, *answers = ask_site(node, "messages", {"text": TEXTS[0], "messages": messages})
    for message, changes in zip([None, *messages], [first, *answers], strict=True):
        before = view.answered
        if message is not None:
            receive(view, message)
        if changes is None:
            assert view.answered == before
            continue
        assert not (wrong := told(view, changes)), [(name, changes[name], getattr(view, name)) for name in wrong]
        for name in ("arrays", "other_arrays"):
            if name in changes:
                data, want = base64.b64decode(changes[name]), getattr(view, name)
                facts = view.facts if name == "arrays" else view.other_facts
                choices = 2 * facts.get("tokens", 0) * len(facts.get("layers", ())) * 2
                assert len(data) == len(want) and data[-choices or None :] == want[-choices or None :]
                split = len(data) - choices
                assert np.allclose(floats(data[:split]), floats(want[:split]), atol=1e-4)


def test_tokens_of_a_text_are_answered_as_in_python(node, tokenizer):
    texts = [*TEXTS, "", "x" * 20_001, "🙂" * 20_000, "half \ud83d"]
    view = TokenView(lambda text: (ids := tokenizer.encode(text), tokenizer.pieces(ids)), text="z")
    for text, changes in zip(texts, ask_site(node, "tokenize", texts), strict=True):
        view.text = text
        assert changes == {"answer": view.answer, "message": view.message}


def test_attention_and_next_tokens_are_those_of_the_lessons(node, model, tokenizer):
    ids = [0, *tokenizer.encode(TEXTS[1])]
    with record_attention(model) as trace, torch.no_grad():
        logits = model(torch.tensor([ids]))[0, -1]
    view, found = AttentionView(tokenizer.pieces(ids), trace.weights), ask_site(node, "attend", TEXTS[1])
    assert {name: found[name] for name in ("pieces", "shape", "query")} == {
        "pieces": view.pieces,
        "shape": view.shape,
        "query": view.query,
    }
    parts = [np.frombuffer(data, "<u2").astype(int) for data in (base64.b64decode(found["weights"]), view.weights)]
    assert np.abs(parts[0] - parts[1]).max() <= 2
    sampled = SamplingView({TEXTS[1]: logits.numpy()}, tokenizer.pieces(range(1024)))
    found = ask_site(node, "sample", [TEXTS[1]])
    assert (found["pieces"], found["contexts"]) == (sampled.pieces, sampled.contexts)
    assert np.abs(floats(base64.b64decode(found["logits"])) - floats(sampled.logits)).max() < 1e-4


def test_a_text_that_the_model_cannot_read_is_one_sentence(node):
    answer = ask_site(node, "attend", "word " * 300)
    assert answer["error"].endswith("but the model reads at most max_length = 256; shorten the text.")
