"""An unfinished run on disk: continued to the bit, or refused in one sentence."""

import json

import pytest
import torch
from safetensors.torch import save_file
from tiny_run import KINDS, StopAt, assert_same_to_the_bit, config, corpus, model, weights

from moe_lessons.training import resume as resuming
from moe_lessons.training import train
from moe_lessons.training.checkpoint import read_tensors
from moe_lessons.training.optimizers import build_optimizers


@pytest.mark.parametrize(("kind", "changes"), [*((k, {}) for k in KINDS), ("moe", {"expert_every": 4})])
def test_a_run_stopped_at_ten_and_continued_equals_one_of_twenty_to_the_bit(kind, changes, tmp_path):
    straight, stopped, continued = (model(**KINDS[kind], seed=seed) for seed in (0, 0, 99))
    run = config(steps=20, **changes)
    whole = train(straight, corpus(), run, progress=False)
    half = train(stopped, corpus(), run, board=StopAt(10), checkpoint=tmp_path / "run", progress=False)
    assert (half.steps, half.interrupted) == (10, True)
    rest = train(continued, corpus(), run, checkpoint=tmp_path / "run", resume=True, progress=False)
    assert (rest.steps, rest.interrupted, rest.tokens) == (20, False, whole.tokens)
    assert [p["loss"] for p in rest.points] == [p["loss"] for p in whole.points]
    assert_same_to_the_bit(straight, continued)


def test_a_run_kept_before_an_option_existed_is_continued(tmp_path):
    train(model(), corpus(), config(steps=2), checkpoint=tmp_path / "run", progress=False)
    path = tmp_path / "run.resume.safetensors"
    tensors, header = read_tensors(path)
    old = {name: value for name, value in json.loads(header["train"]).items() if name != "sequence_balance_loss"}
    del tensors["history.loads"]
    save_file(tensors, path, metadata=header | {"train": json.dumps(old)})
    run = {"checkpoint": tmp_path / "run", "resume": True, "progress": False}
    history = train(model(), corpus(), config(steps=3), **run)
    assert (history.steps, len(history.loads)) == (3, 1)
    assert history.summary()["loads"][0][0] == 3
    with pytest.raises(ValueError, match=r"sequence_balance_loss = 0\.0, not 0\.1"):
        train(model(), corpus(), config(steps=4, sequence_balance_loss=0.1), **run)


def test_a_run_that_goes_on_shares_no_memory_with_its_file(tmp_path, monkeypatch):
    train(model(), corpus(), config(steps=2), checkpoint=tmp_path / "run", progress=False)
    read = []
    monkeypatch.setattr(resuming, "read_tensors", lambda path: read.append(read_tensors(path)) or read[-1])
    own, text, more = model(seed=5), corpus(), config(steps=3)
    optimizers = build_optimizers(own, more)
    history = resuming.read_resume(tmp_path / "run.resume.safetensors", own, optimizers, more, text)
    in_file = {tensor.untyped_storage().data_ptr() for tensor in read[0][0].values()}
    states = [value for o in optimizers for state in o.state.values() for value in state.values()]
    used = [*states, *own.state_dict().values(), *map(torch.from_numpy, history.load_rows)]
    assert len(states) > 10
    assert not in_file & {tensor.untyped_storage().data_ptr() for tensor in used}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"train": "{"}, "damaged header"),
        ({"train": None}, "damaged header"),
        ({"history": "[]"}, "damaged header"),
        ({"history": '{"lengths": 3}'}, "damaged header"),
        ({"corpus": None}, "another text"),
    ],
)
def test_a_damaged_header_of_an_unfinished_run_is_one_sentence(tmp_path, header, words):
    train(model(), corpus(), config(steps=2), checkpoint=tmp_path / "run", progress=False)
    path = tmp_path / "run.resume.safetensors"
    tensors, written = read_tensors(path)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    save_file(tensors, path, metadata={k: v for k, v in (written | header).items() if v is not None})
    with pytest.raises(ValueError, match=rf"^run\.resume\.safetensors .*{words}"):
        train(model(), corpus(), config(steps=3), checkpoint=tmp_path / "run", resume=True, progress=False)


def test_a_run_cannot_go_on_to_less_than_it_has_done(tmp_path):
    run = {"checkpoint": tmp_path / "run", "progress": False}
    train(model(), corpus(), config(steps=3), **run)
    own = model(seed=9)
    before = weights(own)
    with pytest.raises(ValueError, match="has done 3 steps already, more than the 2 asked for; ask for more"):
        train(own, corpus(), config(steps=2), resume=True, **run)
    assert all(torch.equal(before[name], tensor) for name, tensor in own.state_dict().items())
    with pytest.raises(ValueError, match=r"has done \d+(\.\d)? seconds already, more than the 1e-06 asked for"):
        train(model(), corpus(), config(seconds=1e-6), resume=True, **run)
    again = train(model(), corpus(), config(steps=3), resume=True, **run)
    assert (again.steps, again.interrupted) == (3, False)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lr": 0.5}, "lr = 0.003, not 0.5"),
        ({"seq_len": 8}, "seq_len = 16, not 8"),
    ],
)
def test_a_run_is_not_continued_as_another_run(tmp_path, change, sentence):
    train(model(), corpus(), config(steps=2), checkpoint=tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match=sentence):
        train(model(), corpus(), config(steps=4, **change), checkpoint=tmp_path / "run", resume=True, progress=False)


def test_a_run_is_not_continued_on_another_text_or_with_another_model(tmp_path):
    train(model(), corpus(), config(steps=2), checkpoint=tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match="another text"):
        other = corpus()._replace(fingerprint="beef")
        train(model(), other, config(steps=4), checkpoint=tmp_path / "run", resume=True, progress=False)
    with pytest.raises(ValueError, match="another model"):
        train(model(False), corpus(), config(steps=4), checkpoint=tmp_path / "run", resume=True, progress=False)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        train(model(), corpus(), config(steps=4), checkpoint=tmp_path / "none", resume=True, progress=False)
    with pytest.raises(ValueError, match="without a checkpoint path"):
        train(model(), corpus(), config(steps=4), resume=True, progress=False)
