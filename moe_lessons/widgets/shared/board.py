"""What the boards beside a training loop share: runs by name, and messages that hold only what is new."""

import math
import time
import uuid
from typing import Any

import traitlets

from moe_lessons.widgets.shared.view import View

_PAUSE = 0.25  # seconds between two messages to the browser


class BoardRun:
    """One run on a board; what a training loop calls. A kind of board says what it keeps of each step."""

    def __init__(self, board: "Board", name: str) -> None:
        self._board = board
        self.name = name
        self._clear()

    def _clear(self) -> None:
        self.total: float | None = None
        self.unit = "steps"
        self.finished = False
        self.sent = 0  # points that the browser has

    def start(self, total: float | None = None, unit: str = "steps") -> None:
        """Begin, and forget an earlier run of this name; `total` counts "steps" or "seconds"."""
        if unit not in ("steps", "seconds"):
            raise ValueError(f"unit is {unit!r}, but must be 'steps' or 'seconds'")
        self._clear()
        self.total, self.unit = total, unit
        self._board._send_everything()

    def state(self) -> dict[str, Any]:
        """All of the run, as the browser keeps it."""
        return {"name": self.name, "total": self.total, "unit": self.unit, "finished": self.finished}

    def news(self) -> dict[str, Any]:
        """What the browser lacks, beside the run's name and the number of points that it has."""
        raise NotImplementedError

    def n_points(self) -> int:
        """Points there are."""
        raise NotImplementedError

    def is_new_to_the_browser(self) -> bool:
        """Whether what is new would not do, and the run must be sent whole."""
        raise NotImplementedError

    def mark_sent(self) -> None:
        """Remember that the browser has everything."""
        self.sent = self.n_points()


class Board(View):
    """Runs that grow while they are drawn.

    Messages go to the browser four times a second at most and hold only what is new; nothing is ever asked back, so a
    loop is neither slowed nor entered. Without Jupyter all calls do nothing that is seen.

    A board is shown before there is anything to see. So at the end of each cell in which it changed, the picture that
    is stored with it is drawn again; who only reads the notebook sees what the run came to.
    """

    title = traitlets.Unicode("").tag(sync=True)
    #: Every run in full, as of the last time it was sent whole.
    history = traitlets.List(traitlets.Dict()).tag(sync=True)
    #: What one run gained since.
    news = traitlets.Dict().tag(sync=True)

    _kind: type[BoardRun]

    def __init__(self, **traits: Any) -> None:
        self._runs: dict[str, Any] = {}
        self._sent_at = -math.inf
        self._shown: dict[str, str] = {}  # ids of the outputs that show this board, each with the repr it began with
        self._picture_is_old = False
        super().__init__(**traits)

    def _ipython_display_(self) -> None:
        from IPython import get_ipython

        if not self._shown and (shell := get_ipython()) is not None:
            shell.events.register("post_run_cell", self._redraw)
        display_id = uuid.uuid4().hex
        self._shown[display_id] = repr(self)
        self._publish(display_id)

    def _redraw(self, _: object = None) -> None:
        """Draw the stored picture again where the board has changed since; called when a cell has ended."""
        if self._picture_is_old:
            for display_id in self._shown:
                self._publish(display_id, update=True)

    def _publish(self, display_id: str, *, update: bool = False) -> None:
        """Show the board as it is now in the output of that id, under the repr that a comparison expects there."""
        from IPython.display import publish_display_data

        self._picture_is_old = False
        data, metadata = self._repr_mimebundle_() or ({}, {})
        data = {**data, "text/plain": self._shown[display_id]}
        publish_display_data(data, metadata, transient={"display_id": display_id}, update=update)

    def run(self, name: str) -> Any:
        """The run of that name, made when first asked for."""
        if name not in self._runs:
            self._runs[name] = self._kind(self, name)
        return self._runs[name]

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """The synchronized state; whoever asks for all of it, as a reloaded page does, gets the whole history."""
        state = super().get_state(key, drop_defaults)
        if key is None and self.__dict__.get("_runs"):
            state["history"] = [run.state() for run in self._runs.values()]
        return state

    def describe(self) -> str:
        # Neither steps nor losses: with a run counted in seconds they differ from machine to machine.
        runs = ", ".join(name for name in self._runs if name)
        return type(self).__name__ + (f" {self.title!r}" if self.title else "") + (f": {runs}" if runs else "")

    def _send_soon(self, run: BoardRun) -> None:
        now = time.monotonic()
        if now - self._sent_at < _PAUSE:
            return
        others_wait = any(other is not run and other.sent != other.n_points() for other in self._runs.values())
        if others_wait or run.is_new_to_the_browser():
            self._send_everything()
            return
        self._sent_at = now
        self.news = {"run": run.name, "first": run.sent, **run.news()}
        run.mark_sent()

    def _send_everything(self) -> None:
        self._picture_is_old = True
        self._sent_at = time.monotonic()
        self.history = [run.state() for run in self._runs.values()]
        for run in self._runs.values():
            run.mark_sent()
