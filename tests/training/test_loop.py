"""The loop and its clock: runs that are equal to the bit, and runs that stop."""

import itertools
import json
import math
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from small import small_model
from tiny_run import KINDS, StopAt, assert_same_to_the_bit, config, corpus, model, weights
from torch.utils.checkpoint import checkpoint

from moe_lessons.model.load_balance import sequence_balance_loss
from moe_lessons.tracing.record import find_routers
from moe_lessons.tracing.steer import steer_routing
from moe_lessons.training import DivergedError, load_checkpoint, loop, train


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


@pytest.mark.usefixtures("products_unasked")
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


def test_freed_memory_goes_back_before_while_and_after_it_trains_outside_of_the_runs_clock(monkeypatch):
    told = itertools.count(step=100)
    given = [0]  # the clock moves on with each
    monkeypatch.setattr(loop, "GIVE_BACK_EVERY", 2)
    monkeypatch.setattr(loop, "give_back_freed_memory", lambda: given.append(next(told)))
    history = train(model(), corpus(), config(steps=5), progress=False, now=lambda: given[-1])
    assert len(given) - 1 == 1 + 5 // 2 + 1
    assert history.seconds == 0


def test_a_watcher_is_outside_of_the_runs_clock():
    seen = [0]  # the clock moves on with each
    history = train(
        model(),
        corpus(),
        config(steps=3),
        watch=lambda step, _: seen.append(step),
        progress=False,
        now=lambda: seen[-1],
    )
    assert seen == [0, 1, 2, 3] and history.seconds == 0


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


def test_a_run_that_cannot_be_kept_stops_before_its_first_step(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    own = model()
    before = weights(own)
    with pytest.raises(OSError, match=r"could not be written.*choose another folder"):
        train(own, corpus(), config(steps=3), checkpoint=tmp_path / "file" / "run", progress=False)
    assert all(torch.equal(before[name], tensor) for name, tensor in own.state_dict().items())


def test_a_model_too_small_for_the_tokenizer_or_the_window_is_refused():
    small = small_model(vocab_size=200)
    with pytest.raises(ValueError, match="vocab_size is 200"):
        train(small, corpus(), config(steps=1), progress=False)
    with pytest.raises(ValueError, match="seq_len is 64"):
        train(model(), corpus(), config(steps=1, seq_len=64), progress=False)


def test_nothing_is_left_behind_beside_a_checkpoint(tmp_path):
    train(model(), corpus(), config(steps=1), checkpoint=tmp_path / "run", progress=False)
    names = sorted(p.name for p in Path(tmp_path).iterdir())
    assert names == ["run.json", "run.resume.safetensors", "run.safetensors"]
