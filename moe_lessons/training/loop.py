"""The training loop: dense or sparse, CPU or GPU, stopped and continued."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.optim import Optimizer
from tqdm.auto import tqdm

from moe_lessons.config import TrainConfig
from moe_lessons.device import give_back_freed_memory, keep_freed_memory
from moe_lessons.model.load_balance import expert_load, sequence_balance_loss, update_bias, z_loss
from moe_lessons.model.router import Routing, repeatable_noise
from moe_lessons.model.transformer import Transformer
from moe_lessons.seeds import run_seed
from moe_lessons.text.corpus import Corpus
from moe_lessons.tracing.record import observe_routing, our_routers
from moe_lessons.training.batches import Batches
from moe_lessons.training.checkpoint import beside, require_writable, save_checkpoint
from moe_lessons.training.evaluate import evaluate
from moe_lessons.training.history import History
from moe_lessons.training.optimizers import build_optimizers, product_dtype
from moe_lessons.training.resume import read_resume, write_resume
from moe_lessons.training.schedule import learning_rate_factor
from moe_lessons.training.team import ALONE, Alone

GIVE_BACK_EVERY = 500  # steps, in which a sparse model leaves some 150 MB of freed pieces that nothing fits


class DivergedError(ValueError):
    """A loss or gradient that is not a number any more."""


class Board(Protocol):
    """What a live picture of the run must understand; `widgets.TrainingBoard` does."""

    def start(self, total: float, unit: str) -> None: ...
    def point(
        self, *, step: int, seconds: float, loss: float, tokens: int, lr: float, load: np.ndarray | None
    ) -> None: ...
    def evaluation(self, step: int, values: dict[str, float]) -> None: ...
    def finish(self) -> None: ...


def train(
    model: Transformer,
    corpus: Corpus,
    config: TrainConfig,
    *,
    board: Board | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool = True,
    notes: dict[str, Any] | None = None,
    watch: Callable[[int, dict[int, Routing]], None] | None = None,
    team: Alone = ALONE,
    now: Callable[[], float] = time.perf_counter,
) -> History:
    """Train `model` in place on `corpus.train` and return what happened.

    Ctrl-C, or the notebook's stop button, ends the run after the current step: the model is whole, the checkpoint
    is written, `History.interrupted` says so. With `checkpoint`, a model file and a resume file lie at that path;
    `resume` continues the latter: on a CPU to the bit, on the same machine with as many threads, when the run is
    counted in steps; on a GPU, whose sums come in no fixed order, nearly.

    `watch(step, routings)` is called after every step, outside of the run's clock, with what each sparse layer's
    router decided in it, by layer; it may look at the model and must leave it as it is.

    `now` is the clock that a run's seconds are read from; `time.process_time` counts those that this process had on a
    processor, whatever else the machine does.

    With a `team` of several processes (moe_lessons.parallel), each calls this with the same arguments and works on its
    part of every batch; the run, its history and its files are those of one process.

    Raises ValueError where the corpus or the resume file does not fit, OSError where the checkpoint cannot be
    written (before the first step, so that nothing is lost).
    """
    if corpus.tokenizer.vocab_size > model.config.vocab_size:
        raise ValueError(
            f"the tokenizer has {corpus.tokenizer.vocab_size} pieces, but the model's vocab_size is "
            f"{model.config.vocab_size}; build the model for this tokenizer"
        )
    if config.seq_len > model.config.max_length:
        raise ValueError(
            f"seq_len is {config.seq_len}, but the model reads at most max_length = {model.config.max_length}; lower it"
        )
    batches = Batches(corpus.train.ids, config.batch_size, config.seq_len, config.seed)
    optimizers = build_optimizers(model, config)
    team.adopt(model, optimizers)
    history = History()
    resume_path = beside(checkpoint, ".resume.safetensors") if checkpoint else None
    if resume:
        if resume_path is None:
            raise ValueError("resume is asked for without a checkpoint path; say where the run was saved")
        history = read_resume(resume_path, model, optimizers, config, corpus)
    elif resume_path is not None and team.leader:
        require_writable(resume_path)

    def save() -> None:
        if checkpoint and resume_path:
            noted = {**(notes or {}), "train": asdict(config), **history.summary()}
            write_resume(resume_path, model, optimizers, config, corpus, history, write=team.leader)
            save_checkpoint(checkpoint, model, noted, write=team.leader)

    def measure() -> None:
        evaluations = evaluate(model, corpus, max_tokens=30_000, seq_len=config.seq_len)
        values = {name: e.nats_per_token for name, e in evaluations.items()}
        history.evaluations.append({"step": history.steps, **values})
        if board:
            board.evaluation(history.steps, values)

    device = model.embedding.weight.device
    history.conditions = run_conditions(config, device) | {"processes": team.size}
    give_back_freed_memory()  # what ran before has left pieces that fit no step's tensors
    keep_freed_memory()  # every step needs the same again
    total, unit = config.length
    if board:
        board.start(total, unit)
    model.train()
    bar = tqdm(total=total, unit=unit[:-1], disable=not (progress and team.leader), desc="training", bar_format=_BAR)
    bar.update(history.steps if unit == "steps" else history.seconds)
    with _stop_between_steps(team.patient) as stop, bar:
        clock = now() - history.seconds
        stopped = False
        while (history.steps if unit == "steps" else history.seconds) < total:
            if stopped := bool(team.most(stop.is_set())):
                break
            share = (history.steps if unit == "steps" else history.seconds) / total
            factor = learning_rate_factor(share + (1 / total if unit == "steps" else 0), config.warmup, config.final_lr)
            inputs, targets = batches(history.steps)
            own = team.own(inputs).to(device), team.own(targets).to(device)
            loss, routings = training_step(model, optimizers, *own, config, factor, team, step=history.steps)
            history.steps += 1
            history.tokens += inputs.numel()
            before, history.seconds = history.seconds, team.most(now() - clock)
            point = {"step": history.steps, "seconds": history.seconds, "loss": loss, "tokens": history.tokens}
            history.points.append(point | {"lr": factor})
            load = team.total(_work(routings)).numpy() if routings else None
            if load is not None:
                history.load_rows.append(load)
            if board:
                board.point(
                    step=history.steps,
                    seconds=history.seconds,
                    loss=loss,
                    tokens=history.tokens,
                    lr=factor,
                    load=load,
                )
            bar.update(1 if unit == "steps" else min(history.seconds, total) - min(before, total))
            bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            pause = now()
            if watch:
                watch(history.steps, routings)
            if config.evaluate_every and history.steps % config.evaluate_every == 0:
                measure()
            if config.checkpoint_every and history.steps % config.checkpoint_every == 0:
                save()
            if history.steps % GIVE_BACK_EVERY == 0:
                give_back_freed_memory()  # experts' shares change from step to step, and so do the pieces they leave
            clock += now() - pause  # the run's clock stands still meanwhile
        history.interrupted = stopped
    model.eval()
    measured = bool(history.evaluations) and history.evaluations[-1]["step"] == history.steps
    if not history.interrupted and not measured:
        measure()
    save()
    if board:
        board.finish()
    give_back_freed_memory()
    return history


_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} {unit}s [{elapsed}<{remaining}{postfix}]"


def run_conditions(config: TrainConfig, device: torch.device) -> dict[str, Any]:
    """What of this machine a run's result depends on beside its configuration: the order of sums, and rounding."""
    products = str(product_dtype(device, config.optimizer_products)).removeprefix("torch.")
    return {
        "device": device.type,
        "threads": torch.get_num_threads(),
        "optimizer_products": products if config.optimizer == "muon" else "none",
        "torch": torch.__version__.partition("+")[0],
    }


def training_step(
    model: Transformer,
    optimizers: list[Optimizer],
    inputs: Tensor,
    targets: Tensor,
    config: TrainConfig,
    factor: float,
    team: Alone = ALONE,
    *,
    step: int | None = None,
) -> tuple[float, dict[int, Routing]]:
    """One forward pass, one backward pass, one update; returns the next-token loss alone, and who worked on what.

    With a `team`, `inputs` and `targets` are this process's part of the batch, and so are the routings; the loss is
    the whole batch's. `step` is the step's number, for routers with noise: the same number is the same noise. Without
    it they draw from torch's global generator.
    """
    if step is not None:
        with repeatable_noise(model, run_seed(config.seed), step, team.rank, team.size):
            return training_step(model, optimizers, inputs, targets, config, factor, team)
    device = inputs.device.type
    moe = model.config.moe
    half = torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda")
    with observe_routing(model) if moe else nullcontext({}) as routings, half:
        loss, ahead = team.losses(model, inputs, targets, ahead=bool(model.mtp and config.mtp_weight))
    objective = loss if ahead is None else loss + config.mtp_weight * ahead
    for routing in routings.values():
        if config.balance_loss:
            objective = objective + config.balance_loss * team.balance_loss(routing.scores, routing.experts)
        if config.sequence_balance_loss and moe:
            each = sequence_balance_loss(routing.scores, moe.top_k, len(routing.scores) // len(inputs))
            objective = objective + config.sequence_balance_loss * each
        if config.z_loss:
            objective = objective + config.z_loss * z_loss(routing.logits)
    objective.backward()
    norm = team.clip(model, config.gradient_clip)
    if not math.isfinite(value := team.total(loss.detach()).item() / team.size) or not math.isfinite(norm.item()):
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        raise DivergedError(
            f"the training loss is {value} and its gradient's norm {norm.item()}; the model keeps the weights of the "
            "step before, and a checkpoint on disk stays as it was: lower lr and matrix_lr and start again"
        )
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = factor * group["initial_lr"]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    if moe and moe.expert_bias and config.bias_rate:
        routers = our_routers(model, ahead=True)
        rate = config.bias_rate * (factor if config.bias_decay else 1)
        for layer, routing in routings.items():
            if routers[layer].expert_bias is not None:  # where a table routes, nothing is chosen
                load = team.total(expert_load(routing.experts, routing.scores.shape[1]))
                update_bias(routers[layer], load, rate)
    return value, {layer: Routing(*(part.detach() for part in routing)) for layer, routing in routings.items()}


def _work(routings: dict[int, Routing]) -> Int[Tensor, "layers experts"]:
    """How many tokens each expert worked on; a choice of weight 0 was dropped, or not made by the expert."""
    loads = []
    for routing in routings.values():
        load = torch.zeros(routing.scores.shape[1], dtype=torch.int32, device=routing.scores.device)
        loads.append(load.scatter_add_(0, routing.experts.flatten(), (routing.weights != 0).flatten().int()))
    return torch.stack(loads).cpu()


@contextmanager
def _stop_between_steps(patient: bool = False) -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into a flag, so that no weight is left half updated; the second one interrupts at once.

    With `patient`, it does not: whoever started several processes passes on to each what the terminal told all.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals reach the main thread only
        return
    previous = signal.getsignal(signal.SIGINT) or signal.default_int_handler

    def handle(number: int, frame: object) -> None:
        stop.set()
        if not patient:
            signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)
