"""Asking our own JavaScript, a widget's or the site's, in Node, what it makes of a value."""

import json
import subprocess
from pathlib import Path
from typing import Any

from moe_lessons import widgets
from moe_lessons.resources import data_path

WIDGETS = Path(widgets.__file__).parent


def javascript(node: str, module: str, expression: str, value: object) -> object:
    """What `expression` comes to, which sees the value as `value` and a module, such as "cost_view/rule", as `m`.

    `bytes(text)` turns base64 into a DataView.
    """
    code = f"""
import * as m from {json.dumps((WIDGETS / f"{module}.js").as_uri())};
import {{ readFileSync }} from "node:fs";
const bytes = (text) => new DataView(Uint8Array.from(Buffer.from(text, "base64")).buffer);
const value = JSON.parse(readFileSync(0, "utf-8"));
process.stdout.write(JSON.stringify({expression}));
"""
    command = [node, "--input-type=module", "--eval", code]
    done = subprocess.run(command, input=json.dumps(value), capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask_site(node: str, task: str, value: object, checkpoint: Path | None = None) -> Any:
    """What the site's model answers: `task` is one of those in tests/js/ask_site.js."""
    files = {
        "checkpoint": str(checkpoint or data_path("checkpoints/course-moe.safetensors")),
        "tokenizer": str(data_path("tokenizer.json")),
    }
    command = [node, str(Path(__file__).parent / "js" / "ask_site.js")]
    # Lone surrogates pass as escapes.
    send = json.dumps({"task": task, "value": value, **files})
    done = subprocess.run(command, input=send, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_module(node: str, module: str, body: str, value: object) -> Any:
    """What the body of an async function returns, which sees a module of the package as `m`, and `value`."""
    code = f"""
import * as m from {json.dumps((WIDGETS.parent / f"{module}.js").as_uri())};
const run = async (value) => {{ {body} }};
process.stdout.write(JSON.stringify(await run({json.dumps(value)})));
"""
    command = [node, "--input-type=module", "--eval", code]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
