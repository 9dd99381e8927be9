"""The needle: texts whose answers stand in them, choosers that read what they say, and the recorded study."""

import json
import re

import pytest
import torch

from moe_lessons.resources import data_path
from moe_lessons.studies import needle, notes, pooled_needle
from moe_lessons.studies.choosers import Chooser, Latest, Oracle, Random, mass_read
from moe_lessons.studies.needle import KEYS, VOTE_KEYS, Steps, attention_of, one_seed, small_model


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_answer_is_the_number_in_the_note_that_the_question_names():
    hay = notes.haystack(generator(), 5, 40, notes=6, asked=4)
    for row in range(5):
        text, answers = notes.words(hay.tokens[row]), notes.words(hay.answers[row])
        told = dict(word.split("=") for word in text if "=" in word)
        assert len(told) == 6
        assert [told[word[0]] for word in text[-4:]] == answers
        for at in range(4):
            note = 36 + at - int(hay.distances[row, at])
            assert text[note] == f"{text[36 + at][0]}={answers[at]}"


def test_a_vote_is_won_by_the_number_that_most_notes_say():
    hay = notes.vote(generator(), batch=4, time=60, said=5, asked=3)
    for row in range(4):
        text = notes.words(hay.tokens[row])
        for question, answer in zip(text[-3:], notes.words(hay.answers[row]), strict=True):
            said = [word[2:] for word in text if word.startswith(f"{question[0]}=")]
            assert len(said) == 5 and said.count(answer) == 3


def test_each_chooser_reads_what_its_name_says():
    model, hay = small_model(), notes.haystack(generator(), 2, 40, notes=4, asked=4)
    layer = attention_of(model)
    for chooser in (Latest(), Random(0), Oracle(layer), Chooser(layer.indexer)):
        everything = mass_read(model, layer, chooser, [40], hay)[0]
        assert everything == pytest.approx(1, abs=1e-5)
    oracle = mass_read(model, layer, Oracle(layer), KEYS, hay)
    for other in (Latest(), Random(0), Chooser(layer.indexer)):
        found = mass_read(model, layer, other, KEYS, hay)
        assert all(a >= b - 1e-6 for a, b in zip(oracle, found, strict=True))
        assert found == sorted(found) or isinstance(other, Random)


@torch.no_grad()
def test_the_latest_keys_are_a_window_and_the_indexer_comes_back():
    model, hay = small_model(), notes.haystack(generator(), 2, 40, notes=4, asked=4)
    layer, far = attention_of(model), notes.haystack(generator(1), 2, 40, notes=4, asked=4)
    changed = hay.tokens.clone()
    changed[:, :30] = far.tokens[:, :30]
    own = layer.indexer
    with Latest().in_place_of_indexer(layer, 10):
        same = model(hay.tokens)[:, -1], model(changed)[:, -1]
    assert torch.allclose(*same, atol=1e-6)
    assert layer.indexer is own
    assert not torch.allclose(model(hay.tokens)[:, -1], model(changed)[:, -1], atol=1e-4)


def test_a_seed_gives_what_the_record_has_and_the_same_again(monkeypatch):
    monkeypatch.setattr(needle, "LONGER", (128,))
    first, again = (one_seed(0, Steps(2, 2, 2, 2)) for _ in range(2))
    assert first == again
    record = json.loads(data_path("studies/needle.json").read_text(encoding="utf-8"))
    seeds = int(re.findall(r"--seeds (\d+)", record["command"])[0])
    assert len(record["seeds"]) == seeds
    for run in record["seeds"]:
        assert run.keys() == first.keys() and run["trained"].keys() == first["trained"].keys()
        assert all(len(values) == len(VOTE_KEYS) for values in run["votes"].values())
        assert all(len(values["right"]) == len(KEYS) for values in run["choosers"].values())


def test_the_pooling_model_has_one_entry_for_so_many_tokens():
    for rate in pooled_needle.RATES:
        model = pooled_needle.pooling_model(rate)
        assert model.blocks[0].attention.entries.rate == rate
    record = json.loads(data_path("studies/pooled-needle.json").read_text(encoding="utf-8"))
    assert len(record["seeds"]) == int(re.findall(r"--seeds (\d+)", record["command"])[0])
    names = [*(str(rate) for rate in pooled_needle.RATES), "longer"]
    assert all(list(run) == names for run in record["seeds"])
    assert list(pooled_needle.one_seed(0, 10, 10)) == names


def test_more_notes_than_names_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match="notes is 17, but there are 16 names"):
        notes.haystack(generator(), 1, 64, notes=17, asked=2)
