"""A live board beside a training loop: loss, held-out loss by domain with its floor, and speed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import traitlets
from matplotlib.figure import Figure

from moe_lessons.figures.training import Curve, draw_training
from moe_lessons.widgets.shared.board import Board, BoardRun
from moe_lessons.widgets.shared.view import front_end

_MOST_POINTS = 2000  # of one run; then neighbors are averaged, and a point stands for twice as many steps


class Run(BoardRun):
    """One curve on a board; what a training loop calls. See `TrainingBoard.run`."""

    def _clear(self) -> None:
        super()._clear()
        self.points: list[list[float | None]] = []  # step, seconds, loss, tokens, lr
        self.evaluations: list[dict[str, Any]] = []
        self._stride = 1
        self._waiting: list[list[float | None]] = []  # the steps of a point that is not complete
        self._sent_evaluations = 0

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
        return super().state() | {"points": list(self.points), "evaluations": list(self.evaluations)}

    def news(self) -> dict[str, Any]:
        return {
            "points": self.points[self.sent :],
            "first_evaluation": self._sent_evaluations,
            "evaluations": self.evaluations[self._sent_evaluations :],
        }

    def n_points(self) -> int:
        return len(self.points)

    def is_new_to_the_browser(self) -> bool:
        # Sent whole each time it has doubled: a page whose part got lost catches up, and the cost stays linear.
        whole = sum(len(sent["points"]) for sent in self._board.history if sent["name"] == self.name)
        return len(self.points) >= 2 * whole + 64

    def mark_sent(self) -> None:
        super().mark_sent()
        self._sent_evaluations = len(self.evaluations)


class TrainingBoard(Board):
    """Loss while it falls. Give it to `train(..., board=board)`, or `board.run("moe")` where runs are compared.

    `floors` maps a domain to its entropy in the board's unit, below which no model can come; nan or None where it
    is not known. Runs of one board are drawn over each other.
    """

    _esm, _css = front_end(__file__)
    _kind = Run
    unit = traitlets.Unicode("nats per token").tag(sync=True)
    domains = traitlets.List(traitlets.Unicode()).tag(sync=True)
    floors = traitlets.Dict().tag(sync=True)
    x = traitlets.Enum(("steps", "tokens", "seconds"), "steps").tag(sync=True)

    def __init__(
        self,
        domains: Sequence[str] = (),
        floors: Mapping[str, float | None] | None = None,
        title: str | None = None,
        *,
        unit: str = "nats per token",
        x: str = "steps",
    ) -> None:
        known = {name: float(value) for name, value in (floors or {}).items() if value is not None}
        super().__init__(
            title=title or "",
            unit=unit,
            domains=list(domains),
            floors={name: value for name, value in known.items() if math.isfinite(value)},
            x=x,
        )

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

    def figure(self) -> Figure:
        """Loss of every run with the floors dashed, and a small panel for each domain that was evaluated."""
        curves = [Curve(run.name, run.points, run.evaluations) for run in self._runs.values()]
        return draw_training(curves, self.domains, self.floors, x=self.x, unit=self.unit, title=self.title)


def _finite(value: float) -> float | None:
    """JSON, and so the browser, knows no nan."""
    return value if math.isfinite(value) else None


def _merged(rows: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Neighboring steps as one point: the last one's place, the mean of their losses."""
    losses = [row[2] for row in rows if row[2] is not None]
    step, seconds, _, tokens, lr = rows[-1]
    return [step, seconds, sum(losses) / len(losses) if losses else None, tokens, lr]
