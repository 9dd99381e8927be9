"""LoadBoard: training runs side by side, and how evenly their experts are loaded, step by step."""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Int
from matplotlib.figure import Figure

from moe_lessons.figures.loads import LoadCurve, draw_loads
from moe_lessons.widgets.view import View, front_end

_PAUSE = 0.25  # seconds between two messages to the browser
_MOST_POINTS = 600  # of one run, about what a picture is wide; then neighbors are averaged
_MOST_NUMBERS = 1 << 20  # of one run's loads in all its points and layers
_MOST_TOKENS = 512  # of the text; more would not be read


class LoadRun:
    """One run on a board; a training loop's board. See `LoadBoard.run`."""

    def __init__(self, board: "LoadBoard", name: str) -> None:
        self._board = board
        self.name = name
        self._clear()

    def _clear(self) -> None:
        self.total: float | None = None
        self.unit = "steps"
        self.finished = False
        self._steps: list[int] = []
        self._losses: list[float] = []
        self._loads: list[np.ndarray] = []  # layers x experts, float32
        self._stride = 1
        self._waiting: list[tuple[int, float, np.ndarray]] = []  # the steps of a point that is not complete
        self._text_steps: list[int] = []
        self._text = np.zeros((0, 0, 0, 0), np.int16)
        self.sent = 0

    def start(self, total: float | None = None, unit: str = "steps") -> None:
        """Begin, and forget an earlier run of this name; `total` counts "steps" or "seconds"."""
        self._clear()
        self.total, self.unit = total, unit
        self._board._send_everything()

    def point(
        self,
        *,
        step: int,
        loss: float,
        load: Int[np.ndarray, "layers experts"] | None,
        seconds: float = 0.0,
        tokens: int = 0,
        lr: float = 1.0,
    ) -> None:
        """One step: its loss, and how many tokens each expert of each sparse layer worked on in it."""
        if load is None:
            self._board.message = f"the run {self.name!r} has no experts, so there is no load to show"
            return
        load = np.asarray(load, dtype=np.float32)
        if load.ndim != 2 or (self._loads and load.shape != self._loads[0].shape):
            self._board.message = f"step {step} of {self.name!r} has a load of shape {load.shape}, and is left out"
            return
        if not math.isfinite(loss):
            self._board.message = f"the loss of step {step} is {loss}; lower the learning rate and start again"
        self._waiting.append((step, loss, load))
        if len(self._waiting) < self._stride:
            return
        self._add(self._waiting)
        self._waiting = []
        if len(self._steps) >= max(2, min(_MOST_POINTS, _MOST_NUMBERS // load.size) // 2 * 2):
            rows = list(zip(self._steps, self._losses, self._loads, strict=True))
            self._steps, self._losses, self._loads = [], [], []
            for pair in zip(rows[::2], rows[1::2], strict=True):
                self._add(pair)
            self._stride *= 2
            self._board._send_everything()
        else:
            self._board._send_soon(self)

    def _add(self, rows: Sequence[tuple[int, float, np.ndarray]]) -> None:
        """Neighboring steps as one point: the last one's place, the mean of their losses and loads."""
        self._steps.append(int(rows[-1][0]))
        self._losses.append(float(np.mean([loss for _, loss, _ in rows])))
        self._loads.append(np.mean([load for *_, load in rows], axis=0, dtype=np.float32))

    def evaluation(self, step: int, values: dict[str, float]) -> None:
        """Held-out losses are TrainingBoard's matter."""

    def text(self, steps: Sequence[int], experts: Int[np.ndarray, "snapshots layers tokens top_k"]) -> None:
        """Where the board's text went after so many steps; -1 where nobody worked on a token.

        Raises ValueError where the numbers do not fit the board's text or each other.
        """
        experts = np.asarray(experts)
        tokens = len(self._board.pieces)
        if experts.ndim != 4 or experts.shape[2] != tokens or len(experts) != len(steps):
            raise ValueError(
                f"experts has shape {experts.shape}, but {len(steps)} snapshots of a text of {tokens} tokens are "
                "snapshots x layers x tokens x top_k"
            )
        if list(steps) != sorted(set(steps)):
            raise ValueError(f"steps is {list(steps)}, but snapshots must be given in the order they were taken")
        self._text_steps, self._text = [int(step) for step in steps], experts.astype(np.int16)
        self._board._send_everything()

    def finish(self) -> None:
        """Send what is left, and leave everything in the widget's state, where a reloaded page finds it."""
        if self._waiting:
            self._add(self._waiting)
            self._waiting = []
        self.finished = True
        self._board._send_everything()

    def curve(self) -> LoadCurve:
        """All of the run as arrays."""
        loads = np.stack(self._loads) if self._loads else np.zeros((0, 1, 1), np.float32)
        losses = np.array(self._losses, dtype=np.float64)
        return LoadCurve(self.name, np.array(self._steps), losses, loads, np.array(self._text_steps), self._text)

    def state(self) -> dict[str, Any]:
        """All of the run, as the browser keeps it; arrays are little-endian bytes."""
        curve = self.curve()
        return {
            "name": self.name,
            "total": self.total,
            "unit": self.unit,
            "finished": self.finished,
            "layers": curve.loads.shape[1],
            "experts": curve.loads.shape[2],
            "points": self.points(0),
            "loads": curve.loads.tobytes(),
            "text_steps": self._text_steps,
            "text": self._text.tobytes(),
            "text_shape": list(self._text.shape[1:]),
        }

    def points(self, first: int) -> list[list[float | None]]:
        """Step and loss from a point on; JSON, and so the browser, knows no nan."""
        pairs = zip(self._steps[first:], self._losses[first:], strict=True)
        return [[step, loss if math.isfinite(loss) else None] for step, loss in pairs]

    def loads_from(self, first: int) -> bytes:
        return b"".join(load.tobytes() for load in self._loads[first:])


class LoadBoard(View):
    """Experts' load over steps for each run, and beside it how uneven it is, the loss, and a fixed text's routes.

    Give `board.run("bias")` to `train(..., board=...)`; it draws while the run goes on, with messages four times a
    second at most that hold only what is new. `pieces` is the text whose routes `run.text(...)` brings. `at` is the
    step under the cursor, -1 for the last; loads and losses are means over the last `window` points.
    """

    _esm, _css = front_end(__file__)
    title = traitlets.Unicode("").tag(sync=True)
    pieces = traitlets.List(traitlets.Unicode()).tag(sync=True)
    layer = traitlets.Int(0, min=0).tag(sync=True)
    at = traitlets.Int(-1, min=-1).tag(sync=True)
    window = traitlets.Int(10, min=1, max=100).tag(sync=True)
    #: The run whose text is shown; empty for the first that has one.
    chosen = traitlets.Unicode("").tag(sync=True)
    #: Every run in full, as of the last time it was sent whole.
    history = traitlets.List(traitlets.Dict()).tag(sync=True)
    #: What one run gained since.
    news = traitlets.Dict().tag(sync=True)

    def __init__(self, title: str = "", pieces: Sequence[str] = (), *, layer: int = 0, window: int = 10) -> None:
        if len(pieces) > _MOST_TOKENS:
            raise ValueError(f"the text has {len(pieces):,} tokens, but at most {_MOST_TOKENS} are shown; shorten it")
        self._runs: dict[str, LoadRun] = {}
        self._sent_at = -math.inf
        super().__init__(title=title, pieces=list(pieces), layer=layer, window=window)

    def run(self, name: str) -> LoadRun:
        """The run of that name, made when first asked for."""
        if name not in self._runs:
            self._runs[name] = LoadRun(self, name)
        return self._runs[name]

    def add(self, other: "LoadBoard", *names: str) -> None:
        """Show runs of another board here too, as they are now. Raises ValueError for a name that it does not have."""
        for name in names:
            if name not in other._runs:
                raise ValueError(f"the other board has no run {name!r}; it has: {', '.join(other._runs) or 'none'}")
            mine, kept = self.run(name), {"_board": self, "sent": 0}
            vars(mine).update({key: _copied(value) for key, value in vars(other._runs[name]).items()} | kept)
        self._send_everything()

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """The synchronized state; whoever asks for all of it, as a reloaded page does, gets the whole history."""
        state = super().get_state(key, drop_defaults)
        if key is None and self.__dict__.get("_runs"):
            state["history"] = [run.state() for run in self._runs.values()]
        return state

    def figure(self) -> Figure:
        """Heat maps of all runs with their bars at the cursor, the curves, and the text of the chosen run."""
        curves = [run.curve() for run in self._runs.values()]
        chosen = self.chosen or next((curve.name for curve in curves if len(curve.text_steps)), "")
        choices = {"layer": self.layer, "at": self.at, "window": self.window}
        return draw_loads(curves, **choices, pieces=self.pieces, chosen=chosen, title=self.title)

    def describe(self) -> str:
        runs = ", ".join(self._runs)
        return "LoadBoard" + (f" {self.title!r}" if self.title else "") + (f": {runs}" if runs else "")

    def _send_soon(self, run: LoadRun) -> None:
        now = time.monotonic()
        if now - self._sent_at < _PAUSE:
            return
        if not run.sent or any(other is not run and other.sent != len(other._steps) for other in self._runs.values()):
            self._send_everything()
            return
        self._sent_at = now
        self.news = {
            "run": run.name,
            "first": run.sent,
            "points": run.points(run.sent),
            "loads": run.loads_from(run.sent),
        }
        run.sent = len(run._steps)

    def _send_everything(self) -> None:
        self._sent_at = time.monotonic()
        self.history = [run.state() for run in self._runs.values()]
        for run in self._runs.values():
            run.sent = len(run._steps)


def _copied(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value
