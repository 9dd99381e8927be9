"""A mixture of linear experts on a plane: who answers where, at each moment of its training."""

from collections.abc import Sequence

import numpy as np
import traitlets
from jaxtyping import Float
from matplotlib.figure import Figure

from moe_lessons.figures.plane import PlaneRun, Truth, draw_planes
from moe_lessons.routing_rule import RoutingRule
from moe_lessons.widgets.shared.view import View, front_end

_MOST_EXPERTS = 16  # more regions could not be told apart
_MOST_NUMBERS = 1 << 19  # of all runs together; four bytes each travel to the browser
_MOST_POINTS = 1000


class ExpertPlane(View):
    """Runs side by side, with a slider through their training; all of it is computed in the browser.

    A linear router and linear experts are three numbers each, so that a few kilobytes hold every logit and every
    answer at every point and moment. The runs must have been kept at the same steps.
    """

    _esm, _css = front_end(__file__)
    title = traitlets.Unicode("").tag(sync=True)
    #: Name, steps, losses and rule of each run.
    runs = traitlets.List(traitlets.Dict()).tag(sync=True)
    #: float32, little-endian; for each run its router, its planes and, where it has one, its noise.
    numbers = traitlets.Bytes().tag(sync=True)
    truth = traitlets.Bytes(b"").tag(sync=True)  # float32: borders, then planes
    points = traitlets.Bytes(b"").tag(sync=True)  # float32: x, y of each
    extent = traitlets.Float(1.0).tag(sync=True)
    run = traitlets.Int(0).tag(sync=True)
    moment = traitlets.Int(0).tag(sync=True)
    pin = traitlets.List(traitlets.Float(), [0.0, 0.0], minlen=2, maxlen=2).tag(sync=True)
    show = traitlets.Enum(("experts", "answers", "errors"), "experts").tag(sync=True)
    seams = traitlets.Bool(True).tag(sync=True)
    dots = traitlets.Bool(False).tag(sync=True)
    noise = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        runs: Sequence[PlaneRun],
        truth: Truth | None = None,
        points: Float[np.ndarray, "samples 2"] | None = None,
        title: str = "",
        *,
        extent: float = 1.0,
        **traits: object,
    ) -> None:
        runs = list(runs)
        _check(runs, truth)
        points = np.zeros((0, 2)) if points is None else np.asarray(points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) > _MOST_POINTS or not np.isfinite(points).all():
            raise ValueError(
                f"points has shape {points.shape}, but must hold x and y of at most {_MOST_POINTS} points, all finite"
            )
        if not 0 < extent < np.inf:
            raise ValueError(f"extent is {extent}, but must be above 0 and finite: half the width of the plane")
        self._runs, self._truth = runs, truth
        parts = [part for run in runs for part in (run.router, run.planes, run.noise) if part is not None]
        self._last = len(runs[0].steps) - 1
        super().__init__(
            title=title,
            runs=[_described(run) for run in runs],
            numbers=_packed(parts),
            truth=b"" if truth is None else _packed(truth),
            points=_packed([points]),
            extent=float(extent),
            **traits,
        )

    @traitlets.validate("run", "moment")
    def _inside(self, proposal: dict) -> int:
        name, value = proposal["trait"].name, proposal["value"]
        most = self._last if name == "moment" else len(self._runs) - 1
        if not 0 <= value <= most:
            raise ValueError(f"{name} is {value}, but must be from 0 to {most}")
        return value

    def figure(self) -> Figure:
        """Every run at five moments, side by side."""
        return draw_planes(self._runs, self.extent, self._truth if self.seams else None)

    def describe(self) -> str:
        names = ", ".join(run.name for run in self._runs)
        experts = max(run.router.shape[1] for run in self._runs)
        return f"ExpertPlane: {names}; {experts} experts, {self._last + 1} moments"


def _check(runs: Sequence[PlaneRun], truth: Truth | None) -> None:
    """Raise ValueError, in one sentence, for what cannot be shown."""
    if not runs:
        raise ValueError("there are no runs to show; give at least one PlaneRun")
    for run in runs:
        kept = len(run.steps)
        if kept == 0 or not np.array_equal(run.steps, runs[0].steps):
            raise ValueError(
                f"run {run.name!r} was kept at other steps than the first, or at none; keep all at the same"
            )
        shape = (kept, run.router.shape[1] if run.router.ndim == 3 else 0, 3)
        for name, part in (("router", run.router), ("planes", run.planes), ("noise", run.noise)):
            if part is not None and (part.shape != shape or not np.isfinite(part).all()):
                raise ValueError(
                    f"{name} of run {run.name!r} has shape {part.shape}, but must be (moments, experts, 3) and finite"
                )
        if len(run.loss) != kept:
            raise ValueError(f"run {run.name!r} has {len(run.loss)} losses for {kept} moments; keep one for each")
        if shape[1] > _MOST_EXPERTS:
            raise ValueError(f"run {run.name!r} has {shape[1]} experts, but at most {_MOST_EXPERTS} can be told apart")
        RoutingRule(top_k=run.top_k, score_function=run.score_function).check(shape[1])
    if sum(3 * run.router.size for run in runs) > _MOST_NUMBERS:
        raise ValueError("the runs hold too many numbers for a page; keep fewer moments or show fewer runs")
    if truth is not None and not (truth.borders.shape == truth.planes.shape and truth.borders.shape[1:] == (3,)):
        raise ValueError(
            f"truth has shapes {truth.borders.shape} and {truth.planes.shape}, but both must be (pieces, 3)"
        )


def _described(run: PlaneRun) -> dict[str, object]:
    return {
        "name": run.name,
        "steps": [int(step) for step in run.steps],
        "loss": [round(float(loss), 4) if np.isfinite(loss) else 9.0 for loss in run.loss],
        "experts": run.router.shape[1],
        "top_k": run.top_k,
        "score_function": run.score_function,
        "normalize": run.normalize,
        "noisy": run.noise is not None,
    }


def _packed(parts: Sequence[np.ndarray]) -> bytes:
    return b"".join(np.ascontiguousarray(part, dtype="<f4").tobytes() for part in parts)
