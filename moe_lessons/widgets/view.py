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
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+\.js)";$', re.MULTILINE)


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
    """The ES module and the style sheet that lie beside a widget's Python file, each behind what all widgets share.

    Browsers get one module per widget, without a bundler: a line `import { ... } from "./name.js";` is replaced
    by that file, once, and so are the imports of that file. Node's tests import the files as they are. Every widget
    carries its own copy, so comments and indents stay behind.
    """
    path = Path(python_file)
    included: set[str] = set()

    def read(found: re.Match) -> str:
        if found[1] in included:
            return ""
        included.add(found[1])
        source = path.with_name(found[1]).read_text(encoding="utf-8")
        return _IMPORT.sub(read, _EXPORT.sub("", source))

    script = _IMPORT.sub(read, path.with_suffix(".js").read_text(encoding="utf-8"))
    script = _INDENT.sub("", _COMMENT.sub("", script))
    styles = [path.with_name("common.css"), path.with_suffix(".css")]
    return script, "\n".join(style.read_text(encoding="utf-8") for style in styles if style.is_file())
