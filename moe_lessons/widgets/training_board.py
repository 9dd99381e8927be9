"""A live board beside a training loop: loss, held-out loss by domain with its floor, and speed."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets
from matplotlib.figure import Figure

from moe_lessons.figures.training import Curve, draw_training
from moe_lessons.widgets.view import View, front_end

_PAUSE = 0.25  # seconds between two messages to the browser
_MOST_POINTS = 2000  # of one run; then neighbors are averaged, and a point stands for twice as many steps


class Run:
    """One curve on a board; what a training loop calls. See `TrainingBoard.run`."""

    def __init__(self, board: "TrainingBoard", name: str) -> None:
        self._board = board
        self.name = name
        self._clear()

    def _clear(self) -> None:
        self.total: float | None = None
        self.unit = "steps"
        self.finished = False
        self.points: list[list[float | None]] = []  # step, seconds, loss, tokens, lr
        self.evaluations: list[dict[str, Any]] = []
        self._stride = 1
        self._waiting: list[list[float | None]] = []  # the steps of a point that is not complete
        self.sent = self.sent_evaluations = 0

    def start(self, total: float | None = None, unit: str = "steps") -> None:
        """Begin, and forget an earlier run of this name; `total` counts "steps" or "seconds"."""
        if unit not in ("steps", "seconds"):
            raise ValueError(f"unit is {unit!r}, but must be 'steps' or 'seconds'")
        self._clear()
        self.total, self.unit = total, unit
        self._board._send_everything()

    def point(
        self, *, step: int, seconds: float, loss: float, tokens: int, lr: float = 1.0, load: object = None
    ) -> None:
        """One step: seconds and tokens so far, the loss in the board's unit, the learning rate's share of its peak.

        The experts' load is LoadBoard's matter.
        """
        if not math.isfinite(loss):
            self._board.message = f"the loss of step {step} is {loss}; lower the learning rate and start again"
        self._waiting.append([step, seconds, _finite(loss), tokens, _finite(lr)])
        if len(self._waiting) < self._stride:
            return
        self.points.append(_merged(self._waiting))
        self._waiting = []
        if len(self.points) > _MOST_POINTS:
            pairs = zip(self.points[::2], self.points[1::2], strict=False)
            self.points = [_merged(pair) for pair in pairs]
            self._stride *= 2
            self._board._send_everything()
        else:
            self._board._send_soon(self)

    def evaluation(self, step: int, values: Mapping[str, float]) -> None:
        """Held-out loss by domain after `step` steps, in the board's unit."""
        last = (self._waiting or self.points or [[step, 0.0, None, 0, None]])[-1]
        kept = {name: _finite(float(value)) for name, value in values.items()}
        self.evaluations.append({"step": step, "seconds": last[1], "tokens": last[3], "values": kept})
        self._board._send_soon(self)

    def finish(self) -> None:
        """Send what is left, and leave everything in the widget's state, where a reloaded page finds it."""
        if self._waiting:
            self.points.append(_merged(self._waiting))
            self._waiting = []
        self.finished = True
        self._board._send_everything()

    def state(self) -> dict[str, Any]:
        """All of the run, as the browser keeps it."""
        return {
            "name": self.name,
            "total": self.total,
            "unit": self.unit,
            "finished": self.finished,
            "points": list(self.points),
            "evaluations": list(self.evaluations),
        }


class TrainingBoard(View):
    """Loss while it falls. Give it to `train(..., board=board)`, or `board.run("moe")` where runs are compared.

    `floors` maps a domain to its entropy in the board's unit, below which no model can come; nan or None where it
    is not known. Messages go to the browser four times a second at most and hold only what is new; nothing is ever
    asked back, so a loop is neither slowed nor entered. Without Jupyter all calls do nothing that is seen.
    """

    _esm, _css = front_end(__file__)
    title = traitlets.Unicode("").tag(sync=True)
    unit = traitlets.Unicode("nats per token").tag(sync=True)
    domains = traitlets.List(traitlets.Unicode()).tag(sync=True)
    floors = traitlets.Dict().tag(sync=True)
    x = traitlets.Enum(("steps", "tokens", "seconds"), "steps").tag(sync=True)
    #: Every run in full, as of the last time it was sent whole.
    history = traitlets.List(traitlets.Dict()).tag(sync=True)
    #: What one run gained since.
    news = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        domains: Sequence[str] = (),
        floors: Mapping[str, float | None] | None = None,
        title: str | None = None,
        *,
        unit: str = "nats per token",
        x: str = "steps",
    ) -> None:
        self._runs: dict[str, Run] = {}
        self._sent_at = -math.inf
        known = {name: float(value) for name, value in (floors or {}).items() if value is not None}
        super().__init__(
            title=title or "",
            unit=unit,
            domains=list(domains),
            floors={name: value for name, value in known.items() if math.isfinite(value)},
            x=x,
        )

    def run(self, name: str) -> Run:
        """The curve of that name, made when first asked for; runs of one board are drawn over each other."""
        if name not in self._runs:
            self._runs[name] = Run(self, name)
        return self._runs[name]

    def start(self, total: float | None = None, unit: str = "steps") -> None:
        """`Run.start` of the board's nameless run; so are the next three."""
        self.run("").start(total, unit)

    def point(
        self, *, step: int, seconds: float, loss: float, tokens: int, lr: float = 1.0, load: object = None
    ) -> None:
        self.run("").point(step=step, seconds=seconds, loss=loss, tokens=tokens, lr=lr)

    def evaluation(self, step: int, values: Mapping[str, float]) -> None:
        self.run("").evaluation(step, values)

    def finish(self) -> None:
        self.run("").finish()

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """The synchronized state; whoever asks for all of it, as a reloaded page does, gets the whole history."""
        state = super().get_state(key, drop_defaults)
        if key is None and self.__dict__.get("_runs"):
            state["history"] = [run.state() for run in self._runs.values()]
        return state

    def figure(self) -> Figure:
        """Loss of every run with the floors dashed, and a small panel for each domain that was evaluated."""
        curves = [Curve(run.name, run.points, run.evaluations) for run in self._runs.values()]
        return draw_training(curves, self.domains, self.floors, x=self.x, unit=self.unit, title=self.title)

    def describe(self) -> str:
        # Neither steps nor losses: with a run counted in seconds they differ from machine to machine.
        runs = ", ".join(name for name in self._runs if name)
        return "TrainingBoard" + (f" {self.title!r}" if self.title else "") + (f": {runs}" if runs else "")

    def _send_soon(self, run: Run) -> None:
        now = time.monotonic()
        if now - self._sent_at < _PAUSE:
            return
        if any(other is not run and other.sent != len(other.points) for other in self._runs.values()):
            self._send_everything()
            return
        # Sent whole each time it has doubled: a page whose part got lost catches up, and the cost stays linear.
        if len(run.points) >= 2 * sum(len(sent["points"]) for sent in self.history if sent["name"] == run.name) + 64:
            self._send_everything()
            return
        self._sent_at = now
        self.news = {
            "run": run.name,
            "first": run.sent,
            "points": run.points[run.sent :],
            "first_evaluation": run.sent_evaluations,
            "evaluations": run.evaluations[run.sent_evaluations :],
        }
        run.sent, run.sent_evaluations = len(run.points), len(run.evaluations)

    def _send_everything(self) -> None:
        self._sent_at = time.monotonic()
        self.history = [run.state() for run in self._runs.values()]
        for run in self._runs.values():
            run.sent, run.sent_evaluations = len(run.points), len(run.evaluations)


def _finite(value: float) -> float | None:
    """JSON, and so the browser, knows no nan."""
    return value if math.isfinite(value) else None


def _merged(rows: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Neighboring steps as one point: the last one's place, the mean of their losses."""
    losses = [row[2] for row in rows if row[2] is not None]
    step, seconds, _, tokens, lr = rows[-1]
    return [step, seconds, sum(losses) / len(losses) if losses else None, tokens, lr]
