"""KeysView: the browser reads as Python does, published layers cost what the accounting says, nonsense is refused."""

import re
import warnings

import numpy as np
import pytest
import torch
from in_node import javascript

from moe_lessons.accounting import cache_bytes
from moe_lessons.accounting.shared_kv import shared_kv_numbers, shared_kv_seen
from moe_lessons.model.compression import ripe
from moe_lessons.model.indexer import best_keys, seen
from moe_lessons.model.latent_attention import past
from moe_lessons.published import read_card
from moe_lessons.widgets import KeysView
from moe_lessons.widgets.keys_view.rule import KINDS, at_length, layer_sizes, read_by

RNG = np.random.default_rng(0)
CARDS = {
    "full": ("deepseek-v3", 0), "window": ("deepseek-v4-flash", 0), "indexed": ("deepseek-v3.2", 0),
    "sparse": ("deepseek-v4-pro", 2), "heavy": ("deepseek-v4-pro", 3),
}  # fmt: skip
PUBLISHED = {kind: (name, read_card(name).config, layer) for kind, (name, layer) in CARDS.items()}
SCORES = RNG.normal(size=(2, 12, 12)).round(1)  # rounded, so that some are equal


def view(**knobs) -> KeysView:
    return KeysView([f"w{i}" for i in range(12)], SCORES, PUBLISHED, **knobs)


def test_the_browser_reads_as_python_does(node):
    cases = []
    for _ in range(300):
        knobs = RNG.integers(1, 9, 4).tolist()
        cases.append([KINDS[RNG.integers(5)], RNG.permutation(int(RNG.integers(1, 40))).tolist(), *knobs])
    expression = """value.map(([kind, ranks, window, top_k, sparse_rate, heavy_rate]) => {
      const read = m.readBy(kind, ranks, { window, top_k, sparse_rate, heavy_rate });
      return [read.tokens, read.entries, read.rate];
    })"""
    for case, found in zip(cases, javascript(node, "keys_view/rule", expression, cases), strict=True):
        assert found == list(read_by(*case)), case


def test_the_browser_counts_published_layers_as_python_does(node):
    cases = [(layer_sizes(*PUBLISHED[kind][1:]), n) for kind in KINDS for n in (1, 100, 128, 4095, 10**5, 2**20)]
    found = javascript(node, "keys_view/rule", "value.map(([sizes, n]) => m.atLength(sizes, n))", cases)
    assert [tuple(each) for each in found] == [at_length(*case) for case in cases]


@pytest.mark.parametrize("length", [1, 127, 128, 1000, 9999, 2**20])
def test_a_published_layer_reads_and_keeps_what_the_accounting_says(length):
    for kind in ("full", "indexed"):
        name, config, layer = PUBLISHED[kind]
        read, scored, kept = at_length(layer_sizes(config, layer), length)
        assert 2 * kept * config.n_layers == cache_bytes(config, length), name
        assert read == (length if kind == "full" else min(length, 2048))
        assert scored == (length if kind == "indexed" and length > 2048 else 0)
    for name in ("deepseek-v4-pro", "deepseek-v4-flash"):
        config, waiting, kept = read_card(name).config, 0, 0
        for layer in range(config.n_layers):
            of = at_length(layer_sizes(config, layer), length)
            assert of[0] == shared_kv_seen(config, length, layer)
            kept += of[2]
            kind, size = config.attention.kind(layer), config.attention.head_dim
            waiting += {"window": 0, "sparse": 2 * 7 * 2 * (size + 128), "heavy": 2 * 127 * size}[kind]
        assert kept + waiting == shared_kv_numbers(config, length)  # what waits for an entry is left out here


def test_it_chooses_as_the_models_indexer_and_its_entries_do():
    shown = view(layer=1)
    before = past(12, 12, torch.device("cpu"))
    chosen = seen(best_keys(torch.from_numpy(SCORES[1:]), before, 3), before)[0]
    shown.top_k, shown.sparse_rate, shown.window = 3, 2, 1
    for query in range(12):
        shown.query = query
        assert shown.reading("indexed").tokens == torch.where(chosen[query])[0].tolist()
        whole = int(ripe(query, 1, 2, 6, torch.device("cpu")).sum())
        best = [SCORES[1, query, 2 * entry : 2 * entry + 2].max() for entry in range(whole)]
        entries = shown.reading("sparse").entries
        assert len(entries) == min(3, whole) and all(entry < whole for entry in entries)
        if entries:
            assert min(best[entry] for entry in entries) >= max(
                (best[entry] for entry in range(whole) if entry not in entries), default=-9
            )


def test_words_and_stretches(node):
    said = javascript(node, "keys_view/rule", "m.stretches(value)", [1, 2, 3, 7, 9, 10])
    assert said == [[1, 4], [7, 8], [9, 11]]
    read = {"tokens": [3], "entries": [0], "rate": 2}
    standings = javascript(node, "keys_view/rule", "[0, 1, 2, 3, 4, 5].map((i) => m.standing(i, 4, value))", read)
    assert standings == ["entry", "entry", "unread", "read", "query", "later"]


def test_it_has_a_still_picture_and_a_repr_that_stays():
    shown = view(query=9, kind="sparse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data, metadata = shown._repr_mimebundle_()
    assert data["image/png"].startswith("iVBOR")
    assert data["text/plain"] == (
        "<KeysView: token 10 of 12, compressed, sparse: reads 8 tokens and 2 entries; at 131,072 tokens 1,152, of "
        "21,037,056 numbers kept>"
    )
    assert "heavily compressed: 8 tokens, 0 entries" in metadata["image/png"]["alt"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"query": 12}, "query is 12, but must be at least 0 and at most 11"),
        ({"layer": 2}, "layer is 2, but must be at least 0 and at most 1"),
        ({"window": 0}, "window is 0, but must be at least 1 and at most 256"),
        ({"context": 2**21}, "context is 2097152, but must be at least 1 and at most 1,048,576"),
    ],
)
def test_knobs_that_make_no_sense_are_refused_in_one_sentence(change, sentence):
    shown = view()
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        for name, value in change.items():
            setattr(shown, name, value)


def test_one_token_and_one_entry_are_counted_as_one():
    first, fifth = view(query=0, kind="window"), view(query=4, kind="sparse")
    assert "reads 1 token; at" in repr(first) and " and 1 entry; at" in repr(fifth)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: KeysView(["a"], SCORES, PUBLISHED), "scores has shape (2, 12, 12), but must be (layers, 1, 1)"),
        (lambda: KeysView(["a"] * 12, SCORES, {"full": PUBLISHED["full"]}), "published lacks window, indexed, sparse"),
        (lambda: read_by("wide", [0], 1, 1, 1, 1), "kind is 'wide', but must be one of: full, window, indexed"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        make()
