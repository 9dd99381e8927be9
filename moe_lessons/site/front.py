"""The front page: its files as they are, and beside them the recorded trace that it starts from."""

import html
import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

from moe_lessons.resources import data_path
from moe_lessons.text.prompts import prompts
from moe_lessons.tracing import RoutingTrace
from moe_lessons.widgets import RouterView
from moe_lessons.widgets.shared.state import state_of

PAGE = Path(__file__).parent / "front_page"
#: Whose longest prompts stand on the page, in this order.
DOMAINS = ("english", "python", "german", "json")


def recorded() -> dict[str, Any]:
    """What the page shows at first: a RouterView's state of the recorded trace."""
    return state_of(RouterView(RoutingTrace.load(data_path("traces/course-moe.safetensors"))))


def write_front_page(site: Path) -> None:
    """Write index.html and its files into the folder `site`."""
    site.mkdir(parents=True, exist_ok=True)
    shutil.copy(PAGE / "front_page.css", site / "front_page.css")
    view = recorded()
    parts = {
        "ICON": quote((PAGE / "icon.svg").read_text(encoding="utf-8").strip()),
        # In the page itself, so that nothing below them jumps when its code arrives.
        "TEXT": html.escape("".join(view["traits"]["facts"]["pieces"])),
        "PROMPTS": "".join(_button(name, max(prompts()[name], key=len)) for name in DOMAINS),
    }
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        page = page.replace("{{" + name + "}}", part)
    (site / "index.html").write_text(page, encoding="utf-8")
    text = json.dumps(view, ensure_ascii=False, separators=(",", ":"))
    (site / "recorded.json").write_text(text, encoding="utf-8")


def _button(name: str, text: str) -> str:
    label = name.upper() if name == "json" else name.capitalize()
    return f'<button type="button" aria-pressed="false" data-text="{html.escape(text)}">{label}</button>'
