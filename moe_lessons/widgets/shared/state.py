"""A widget's state as plain JSON: what a page without a kernel needs to show it alive."""

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moe_lessons.widgets.shared.view import View

#: The kind of output in which a lesson's kernel hands states to whoever executes it.
STATE = "application/vnd.moe-lessons.state+json"
#: Where this is set, every widget that is shown carries its state.
CARRY = "MOE_LESSONS_CARRY_STATES"
_LAYOUT = {"comm", "keys", "layout", "log", "tabbable", "tooltip"}  # ipywidgets' own


def state_of(view: "View") -> dict[str, Any]:
    """The front end as "widget", the class as "name", its JSON "traits", and its other traits as base64 in "bytes"."""
    state = {name: value for name, value in view.get_state().items() if name[0] != "_" and name not in _LAYOUT}
    held = {name: value for name, value in state.items() if isinstance(value, bytes | bytearray | memoryview)}
    return {
        "widget": type(view).__module__.rpartition(".")[2],
        "name": type(view).__name__,
        "traits": {name: value for name, value in sorted(state.items()) if name not in held},
        "bytes": {name: base64.b64encode(value).decode() for name, value in sorted(held.items())},
    }
