"""The base of every widget: a front end in its own files, and a still picture wherever no browser code runs."""

import base64
import io
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's colors, told apart by color-blind readers, then the same hues lightened for experts 9 to 16.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
    "#8C7A00",
    "#6B6B6B",
    "#80B9D9",
    "#F3CF80",
    "#80CFB9",
    "#EAAF80",
    "#ABDAF4",
    "#E6BCD3",
    "#C6BD80",
    "#B5B5B5",
)


class View(anywidget.AnyWidget):
    """A widget whose front end is `<module>.js` and `<module>.css` beside its Python file.

    Subclasses set `_esm` and `_css` through `front_end(__file__)` and draw `figure()`. A notebook that is only
    read (GitHub, print, an untrusted page) shows that figure; Jupyter shows the live widget.
    """

    palette = traitlets.List(traitlets.Unicode(), list(PALETTE)).tag(sync=True)
    #: One sentence shown inside the widget when something went wrong; empty when nothing did.
    message = traitlets.Unicode("").tag(sync=True)

    def figure(self) -> Figure:
        """The widget's present state as a still matplotlib figure."""
        raise NotImplementedError

    def describe(self) -> str:
        """One line that says what is shown: the alt text of the picture and the repr that nbval compares."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{self.describe()}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        data = {**data, "text/plain": repr(self), "image/png": png(self.figure())}
        return data, metadata


def front_end(python_file: str) -> tuple[Path, Path]:
    """The ES module and the style sheet that lie beside a widget's Python file."""
    path = Path(python_file)
    return path.with_suffix(".js"), path.with_suffix(".css")


def png(figure: Figure, dpi: int = 100) -> str:
    """A figure as base64 PNG, drawn without pyplot so that callbacks on another thread stay safe."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=dpi, bbox_inches="tight")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
