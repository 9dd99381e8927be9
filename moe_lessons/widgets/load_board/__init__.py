"""LoadBoard: training runs side by side, and how evenly their experts are loaded, step by step."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from jaxtyping import Int
from matplotlib.figure import Figure

from moe_lessons.figures.loads import LoadCurve, draw_loads
from moe_lessons.figures.style import PALETTE
from moe_lessons.widgets.shared.board import Board, BoardRun
from moe_lessons.widgets.shared.view import front_end

_MOST_POINTS = 600  # of one run, about what a picture is wide; then neighbors are averaged
_MOST_NUMBERS = 1 << 20  # of one run's loads in all its points and layers
_MOST_TOKENS = 512  # of the text; more would not be read


class LoadRun(BoardRun):
    """One run on a board; a training loop's board. See `LoadBoard.run`."""

    _board: "LoadBoard"

    def _clear(self) -> None:
        super()._clear()
        self._steps: list[int] = []
        self._losses: list[float] = []
        self._loads: list[np.ndarray] = []  # layers x experts, float32
        self._stride = 1
        self._waiting: list[tuple[int, float, np.ndarray]] = []  # the steps of a point that is not complete
        self._text_steps: list[int] = []
        self._text = np.zeros((0, 0, 0, 0), np.int16)

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
        self._loads.append(np.asarray(np.mean([load for *_, load in rows], axis=0, dtype=np.float32)))

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
        return super().state() | {
            "layers": curve.loads.shape[1],
            "experts": curve.loads.shape[2],
            **self._from(0),
            "text_steps": self._text_steps,
            "text": self._text.tobytes(),
            "text_shape": list(self._text.shape[1:]),
        }

    def news(self) -> dict[str, Any]:
        return self._from(self.sent)

    def _from(self, first: int) -> dict[str, Any]:
        """Step, loss and load from a point on; JSON, and so the browser, knows no nan."""
        pairs = zip(self._steps[first:], self._losses[first:], strict=True)
        return {
            "points": [[step, loss if math.isfinite(loss) else None] for step, loss in pairs],
            "loads": b"".join(load.tobytes() for load in self._loads[first:]),
        }

    def n_points(self) -> int:
        return len(self._steps)

    def is_new_to_the_browser(self) -> bool:
        return not self.sent  # numbers of layers and experts come with the whole


class LoadBoard(Board):
    """Experts' load over steps for each run, and beside it how uneven it is, the loss, and a fixed text's routes.

    Give `board.run("bias")` to `train(..., board=...)`; it draws while the run goes on. `pieces` is the text whose
    routes `run.text(...)` brings. `at` is the step under the cursor, -1 for the last; loads and losses are means over
    the last `window` points.
    """

    _esm, _css = front_end(__file__)
    _kind = LoadRun
    pieces = traitlets.List(traitlets.Unicode()).tag(sync=True)
    layer = traitlets.Int(0, min=0).tag(sync=True)
    at = traitlets.Int(-1, min=-1).tag(sync=True)
    window = traitlets.Int(10, min=1, max=100).tag(sync=True)
    #: The run whose text is shown; empty for the first that has one.
    chosen = traitlets.Unicode("").tag(sync=True)

    def __init__(self, title: str = "", pieces: Sequence[str] = (), *, layer: int = 0, window: int = 10) -> None:
        if len(pieces) > _MOST_TOKENS:
            raise ValueError(f"the text has {len(pieces):,} tokens, but at most {_MOST_TOKENS} are shown; shorten it")
        super().__init__(title=title, pieces=list(pieces), layer=layer, window=window)

    def add(self, other: "LoadBoard", *names: str) -> None:
        """Show runs of another board here too, as they are now. Raises ValueError for a name that it does not have."""
        for name in names:
            if name not in other._runs:
                raise ValueError(f"the other board has no run {name!r}; it has: {', '.join(other._runs) or 'none'}")
            mine, kept = self.run(name), {"_board": self, "sent": 0}
            vars(mine).update({key: _copied(value) for key, value in vars(other._runs[name]).items()} | kept)
        self._send_everything()

    def colors(self) -> dict[str, str]:
        """Each run's color, the same here and in the browser."""
        return {name: PALETTE[number % len(PALETTE)] for number, name in enumerate(self._runs)}

    def figure(self) -> Figure:
        """Heat maps of all runs with their bars at the cursor, the curves, and the text of the chosen run."""
        curves = [run.curve() for run in self._runs.values()]
        chosen = self.chosen or next((curve.name for curve in curves if len(curve.text_steps)), "")
        choices = {"layer": self.layer, "at": self.at, "window": self.window}
        return draw_loads(curves, **choices, pieces=self.pieces, chosen=chosen, title=self.title)


def _copied(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value
