"""The front page: its files as they are, and beside them the recorded trace that it starts from."""

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
    """What the page shows at first: a RouterView's state of the recorded trace, and the prompts to choose from."""
    view = RouterView(RoutingTrace.load(data_path("traces/course-moe.safetensors")))
    offered = {name: max(prompts()[name], key=len) for name in DOMAINS}
    return {"view": state_of(view), "prompts": offered}


def write_front_page(site: Path) -> None:
    """Write index.html and its files into the folder `site`."""
    site.mkdir(parents=True, exist_ok=True)
    shutil.copy(PAGE / "front_page.css", site / "front_page.css")
    icon = (PAGE / "icon.svg").read_text(encoding="utf-8").strip()
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    (site / "index.html").write_text(page.replace("ICON", quote(icon)), encoding="utf-8")
    text = json.dumps(recorded(), ensure_ascii=False, separators=(",", ":"))
    (site / "recorded.json").write_text(text, encoding="utf-8")
