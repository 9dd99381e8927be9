"""The arena: one small model, one budget; only the router differs between contestants."""

import copy
import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from moe_lessons.benchmark.timing import interleaved
from moe_lessons.capstone.checks import OVER_BUDGET, arriving, inspect_router, inspect_seated
from moe_lessons.capstone.contract import AnyRouter, seat_of, seat_routers, spread
from moe_lessons.capstone.crashes import crash, is_theirs
from moe_lessons.capstone.leaderboard import Board, Row, board, keep
from moe_lessons.capstone.report import Finding, Report
from moe_lessons.capstone.routers import SoftmaxRouter
from moe_lessons.config import AttentionConfig, ModelConfig, MoEConfig, TrainConfig
from moe_lessons.device import seeded
from moe_lessons.model.load_balance import max_over_mean
from moe_lessons.model.transformer import Transformer, next_token_loss
from moe_lessons.text.corpus import Corpus
from moe_lessons.tracing.record import observe_routing
from moe_lessons.training.held_out import first_documents, held_out
from moe_lessons.training.history import History
from moe_lessons.training.loop import Board as LiveRun
from moe_lessons.training.loop import DivergedError, run_conditions, train, training_step
from moe_lessons.training.optimizers import build_optimizers

STEPS = 120
HELD_OUT = 64  # windows of text that no contestant is trained on


class LiveBoard(Protocol):
    """A board with room for several runs, such as `widgets.LoadBoard`."""

    def run(self, name: str) -> LiveRun: ...


@dataclass(eq=False)
class Entry:
    """What became of a router in the arena; a notebook shows it in a few lines."""

    name: str
    report: Report
    row: Row | None = None  # the place on the leaderboard; None where there is none
    model: Transformer | None = field(default=None, repr=False)  # as trained
    history: History | None = field(default=None, repr=False)

    @property
    def state(self) -> str:
        """not attempted yet, refused, stopped or accepted."""
        if not self.report:
            return "not attempted yet"
        if not self.report.accepted:
            return "refused"
        return "accepted" if self.row else "stopped"

    def __repr__(self) -> str:
        lines = [f"{self.name}: {self.state}"]
        lines += [f"    {f.check}: {f.sentence}" for f in self.report if f.state != "holds"]
        if self.row:
            lines.append(f"    {self.row.in_words()}")
        return "\n".join(lines)


class Arena:
    """A small mixture of experts and its budget: the same tokens, seed, optimizer and steps for every router.

    `steps`, `model` and `device` may differ from the course's; the leaderboard compares only what was run alike.
    Raises ValueError for a dense model, in which no router could sit.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        steps: int = STEPS,
        device: torch.device | str = "cpu",
        model: ModelConfig | None = None,
    ) -> None:
        self.corpus, self.device = corpus, torch.device(device)
        self.config = model or ModelConfig(
            vocab_size=corpus.tokenizer.vocab_size,
            dim=64,
            n_layers=2,
            hidden_dim=128,
            max_length=128,
            attention=AttentionConfig(n_heads=2, qk_norm=True),
            moe=MoEConfig(n_routed_experts=16, top_k=2, hidden_dim=64),
        )
        if self.config.moe is None:
            raise ValueError("model is dense, but the arena is about its routers; give a model with moe=MoEConfig(...)")
        self.steps = steps
        self.train = TrainConfig(steps=steps, batch_size=8, seq_len=self.config.max_length, lr=0.02)
        # The loop measures held-out documents, of which one will do: the arena has windows of its own.
        self.text = corpus._replace(valid=first_documents(corpus.valid, 1))  # what contestants are trained on
        windows = held_out(corpus, HELD_OUT, self.config.max_length + 1)
        self.inputs, self.targets = windows[:, :-1].to(self.device), windows[:, 1:].to(self.device)

    @property
    def conditions(self) -> dict[str, Any]:
        """Everything but the router that a score depends on: what two rows must agree in to be compared."""
        made = {"model": self.config.to_dict(), "train": asdict(self.train), "corpus": self.corpus.fingerprint}
        digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:12]
        return {
            "arena": digest,
            "tokens": self.steps * self.train.batch_size * self.train.seq_len,
            **run_conditions(self.train, self.device),
        }

    def inspect(self, router: AnyRouter | None, *, dynamic: bool = False) -> Report:
        """The checks alone, without training."""
        return inspect_router(router, self.config, dynamic=dynamic)

    def enter(
        self,
        name: str,
        router: AnyRouter | None,
        *,
        balance_loss: float = 0.0,
        z_loss: float = 0.0,
        bias_rate: float = 0.0,
        bias_decay: bool = False,
        dynamic: bool = False,
        seed: int = 0,
        ours: bool = False,
        live: LiveBoard | None = None,
    ) -> Entry:
        """Check a router, train it on the budget, check it again, score it, and put it on the leaderboard.

        `bias_rate` moves an `expert_bias` that the router has, with `bias_decay` less and less; `live` draws the run
        while it lasts. A router that a check refuses is listed with the reason and not trained. Nothing that the router
        does is raised: the report says what it was, and in which line.
        """
        report = inspect_router(router, self.config, dynamic=dynamic)
        if router is None or not report:
            return Entry(name, report)
        balance = {"balance_loss": balance_loss, "z_loss": z_loss, "bias_rate": bias_rate, "bias_decay": bias_decay}
        settings = {name: value for name, value in (balance | {"dynamic": dynamic}).items() if value}
        row = Row(name=name, ours=ours, seed=seed, settings=settings, conditions=self.conditions)
        if not report.accepted:
            return self._refused(row, report)
        own = seat_of(seat_routers(self._model(seed), router, seed), -1).own
        biased = getattr(own, "expert_bias", None) is not None
        model = seat_routers(self._model(seed, biased), router, seed)
        config = replace(self.train, **balance, seed=seed)
        try:
            drawn = live.run(name) if live else None
            with seeded(seed, self.device):  # a router may draw random numbers while it is trained
                history = train(model, self.text, config, board=drawn, progress=False)
            if history.interrupted:
                return Entry(name, report, model=model, history=history)
            # On as many tokens as it is scored on: what it does may depend on how many come at once.
            again = inspect_seated(model, arriving(model, self.inputs), dynamic=dynamic)
            if not again.accepted:
                after = [f._replace(sentence=f"after training, {f.sentence}") for f in again.refusals]
                return self._refused(row, Report([*report, *after]), model, history)
            scored = replace(row, **self._score(model, config), seconds=history.seconds)
        except Exception as error:
            if isinstance(error, DivergedError):
                said = str(error)
            elif is_theirs(error):
                said = f"it stops: {crash(error)}"
            elif ours:
                raise
            else:
                said = (
                    f"the layer cannot work with what it returned: {crash(error)}; does it keep its promises later on?"
                )
            return self._refused(row, Report([*report, Finding("training", "refused", said)]), model)
        keep(scored)
        return Entry(name, report, scored, model, history)

    def leaderboard(self) -> Board:
        """All that entered under the same conditions on this machine, the lowest loss first."""
        return board(self.conditions)

    def _model(self, seed: int, biased: bool = False) -> Transformer:
        config = replace(self.config, moe=replace(self.config.mixture, expert_bias=biased))
        return Transformer(config, device=self.device, seed=seed)

    def _refused(self, row: Row, report: Report, *rest: Any) -> Entry:
        keep(replace(row, refused=report.refusals[0].sentence))
        return Entry(row.name, report, None, *rest)

    @torch.no_grad()
    def _loss_and_load(self, model: Transformer) -> tuple[float, float, float]:
        """On held-out text: nats per token, the mean of the layers' max/mean, and experts that count per token."""
        model.eval()
        with observe_routing(model) as routings:
            loss = next_token_loss(model(self.inputs), self.targets).item()
        live = [spread(r.experts, r.weights, r.scores.shape[1]) != 0 for r in routings.values()]
        peaks = [max_over_mean(layer.sum(dim=0)) for layer in live]
        return loss, float(np.mean(peaks)), float(np.mean([layer.sum(dim=1).float().mean().item() for layer in live]))

    def _score(self, model: Transformer, config: TrainConfig) -> dict[str, Any]:
        loss, peak, live = self._loss_and_load(model)
        own = seat_of(model, -1).own
        parameters = sum(p.numel() for p in own.parameters()) if isinstance(own, nn.Module) else 0
        top_k = self.config.mixture.top_k
        over = (
            f"{live:.2f} experts a token after training, but the budget is {top_k}"
            if live > OVER_BUDGET * top_k
            else ""
        )
        return {
            "loss": loss,
            "peak": peak,
            "live": live,
            "pace": self._pace(model, config),
            "parameters": parameters,
            "over_budget": over,
        }

    def _pace(self, model: Transformer, config: TrainConfig) -> float:
        """How long a training step takes, as a multiple of one with the course's softmax router, side by side."""
        plain = replace(config, balance_loss=0.0, z_loss=0.0, bias_rate=0.0)
        pair = {"own": (copy.deepcopy(model), config), "ours": (seat_routers(self._model(0), SoftmaxRouter), plain)}
        inputs, targets = self.inputs[: config.batch_size], self.targets[: config.batch_size]

        def step(model: Transformer, config: TrainConfig) -> Any:
            optimizers = build_optimizers(model.train(), config)
            return lambda: training_step(model, optimizers, inputs, targets, config, 0.0)

        taken = interleaved({name: step(*each) for name, each in pair.items()}, rounds=7, warmup=1)
        return taken["own"].median / taken["ours"].median
