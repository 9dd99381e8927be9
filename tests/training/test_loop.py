"""The loop, its clock, its data and its evaluation, against slow and independent calculations."""

import itertools
import json
import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small import small_model
from tiny_run import KINDS, TOKENIZER, corpus, model
from torch.utils.checkpoint import checkpoint

from moe_lessons.config import TrainConfig
from moe_lessons.model.load_balance import sequence_balance_loss
from moe_lessons.model.transformer import Transformer
from moe_lessons.tracing.record import find_routers
from moe_lessons.tracing.steer import steer_routing
from moe_lessons.training import DivergedError, evaluate, load_checkpoint, mean_nats_per_byte, recipe, train
from moe_lessons.training import resume as resuming
from moe_lessons.training.batches import Batches
from moe_lessons.training.checkpoint import read_tensors
from moe_lessons.training.optimizers import build_optimizers
from moe_lessons.training.schedule import learning_rate_factor


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


# ---------------------------------------------------------------- batches and schedule


def test_an_epoch_reads_every_window_once_and_targets_are_the_next_tokens():
    ids = np.arange(1000, dtype=np.uint16)
    batches = Batches(ids, batch_size=4, seq_len=10, seed=3)
    seen = []
    for step in range(batches.windows // 4):
        inputs, targets = batches(step)
        assert torch.equal(inputs + 1, targets)
        seen += inputs.flatten().tolist()
    assert len(seen) == len(set(seen))
    assert len(seen) > 950


def test_batches_depend_on_seed_and_step_alone():
    ids = np.arange(500, dtype=np.uint16)
    one, two = Batches(ids, 4, 10, seed=1), Batches(ids, 4, 10, seed=1)
    later = one(37)[0]
    for step in range(37):
        two(step)
    assert torch.equal(two(37)[0], later)
    assert not torch.equal(Batches(ids, 4, 10, seed=2)(37)[0], later)


@pytest.mark.parametrize("length", [12, 13, 20, 22])
def test_the_shortest_possible_text_still_makes_batches(length):
    inputs, _ = Batches(np.arange(length, dtype=np.uint16), 3, 10, seed=0)(5)
    assert inputs.shape == (3, 10)


def test_a_text_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match="seq_len"):
        Batches(np.arange(11, dtype=np.uint16), 3, 10, seed=0)


def test_the_learning_rate_climbs_to_one_and_falls_to_the_end():
    assert learning_rate_factor(0.0, 0.1) == 0
    assert learning_rate_factor(0.05, 0.1) == pytest.approx(0.5)
    assert learning_rate_factor(0.1, 0.1) == 1
    assert learning_rate_factor(0.55, 0.1) == pytest.approx(0.5)
    assert learning_rate_factor(1.0, 0.1) == 0
    assert learning_rate_factor(7.0, 0.1, final=0.2) == pytest.approx(0.2)
    assert learning_rate_factor(0.0, 0.0) == 1


# ---------------------------------------------------------------- the loop


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "moe"])
def test_training_lowers_the_loss_below_that_of_single_characters(sparse):
    own, text = model(sparse), corpus()
    history = train(own, text, config(steps=150, batch_size=8, lr=0.01), progress=False)
    assert history.points[0]["loss"] > 5
    counts = np.bincount(text.train.ids)
    share = counts[counts > 0] / counts.sum()
    assert history.loss < -(share * np.log(share)).sum()
    assert (history.steps, history.tokens) == (150, 150 * 8 * 16)
    assert not own.training


def test_each_step_has_the_rate_of_the_share_of_the_run_that_is_done_after_it():
    own = model(False)
    run = config(steps=10, warmup=0.2, final_lr=0.1)
    rates = [point["lr"] for point in train(own, corpus(), run, progress=False).points]
    down = [1 - 0.9 * (done - 2) / 8 for done in range(2, 11)]  # a straight line from 1 to 0.1
    assert rates == pytest.approx([0.5, *down])
    assert rates == pytest.approx([learning_rate_factor(done / 10, 0.2, 0.1) for done in range(1, 11)])


@pytest.mark.parametrize("kind", KINDS)
def test_two_runs_with_one_seed_are_equal_to_the_bit(kind):
    runs = [model(**KINDS[kind]) for _ in range(2)]
    for run in runs:
        torch.rand(7)  # whatever else was drawn in between
        train(run, corpus(), config(steps=5), progress=False)
    assert_same_to_the_bit(*runs)


def test_noise_is_another_in_each_step_layer_and_seed_and_none_in_evaluation():
    met = {}
    for seed in (0, 1):
        own = model(noise=True)
        routers = find_routers(own)
        text = torch.arange(20)[None]
        quiet = own.eval()(text)

        def watch(step, routings, seed=seed):
            met.update({(seed, step, layer): routing.logits for layer, routing in routings.items()})

        config_ = config(steps=2, lr=1e-30, matrix_lr=1e-30, bias_rate=0.0, weight_decay=0.0, seed=seed)
        train(own, corpus(), config_, watch=watch, progress=False)
        assert torch.equal(own(text), quiet)
        assert all(router.draw is None for router in routers.values())
    assert len({tuple(logits.flatten().tolist()) for logits in met.values()}) == len(met) == 8


def test_noisy_layers_that_are_computed_again_in_the_backward_pass_draw_the_same_noise():
    plain, thrifty = model(noise=True), model(noise=True)
    for block in thrifty.blocks:
        forward = block.forward
        block.forward = lambda *given, forward=forward: checkpoint(
            forward, *given, use_reentrant=False, preserve_rng_state=False
        )
    for one in (plain, thrifty):
        train(one, corpus(), config(steps=4, z_loss=0.01), progress=False)
    assert_same_to_the_bit(plain, thrifty)


def test_what_the_result_depends_on_is_kept_with_it(tmp_path):
    train(model(), corpus(), config(steps=1), checkpoint=tmp_path / "run", progress=False)
    notes = load_checkpoint(tmp_path / "run.safetensors").notes
    assert notes["conditions"] == {
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "optimizer_products": "float32",
        "torch": torch.__version__.partition("+")[0],
        "processes": 1,
    }
    other = config(steps=1, optimizer="adamw")
    assert train(model(), corpus(), other, progress=False).conditions["optimizer_products"] == "none"


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_stopped_at_ten_and_continued_equals_one_of_twenty_to_the_bit(kind, tmp_path):
    straight, stopped, continued = (model(**KINDS[kind], seed=seed) for seed in (0, 0, 99))
    whole = train(straight, corpus(), config(steps=20), progress=False)
    half = train(stopped, corpus(), config(steps=20), board=StopAt(10), checkpoint=tmp_path / "run", progress=False)
    assert (half.steps, half.interrupted) == (10, True)
    rest = train(continued, corpus(), config(steps=20), checkpoint=tmp_path / "run", resume=True, progress=False)
    assert (rest.steps, rest.interrupted, rest.tokens) == (20, False, whole.tokens)
    assert [p["loss"] for p in rest.points] == [p["loss"] for p in whole.points]
    assert_same_to_the_bit(straight, continued)


def test_ctrl_c_leaves_a_usable_model_and_a_checkpoint_of_it(tmp_path):
    own = model()
    before = signal.getsignal(signal.SIGINT)
    history = train(own, corpus(), config(steps=50), board=StopAt(3), checkpoint=tmp_path / "run", progress=False)
    assert (history.steps, history.interrupted) == (3, True)
    assert_same_to_the_bit(load_checkpoint(tmp_path / "run.safetensors").model, own)
    assert signal.getsignal(signal.SIGINT) is before
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["interrupted"] is True


def test_a_run_by_the_clock_stops_at_the_clock_and_its_rate_ends_low():
    history = train(model(), corpus(), config(seconds=1.0), progress=False)
    last = history.points[-1]
    assert last["seconds"] >= 1.0
    assert history.points[-2]["seconds"] < 1.0
    assert last["lr"] < 0.5
    assert max(p["lr"] for p in history.points) > last["lr"]


def test_zero_steps_change_nothing():
    own = model()
    before = weights(own)
    history = train(own, corpus(), config(steps=0), progress=False)
    assert history.steps == 0
    assert math.isnan(history.loss)
    assert all(torch.equal(before[name], tensor) for name, tensor in own.state_dict().items())


def test_a_loss_that_is_no_number_stops_the_run_and_spares_weights_and_checkpoint(tmp_path):
    class Poison(StopAt):
        def point(self, **values: float) -> None:
            if values["step"] == 4:
                own.norm.weight.data[0] = math.nan

    own = model()
    with pytest.raises(DivergedError, match="lower lr"):
        train(
            own,
            corpus(),
            config(steps=9, checkpoint_every=3),
            board=Poison(0),
            checkpoint=tmp_path / "run",
            progress=False,
        )
    saved = load_checkpoint(tmp_path / "run.safetensors")
    assert saved.notes["steps"] == 3
    assert all(t.isfinite().all() for t in saved.model.state_dict().values())
    bad = [name for name, t in own.state_dict().items() if not t.isfinite().all()]
    assert bad == ["norm.weight"]  # the poisoned entry alone: no step was made with it


def test_the_bias_moves_once_a_step_and_evaluation_leaves_it_alone():
    own = model()
    train(own, corpus(), config(steps=4, bias_rate=0.125, evaluate_every=1), progress=False)
    for router in find_routers(own).values():
        moves = router.expert_bias / 0.125
        assert torch.equal(moves, moves.round())
        assert moves.abs().max() <= 4
        assert moves.any()


def test_a_decaying_bias_follows_the_learning_rate_and_comes_to_rest():
    own, seen = model(), []

    def watch(step, routings):
        seen.append(torch.stack([router.expert_bias.clone() for router in find_routers(own).values()]))

    length = config(steps=12, bias_rate=0.125, bias_decay=True)
    history = train(own, corpus(), length, watch=watch, progress=False)
    moves = [(after - before).abs().max().item() for before, after in itertools.pairwise(seen)]
    assert moves == pytest.approx([0.125 * point["lr"] for point in history.points[1:]], abs=1e-6)
    assert moves[-1] < moves[0] / 3


def test_the_history_counts_each_steps_work_once_by_layer_and_expert():
    own, seen = model(), []

    def watch(step, routings):
        seen.append(
            (step, [[sum(int(e) == i for e in r.experts.flatten()) for i in range(4)] for r in routings.values()])
        )

    history = train(own, corpus(), config(steps=5), watch=watch, progress=False)
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5]
    assert history.loads.tolist() == [loads for _, loads in seen]
    assert (history.loads.sum(axis=2) == 2 * 16 * 2).all()  # sequences, tokens, choices


def test_a_dense_run_has_no_loads():
    seen = []
    history = train(model(False), corpus(), config(steps=2), watch=lambda *given: seen.append(given), progress=False)
    assert history.loads.shape == (0, 0, 0)
    assert history.summary()["loads"] == []
    assert seen == [(1, {}), (2, {})]


def test_load_and_bias_are_the_same_when_activations_are_computed_again():
    """torchtitan counted twice what the backward pass computed a second time."""
    plain, thrifty = model(), model()
    for block in thrifty.blocks:
        forward = block.forward
        block.forward = lambda *given, forward=forward: checkpoint(forward, *given, use_reentrant=False)
    runs = [train(one, corpus(), config(steps=4, z_loss=0.01), progress=False) for one in (plain, thrifty)]
    assert np.array_equal(runs[0].loads, runs[1].loads)
    assert_same_to_the_bit(plain, thrifty)


def test_two_models_trained_in_turn_do_not_share_their_counts():
    """nanoMoE's counters were a global."""
    alone = train(model(), corpus(), config(steps=3), progress=False)
    other = model(seed=7)

    def in_between(step, routings):
        train(other, corpus(), config(steps=1), progress=False)

    assert np.array_equal(
        train(model(), corpus(), config(steps=3), watch=in_between, progress=False).loads, alone.loads
    )


def test_a_choice_of_weight_zero_is_no_work():
    def drop_the_second(layer, routing):
        return routing._replace(weights=routing.weights * torch.tensor([1.0, 0.0]))

    own = model()
    with steer_routing(own, drop_the_second):
        history = train(own, corpus(), config(steps=2), progress=False)
    assert (history.loads.sum(axis=2) == 2 * 16).all()


def test_the_bias_follows_what_was_chosen_also_where_it_was_dropped():
    def drop_everything(layer, routing):
        return routing._replace(weights=routing.weights * 0)

    biases = []
    for change in (drop_everything, lambda layer, routing: routing):
        own = model()
        with steer_routing(own, change):
            train(own, corpus(), config(steps=1, balance_loss=0.0), progress=False)
        biases.append(find_routers(own)[0].expert_bias.clone())
    assert torch.equal(*biases)
    assert biases[0].any()


def test_loads_survive_a_stop_and_the_summary_keeps_their_mean(tmp_path):
    whole = train(model(), corpus(), config(steps=9), progress=False)
    train(model(), corpus(), config(steps=4), checkpoint=tmp_path / "run", progress=False)
    run = {"checkpoint": tmp_path / "run", "resume": True, "progress": False}
    rest = train(model(), corpus(), config(steps=9), **run)
    assert rest.loads.shape == (9, 2, 4)
    assert np.array_equal(rest.loads[:4].sum(axis=2), whole.loads[:4].sum(axis=2))
    rows = rest.summary(n_loads=4)["loads"]
    assert [step for step, _ in rows] == [3, 6, 9]
    assert np.allclose([load for _, load in rows], rest.loads.reshape(3, 3, 2, 4).mean(axis=1), atol=0.051)
    assert json.dumps(rows)


def test_a_watcher_is_outside_of_the_runs_clock():
    history = train(model(), corpus(), config(steps=3), watch=lambda *_: time.sleep(0.5), progress=False)
    assert history.seconds < 1.5


def test_the_sequence_balance_loss_evens_out_each_sequence():
    def unevenness(weight: float) -> float:
        last = []

        def watch(step, routings):
            last.append([float(sequence_balance_loss(r.scores, 2, 16)) for r in routings.values()])

        changes = {"balance_loss": 0.0, "bias_rate": 0.0, "sequence_balance_loss": weight}
        length = {"steps": 60, "batch_size": 8, "lr": 0.01}
        train(model(), corpus(), config(**length, **changes), watch=watch, progress=False)
        return float(np.mean(last[-10:]))

    assert unevenness(0.1) < unevenness(0.0) - 0.02


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


def test_a_run_that_cannot_be_kept_stops_before_its_first_step(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    own = model()
    before = weights(own)
    with pytest.raises(OSError, match=r"could not be written.*choose another folder"):
        train(own, corpus(), config(steps=3), checkpoint=tmp_path / "file" / "run", progress=False)
    assert all(torch.equal(before[name], tensor) for name, tensor in own.state_dict().items())


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


def test_a_model_too_small_for_the_tokenizer_or_the_window_is_refused():
    small = small_model(vocab_size=200)
    with pytest.raises(ValueError, match="vocab_size is 200"):
        train(small, corpus(), config(steps=1), progress=False)
    with pytest.raises(ValueError, match="seq_len is 64"):
        train(model(), corpus(), config(steps=1, seq_len=64), progress=False)


def test_the_summary_keeps_the_last_step_and_loses_no_loss():
    history = train(model(), corpus(), config(steps=23), progress=False)
    curve = history.summary(n_points=5)["curve"]
    assert len(curve) == 5
    assert curve[-1][0] == 23
    sizes = np.diff([0, *(row[0] for row in curve)])
    mean = float((sizes * [row[2] for row in curve]).sum() / 23)
    assert mean == pytest.approx(np.mean([p["loss"] for p in history.points]), abs=1e-3)


# ---------------------------------------------------------------- evaluation


def test_each_document_costs_its_own_tokens_and_the_mark_that_ends_it():
    own, text = model(seed=5), corpus()
    result = evaluate(own, text, seq_len=32)
    # slow: one document after another, each token's cost from a pass of its own over the same windows
    ids = np.append(text.valid.ids, TOKENIZER.document_id).astype(np.int64)
    expected = dict.fromkeys(text.domains, 0.0)
    for document in range(len(text.valid.document_domains)):
        first, last = text.valid.starts[document], text.valid.starts[document + 1]
        name = text.domains[text.valid.document_domains[document]]
        for target in range(first + 1, last + 1):  # every token after the opening mark, then the next mark
            start = 0 if target <= 32 else (target - 32 - 1) // 16 * 16 + 16
            with torch.inference_mode():
                logits = own(torch.from_numpy(ids[start:target])[None])[0, -1]
            expected[name] -= float(logits.log_softmax(-1)[ids[target]])
    for index, name in enumerate(text.domains):
        mine = text.valid.document_domains == index
        assert result[name].nats == pytest.approx(expected[name], rel=1e-4)
        assert result[name].tokens == (text.valid.labels == index).sum()
        assert result[name].bytes == text.valid.document_bytes[mine].sum()
    assert result["german"].floor_nats == pytest.approx(3.0 * (text.valid.document_domains == 0).sum())
    assert math.isnan(result["sums"].floor_nats)
    total = sum(expected.values()) / text.valid.document_bytes.sum()
    assert mean_nats_per_byte(result) == pytest.approx(total, rel=1e-4)


def test_a_model_that_knows_nothing_pays_the_logarithm_of_the_vocabulary():
    own = model()
    own.norm.weight.data.zero_()  # all logits are 0
    for evaluation in evaluate(own, corpus()).values():
        assert evaluation.nats_per_token == pytest.approx(math.log(257), rel=1e-5)
        assert evaluation.bits_per_byte == pytest.approx(
            math.log2(257) * evaluation.tokens / evaluation.bytes, rel=1e-5
        )


def test_a_token_limit_takes_whole_documents_from_the_front():
    text = corpus()
    few = evaluate(model(), text, max_tokens=int(text.valid.starts[2]))
    assert sum(e.tokens for e in few.values()) == text.valid.starts[2]


def test_evaluation_depends_neither_on_the_batch_size_nor_on_the_mode_it_leaves_alone():
    own = model().train()
    one, many = (evaluate(own, corpus(), batch_size=size) for size in (1, 16))
    assert own.training
    for name in one:
        assert one[name].nats == pytest.approx(many[name].nats, rel=1e-5)


# ---------------------------------------------------------------- recipes


@pytest.mark.parametrize("kind", ["dense", "moe"])
@pytest.mark.parametrize("own_text", [False, True])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_recipe_builds_a_model_and_a_run(kind, own_text, device):
    chosen = recipe(kind, device, own_text=own_text)
    run = chosen.train_config(seconds=10, seed=4)
    assert (run.seconds, run.seed) == (10, 4)
    assert run.seq_len <= chosen.model.max_length
    assert (chosen.model.moe is not None) == (kind == "moe")
    Transformer(chosen.model_config(300), device="meta")


@pytest.mark.parametrize(("own_text", "device"), [(False, "cpu"), (True, "cpu"), (False, "cuda")])
def test_dense_and_sparse_recipes_have_the_same_work_per_token(own_text, device):
    from moe_lessons.accounting import count_parameters

    dense, moe = (count_parameters(recipe(kind, device, own_text=own_text).model).active for kind in ("dense", "moe"))
    assert moe == pytest.approx(dense, rel=0.02)


def test_an_unknown_recipe_lists_the_cards():
    with pytest.raises(ValueError, match=r"'huge'.*course-dense"):
        recipe("huge")


def test_nothing_is_left_behind_beside_a_checkpoint(tmp_path):
    train(model(), corpus(), config(steps=1), checkpoint=tmp_path / "run", progress=False)
    names = sorted(p.name for p in Path(tmp_path).iterdir())
    assert names == ["run.json", "run.resume.safetensors", "run.safetensors"]
