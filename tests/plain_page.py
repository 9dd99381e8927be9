"""A widget on a plain page, without JupyterLab or a kernel: its front end, its traits, and a stand-in for its model.

python tests/plain_page.py /tmp/page.html     # RouterView on the shipped trace, to be opened by any browser
"""

import base64
import json
import sys
from pathlib import Path

from moe_lessons.widgets.shared.view import View

# Only what anywidget promises: get, set, save_changes, on, off, send. What is sent is kept, and nobody answers.
MODEL = """
const state = JSON.parse(document.getElementById("state").textContent, (_, value) =>
  value?.$bytes === undefined
    ? value
    : new DataView(Uint8Array.from(atob(value.$bytes), (sign) => sign.charCodeAt(0)).buffer));
const handlers = {};
const emit = (event) => [...(handlers[event] ?? [])].forEach((handler) => handler());
const model = (window.model = {
  state, sent: [],
  get: (name) => state[name],
  set(name, value) {
    if (state[name] === value) return;
    state[name] = value;
    emit(`change:${name}`);
  },
  save_changes() {},
  on: (event, handler) => (handlers[event] ??= new Set()).add(handler),
  off: (event, handler) => handlers[event]?.delete(handler),
  send: (message) => model.sent.push(message),
});
"""


def plain_page(view: View, *, dark: bool = False) -> str:
    """An HTML page that holds the widget and nothing else."""
    state = {name: view.trait_metadata(name, "sync") and getattr(view, name) for name in view.keys if name[0] != "_"}

    def plain(value: object) -> object:
        return {"$bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else str(value)

    words = json.dumps(state, default=plain).replace("<", "\\u003c")
    module = str(view._esm).replace("</script", "<\\/script")
    colors = "color-scheme: dark; background: #111; color: #eee" if dark else "background: #fff; color: #222"
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>A widget</title><style>body {{ margin: 12px; font: 14px system-ui, sans-serif; {colors} }}
{view._css}</style>
<body><main><h1 hidden>A widget</h1><div id="here"></div></main>
<script type="application/json" id="state">{words}</script>
<script type="module">
{MODEL}
const source = document.getElementById("module").textContent;
const {{ default: widget }} = await import(URL.createObjectURL(new Blob([source], {{ type: "text/javascript" }})));
const made = typeof widget === "function" ? await widget() : widget;
await made.initialize?.({{ model }});
window.leave = await made.render({{ model, el: document.getElementById("here") }});
document.body.dataset.ready = "";
</script>
<script type="text/plain" id="module">{module}</script>
</body></html>"""


def main() -> int:
    from moe_lessons.resources import data_path
    from moe_lessons.tracing import RoutingTrace
    from moe_lessons.widgets import RouterView

    view = RouterView(RoutingTrace.load(data_path("traces/course-moe.safetensors")))
    Path(sys.argv[1]).write_text(plain_page(view), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
