"""The base of every widget: a front end in its own files, and a still picture wherever no browser code runs."""

import re
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from matplotlib.figure import Figure

from moe_lessons.figures.alt_text import describe
from moe_lessons.figures.paper import png
from moe_lessons.figures.style import PALETTE

_COMMENT = re.compile(r"^[ \t]*(//.*|/\*\*[\s\S]*?\*/)\n", re.MULTILINE)
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)
_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.{1,2}/[\w/]+\.js)";$', re.MULTILINE)


class View(anywidget.AnyWidget):
    """A widget whose front end is `view.js` and `view.css` in the folder of its Python file.

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
        """One line that says what is shown: the repr that nbval compares, and the picture's alt text begins with it."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{self.describe()}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        figure = self.figure()
        data = {**data, "text/plain": repr(self), "image/png": png(figure)}
        return data, {**metadata, "image/png": {"alt": describe(figure, self.describe())}}


def front_end(python_file: str) -> tuple[str, str]:
    """The ES module `view.js` and the style sheet `view.css` of a widget's folder, each behind what all widgets share.

    Browsers get one module per widget, without a bundler: a line `import { ... } from "./name.js";` is replaced
    by that file, once, and so are the imports of that file. Node's tests import the files as they are. Every widget
    carries its own copy, so comments and indents stay behind.
    """
    folder = Path(python_file).resolve().parent
    included: set[Path] = set()

    def read(path: Path) -> str:
        if path in included:
            return ""
        included.add(path)
        source = _EXPORT.sub("", path.read_text(encoding="utf-8"))
        return _IMPORT.sub(lambda found: read((path.parent / found[1]).resolve()), source)

    script = _INDENT.sub("", _COMMENT.sub("", read(folder / "view.js")))
    styles = [Path(__file__).with_name("common.css"), folder / "view.css"]
    return script, "\n".join(style.read_text(encoding="utf-8") for style in styles if style.is_file())
