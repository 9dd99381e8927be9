"""A widget's state as plain JSON: what a page without a kernel needs to show it alive."""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moe_lessons.widgets.shared.view import View

#: The kind of output in which a lesson's kernel hands states to whoever executes it.
STATE = "application/vnd.moe-lessons.state+json"
#: Where this is set, every widget that is shown carries its state.
CARRY = "MOE_LESSONS_CARRY_STATES"
LAYOUT = {"comm", "keys", "layout", "log", "tabbable", "tooltip"}  # traits of ipywidgets' own


def state_of(view: "View") -> dict[str, Any]:
    """The front end as "widget", the class as "name", and its "traits" as plain JSON."""
    traits = {name: value for name, value in view.get_state().items() if name[0] != "_" and name not in LAYOUT}
    return {
        "widget": type(view).__module__.rpartition(".")[2],
        "name": type(view).__name__,
        "traits": plain(dict(sorted(traits.items()))),
    }


def plain(value: Any) -> Any:
    """The value with bytes, at any depth, as {"$bytes": base64}; host/state.js reads it."""
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
