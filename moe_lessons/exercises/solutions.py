"""`solution`: the package's own source, folded away until it is opened; there is no other copy of any answer."""

import html
import inspect
import re
from pkgutil import resolve_name
from typing import Any

from moe_lessons.exercises.catalog import find

# Pygments' short class names, colored by the variables that JupyterLab's own editor uses, in either theme.
# The doubled class outranks JupyterLab's rule for any pre.
_STYLE = """
<style>
.moe-solution { border: 1px solid var(--jp-border-color2, #bbb); border-radius: 4px; margin: 4px 0; }
.moe-solution summary { cursor: pointer; padding: 6px 10px; color: var(--jp-ui-font-color1, inherit); }
.moe-solution summary:focus-visible { outline: 2px solid var(--jp-brand-color1, #0072B2); outline-offset: -2px; }
.moe-solution > pre.moe-code.moe-code { margin: 0; padding: 8px 12px; overflow-x: auto; white-space: pre;
  background: var(--jp-cell-editor-background, #f5f5f5); color: var(--jp-mirror-editor-variable-color, inherit);
  border-top: 1px solid var(--jp-border-color2, #bbb); line-height: 1.4; }
.moe-solution .k, .moe-solution .kn, .moe-solution .kc, .moe-solution .ow {
  color: var(--jp-mirror-editor-keyword-color, #008000); font-weight: bold; }
.moe-solution .s1, .moe-solution .s2, .moe-solution .sd, .moe-solution .sa, .moe-solution .si {
  color: var(--jp-mirror-editor-string-color, #a31515); }
.moe-solution .c1 { color: var(--jp-mirror-editor-comment-color, #408080); font-style: italic; }
.moe-solution .mi, .moe-solution .mf { color: var(--jp-mirror-editor-number-color, #080); }
.moe-solution .o { color: var(--jp-mirror-editor-operator-color, #a0f); }
.moe-solution .nf, .moe-solution .nc { color: var(--jp-mirror-editor-def-color, #00f); }
.moe-solution .nb, .moe-solution .bp { color: var(--jp-mirror-editor-builtin-color, #008000); }
.moe-solution .nd { color: var(--jp-mirror-editor-meta-color, #a0f); }
</style>"""


class Source:
    """The source of one or more objects, highlighted and folded in a notebook."""

    def __init__(self, title: str, parts: dict[str, Any]) -> None:
        self.title = title
        self.code = "\n\n\n".join(inspect.getsource(part).rstrip() for part in parts.values()) + "\n"
        self.docs = [inspect.getdoc(part) for part in parts.values()]
        self.names = list(parts)

    def __repr__(self) -> str:
        return f"<source of {', '.join(self.names)}>"

    def _repr_html_(self) -> str:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer

        code = highlight(self.code, PythonLexer(), HtmlFormatter(nowrap=True))
        doc = next((doc.splitlines()[0] for doc in self.docs if doc), "")
        summary = f"Solution: <code>{html.escape(self.title)}</code> {html.escape(doc)}"
        return (
            f'{_STYLE}<details class="moe-solution"><summary>{summary}</summary>'
            f'<pre class="moe-code">{code}</pre></details>'
        )


def solution(name: str) -> Source:
    """The source behind a name: `01.merge` (an exercise's reference) or `moe_lessons.model.router.Router`.

    Raises ValueError for a name that is neither.
    """
    if re.match(r"\d\d\.", str(name)):
        exercise = find(name)
        parts = {name: exercise.reference}
        for dotted in exercise.sources:
            parts[dotted] = resolve_name(dotted)
        return Source(name, parts)
    if not str(name).startswith("moe_lessons."):
        raise ValueError(
            f"{name!r} is neither an exercise such as '01.merge' nor a name such as 'moe_lessons.model.router.Router'"
        )
    try:
        found = resolve_name(name)
        return Source(name, {name: found})
    except (ImportError, AttributeError, ValueError):
        raise ValueError(f"the package has no {name!r}; check the spelling of the module and of the name") from None
    except (TypeError, OSError):  # a plain value, or an installation without source files
        raise ValueError(f"{name!r} has no source to show; ask for a function, a class or a module") from None
