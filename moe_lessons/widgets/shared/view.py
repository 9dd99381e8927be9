"""The base of every widget: a front end in its own files, and a still picture wherever no browser code runs."""

import os
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from matplotlib.figure import Figure

from moe_lessons.figures.alt_text import describe
from moe_lessons.figures.paper import png
from moe_lessons.figures.style import PALETTE
from moe_lessons.languages.words import words_of
from moe_lessons.widgets.shared.state import CARRY, STATE, state_of

_BUILT = Path(__file__).parent.parent / "static"


class View(anywidget.AnyWidget):
    """A widget whose front end is `view.js` and `view.css` beside its Python file.

    Subclasses set `_esm` and `_css` through `front_end(__file__)` and draw `figure()`. A notebook that is only
    read (GitHub, print, an untrusted page) shows that figure; Jupyter shows the live widget.
    """

    palette = traitlets.List(traitlets.Unicode(), list(PALETTE)).tag(sync=True)
    #: One sentence shown inside the widget when something went wrong; empty when nothing did.
    message = traitlets.Unicode("").tag(sync=True)
    #: What the front end says in the language that is spoken, by the English text; nothing in English.
    words = traitlets.Dict().tag(sync=True)

    @traitlets.default("words")
    def _words_of_front_end(self) -> dict[str, str]:
        built = _BUILT / f"{type(self).__module__.rpartition('.')[2]}.js"
        title = str(getattr(self, "title", ""))
        return words_of(built, title) if built.exists() else {}

    def figure(self) -> Figure:
        """The widget's present state as a still matplotlib figure."""
        raise NotImplementedError

    def describe(self) -> str:
        """One line that says what is shown: the repr that nbval compares, and the picture's alt text begins with it."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{self.describe()}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        still, facts = self._still()
        data = {**data, "text/plain": repr(self), **still}
        if os.environ.get(CARRY):
            data[STATE] = state_of(self)
        return data, {**metadata, **facts}

    def _still(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What stands for the widget where no browser code runs, by its kind, and facts about it."""
        figure = self.figure()
        return {"image/png": png(figure)}, {"image/png": {"alt": describe(figure, self.describe())}}


def front_end(python_file: str) -> tuple[Path, Path]:
    """The built module and style sheet of the widget whose folder holds this file; OSError where one is missing.

    `make widgets` builds them from the folder's `view.js` and `view.css` and from all that these import. They are in
    the repository, because whoever installs the course may have no Node. As paths they are read when a widget is
    made, and read again, where ANYWIDGET_HMR is 1, whenever they change.
    """
    name = Path(python_file).parent.name
    script, style = _BUILT / f"{name}.js", _BUILT / f"{name}.css"
    for path in (script, style):
        path.stat()  # anywidget would not say in its error's `filename` which one is missing
    return script, style
