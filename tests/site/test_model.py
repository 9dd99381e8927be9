"""The model in the browser against the course's, in PyTorch: the same weights, the same ids, the same answers."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from in_node import ask_site
from places import PACKAGE

from moe_lessons.model.generate import generate
from moe_lessons.model.transformer import Transformer
from moe_lessons.resources import data_path
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing.record import observe_routing
from moe_lessons.training.checkpoint import load_checkpoint

CLOSE = 1e-4
TIE = 1e-5  # scores nearer to each other may go either way


def shipped(name: str) -> Path:
    return data_path(f"checkpoints/{name}.safetensors")


@pytest.fixture(scope="module")
def model() -> Transformer:
    return load_checkpoint(shipped("course-moe")).model


def random_ids(count: int) -> list[list[int]]:
    """Our own files from anywhere on, of every length up to the whole context; some texts are ids by chance."""
    rng, tokenizer = random.Random(0), Tokenizer.load()
    sources = [tokenizer.encode(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))[:40]]
    result = []
    for i in range(count):
        length = 256 if i < 4 else int(256 ** (0.8 * rng.random()))
        source = rng.choice([source for source in sources if len(source) >= length])
        start = rng.randrange(len(source) - length + 1)
        ids = source[start : start + length] if i % 5 else rng.choices(range(1024), k=length)
        result.append([0, *ids[1:]])
    return result


def test_two_hundred_texts_have_the_same_logits_and_routes(node, model, tmp_path):
    texts = random_ids(200)
    answers = ask_site(node, "passes", {"ids": texts, "out": str(tmp_path / "logits")})
    found = np.fromfile(tmp_path / "logits", dtype="<f4").reshape(-1, model.config.vocab_size)
    start = 0
    for ids, routes in zip(texts, answers, strict=True):
        with observe_routing(model) as seen, torch.no_grad():
            want = model(torch.tensor([ids]))[0]
        for layer, experts in enumerate(routes):
            router, routing = model.blocks[layer].feed_forward.router, seen[layer]
            ranked = router.preference(routing.scores).sort(dim=-1, descending=True).values[:, : router.top_k + 1]
            clear = (ranked.diff(dim=-1).abs() > TIE).all(dim=-1)
            same = torch.tensor(experts).view_as(routing.experts) == routing.experts
            assert same[clear].all(), f"layer {layer} of {ids}"
        assert np.abs(found[start : start + len(ids)] - want.numpy()).max() < CLOSE
        start += len(ids)
    assert start == len(found)


def test_the_dense_model_has_the_same_logits(node, tmp_path):
    dense, texts = load_checkpoint(shipped("course-dense")).model, random_ids(12)
    value = {"ids": texts, "out": str(tmp_path / "logits")}
    assert ask_site(node, "passes", value, shipped("course-dense")) == [[]] * len(texts)
    found = np.fromfile(tmp_path / "logits", dtype="<f4").reshape(-1, dense.config.vocab_size)
    with torch.no_grad():
        want = torch.cat([dense(torch.tensor([ids]))[0] for ids in texts])
    assert np.abs(found - want.numpy()).max() < CLOSE


def test_two_hundred_tokens_written_greedily_are_the_same(node, model):
    tokenizer = Tokenizer.load()
    prompts = [[0, *tokenizer.encode(text)] for text in ("Es war einmal", '{"type": "', "def ")]
    written = ask_site(node, "write", {"prompts": prompts, "options": {"newTokens": 200, "temperature": 0}})
    for prompt, ids in zip(prompts, written, strict=True):
        # Each is the likeliest after all before it: what `generate` does, in one pass over all of them.
        with torch.no_grad():
            likeliest = model(torch.tensor([prompt + ids]))[0].argmax(dim=-1)
        assert len(ids) == 200 and ids == likeliest[len(prompt) - 1 : -1].tolist()


def test_a_text_written_greedily_is_that_of_generate(node, model):
    prompt = [0, *Tokenizer.load().encode("Es war einmal")]
    (written,) = ask_site(node, "write", {"prompts": [prompt], "options": {"newTokens": 30, "temperature": 0}})
    assert written == generate(model, torch.tensor([prompt]), 30, temperature=0.0)[0, len(prompt) :].tolist()
