"""Several processes against one: the same layer, the same training, the same files."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from parallel_work import half_run, layer_gradients, train_on_gpu, train_run, train_runs, wait_in_vain

from moe_lessons import cli
from moe_lessons.config import TrainConfig
from moe_lessons.model.dispatch import loop
from moe_lessons.model.experts import Experts
from moe_lessons.parallel import on_processes, vectors_sent
from moe_lessons.parallel.crossing import crossing
from moe_lessons.training import load_checkpoint
from moe_lessons.training.team import ALONE


def case(n_experts: int, sizes: list[int], top_k: int, only: list[int] | None = None) -> tuple[Experts, list[tuple]]:
    """A layer, and for each process as many tokens as `sizes` says with random choices, all among `only`."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    experts = Experts(n_experts, 8, 12)
    with torch.no_grad():
        experts.gate_up.copy_(draw(*experts.gate_up.shape))
        experts.down.copy_(draw(*experts.down.shape))
    open_to = torch.tensor(only or list(range(n_experts)))
    parts = []
    for size in sizes:
        choices = open_to[torch.rand(size, len(open_to), generator=generator).argsort(dim=1)[:, :top_k]]
        parts.append((draw(size, 8), choices, draw(size, top_k).softmax(dim=-1), draw(size, 8)))
    return experts, parts


CASES = {
    "uneven counts": (8, [5, 11], 2, None),
    "experts without a token": (8, [6, 6], 2, [0, 1, 6]),
    "all tokens on one expert": (4, [9, 7], 1, [3]),
    "a process without a token": (4, [0, 7], 2, None),
    "one token": (4, [1, 0], 1, None),
    "four processes": (8, [3, 8, 1, 6], 3, None),
}


@pytest.mark.parametrize("name", CASES)
def test_a_spread_layer_gives_one_processs_results_and_gradients(name):
    check_layer(*CASES[name])


def check_layer(n_experts: int, sizes: list[int], top_k: int, only: list[int] | None, device: str = "cpu") -> None:
    whole, parts = case(n_experts, sizes, top_k, only)
    results = on_processes(len(sizes), layer_gradients, whole, parts, device)

    hidden, experts, weights, grad = (torch.cat(each) for each in zip(*parts, strict=True))
    hidden.requires_grad_(), weights.requires_grad_()
    right = loop(hidden, experts, weights, whole.gate_up, whole.down)
    (right * grad).sum().backward()
    close = lambda got, wanted: torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)  # noqa: E731
    close(torch.cat([r["output"] for r in results]), right.detach())
    close(torch.cat([r["hidden"] for r in results]), hidden.grad)
    close(torch.cat([r["weights"] for r in results]), weights.grad)
    for result in results:
        close(result["gate_up"], whole.gate_up.grad / len(sizes))  # of the mean of the processes' losses
        close(result["down"], whole.down.grad / len(sizes))
        assert torch.equal(result["state"], whole.gate_up.detach())


@pytest.mark.parametrize("name", ["uneven counts", "four processes"])
def test_the_traffic_matrix_adds_up_to_what_the_choices_say(name):
    n_experts, sizes, top_k, only = CASES[name]
    whole, parts = case(n_experts, sizes, top_k, only)
    recorded = on_processes(len(sizes), layer_gradients, whole, parts)[0]["bytes"]
    sent = np.zeros((len(sizes), len(sizes)), int)
    for rank, (_, experts, _, _) in enumerate(parts):
        for choices in experts.tolist():
            for other in {expert // (n_experts // len(sizes)) for expert in choices}:
                sent[rank, other] += 1
    # there: the vector, the choices (8 bytes each) and their weights; back: the vector
    assert recorded.tolist() == [(sent * (4 * 8 + top_k * (8 + 4)) + sent.T * 4 * 8).tolist()]
    experts = np.concatenate([experts.numpy() for _, experts, _, _ in parts])
    counted = vectors_sent(experts, np.repeat(np.arange(len(sizes)), sizes), n_experts, len(sizes))
    assert counted.tolist() == sent.tolist()
    assert crossing(counted) == sent.sum() - sent.diagonal().sum()


def run(steps: int, **changes) -> TrainConfig:
    """All that touches a gradient, a balance or a norm."""
    values = {"batch_size": 4, "seq_len": 16, "bias_rate": 0.01, "balance_loss": 0.05, "z_loss": 0.01}
    return TrainConfig(steps=steps, **(values | {"sequence_balance_loss": 0.01, "gradient_clip": 0.5} | changes))


def losses(history) -> list[float]:
    return [point["loss"] for point in history.points]


RUNS = {
    "muon": ("moe", run(8)),
    "adamw": ("moe", run(8, optimizer="adamw")),
    "noisy": ("noisy", run(8, optimizer="adamw")),
    "dense": ("dense", run(8, optimizer="adamw")),
    "waiting": ("moe", run(8, expert_every=3)),
}
ROUNDING = {"muon": 5e-3, "waiting": 5e-3}  # sums in another order, which Muon makes more of; of the others 5e-4


@pytest.fixture(scope="module")
def alone() -> dict:
    """What one process makes of each run."""
    return {name: train_run(ALONE, *values) for name, values in RUNS.items()}


@pytest.mark.parametrize("n", [2, 4])
def test_several_processes_give_the_loss_curve_of_one(alone, n):
    results = on_processes(n, train_runs, RUNS)
    for name, (one, weights) in alone.items():
        for history, own in (result[name] for result in results):
            assert losses(history) == pytest.approx(losses(one), abs=ROUNDING.get(name, 5e-4)), name
            assert np.array_equal(history.loads.sum(axis=-1), one.loads.sum(axis=-1))
            assert np.abs(history.loads - one.loads).sum() <= 0.02 * one.loads.sum()  # a near tie may flip
            assert (history.steps, history.tokens) == (one.steps, one.tokens)
            assert history.evaluations[-1]["sums"] == pytest.approx(one.evaluations[-1]["sums"], abs=1e-2)
            for key, tensor in weights.items():
                assert own[key].shape == tensor.shape
                assert torch.equal(own[key], results[0][name][1][key]), key


@pytest.mark.parametrize(("first", "second", "name"), [(2, 1, "adamw"), (1, 4, "adamw"), (2, 1, "waiting")])
def test_a_run_goes_on_with_another_number_of_processes(alone, tmp_path, first, second, name):
    """It is stopped after step 4, and the rest is what one process makes of all 8 steps."""
    for n, resume in ((first, False), (second, True)):
        arguments = *RUNS[name], tmp_path / "run", resume
        results = on_processes(n, half_run, *arguments) if n > 1 else [half_run(ALONE, *arguments)]
    history, weights = results[0]
    whole, _ = alone[name]
    assert losses(history) == pytest.approx(losses(whole), abs=ROUNDING.get(name, 5e-4))
    kept = load_checkpoint(tmp_path / "run.safetensors").model.state_dict()
    for key, tensor in weights.items():
        assert torch.equal(kept[key], tensor), key


def test_a_process_that_does_not_answer_ends_the_run_within_its_time():
    started = time.perf_counter()
    with pytest.raises(Exception, match="has ended, or has not answered for 2 s; start again, with --resume"):
        on_processes(2, wait_in_vain, timeout=2)
    assert time.perf_counter() - started < 30


def torchrun(*words: str) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "moe_lessons", *words]


def test_an_error_of_all_processes_is_told_by_one():
    job = subprocess.run(torchrun("train", "--resume"), capture_output=True, text=True)
    assert job.returncode != 0
    assert job.stderr.count("moe-lessons: --resume is given without --out") == 1


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_a_lost_process_ends_the_job_with_one_sentence_and_its_checkpoint_goes_on(tmp_path, capsys):
    words = ["king", "fool", "hill", "sea", "brought", "nobody", "knew", "sang"]
    rng = random.Random(0)
    text = tmp_path / "verse.txt"
    text.write_text("\n".join(" ".join(rng.choices(words, k=7)) for _ in range(600)) + "\n", encoding="utf-8")
    train = ["train", "--text", str(text), "--out", str(tmp_path / "run"), "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    job = subprocess.Popen(torchrun(*train, "--steps", "400", "--checkpoint-every", "1"), **pipes)
    try:
        seen = ""
        while " 3/400" not in seen:
            character = job.stderr.read(1)
            assert character, seen
            seen += character
        children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        os.kill(int(children[-1]), signal.SIGKILL)
        out, rest = job.communicate(timeout=60)
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    assert job.returncode != 0
    assert out == ""
    assert rest.count("moe-lessons: another process of this run has ended") == 1
    assert cli.main([*train, "--steps", "4", "--resume"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["steps"], result["processes"]) == (4, 1)


def test_experts_and_sequences_that_cannot_be_shared_out_are_refused_in_one_sentence():
    whole, parts = case(4, [1, 1, 1], 1)
    with pytest.raises(Exception, match="there are 4 experts for 3 processes"):
        on_processes(3, layer_gradients, whole, parts)
    with pytest.raises(Exception, match="batch_size is 5, but 2 processes"):
        on_processes(2, train_runs, {"odd": ("dense", run(1, batch_size=5))})
    with pytest.raises(ValueError, match="must divide the 4 experts"):
        vectors_sent(np.zeros((1, 1), int), np.zeros(1, int), 4, 3)
    with pytest.raises(ValueError, match="at least 1 process"):
        on_processes(0, wait_in_vain)


needs_two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA GPUs")


@pytest.mark.gpu
@needs_two_gpus
@pytest.mark.parametrize("name", ["uneven counts", "all tokens on one expert", "a process without a token"])
def test_a_layer_spread_over_gpus_gives_one_processs_results(name):
    check_layer(*CASES[name], device="cuda")


@pytest.mark.gpu
@needs_two_gpus
def test_two_gpus_give_the_loss_curve_of_one():
    config = run(8, optimizer="adamw")
    one, _ = train_run(ALONE, "moe", config, device="cuda")
    for history, weights in on_processes(2, train_on_gpu, config):
        # both multiply in bfloat16
        assert losses(history) == pytest.approx(losses(one), abs=2e-2)
        assert weights["blocks.0.feed_forward.experts.down"].shape[0] == 4
