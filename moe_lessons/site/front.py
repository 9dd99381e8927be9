"""The front page: its files as they are, and beside them the recorded trace that it starts from."""

import html
import json
import os
import shutil
from collections.abc import Sequence
from importlib.metadata import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch

from moe_lessons.languages import later
from moe_lessons.languages.catalogs import translations
from moe_lessons.languages.pages import unmarked
from moe_lessons.resources import data_path
from moe_lessons.site.editions import Edition, links
from moe_lessons.site.lessons import ENGLISH
from moe_lessons.site.web_checkpoint import read_web_checkpoint
from moe_lessons.text.prompts import prompts
from moe_lessons.tracing import RoutingTrace
from moe_lessons.training.shipped import open_shipped
from moe_lessons.widgets import RouterView
from moe_lessons.widgets.shared.state import state_of

PAGE = Path(__file__).parent / "front_page"
#: Whose longest prompts stand on the page, in this order.
DOMAINS = {"english": later("English"), "python": "Python", "german": later("German"), "json": "JSON"}


def recorded(checkpoint: Path) -> dict[str, Any]:
    """What the page shows at first: a RouterView's state of the recorded text.

    The text is read with the page's own weights, from the file `checkpoint`: a few of them differ from the shipped
    ones by their rounding, and the loss would move by some thousandths when the page's model arrives.
    """
    text = "".join(RoutingTrace.load(data_path("traces/course-moe.safetensors")).pieces)
    shipped = open_shipped("course-moe")
    weights = {name: torch.from_numpy(numbers) for name, numbers in read_web_checkpoint(checkpoint).items()}
    shipped.model.load_state_dict(weights, strict=False)  # a head that is the embedding is written once
    return state_of(RouterView(shipped.ask(text)))


def commands() -> str:
    """What a visitor types to have the course, with its address where one is known.

    It is the package's own, or else that of the repository for which GitHub builds the site.
    """
    urls = dict(url.split(", ", 1) for url in metadata("moe-lessons").get_all("Project-URL") or [])
    of_action = [os.environ.get(name) for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY")]
    address = urls.get("Repository") or ("/".join(map(str, of_action)) if all(of_action) else "")
    return f"{f'git clone {address} && ' if address else ''}cd moe-lessons\nmake lab"


def write_front_page(site: Path, every: Sequence[Edition] = (ENGLISH,)) -> None:
    """Write the front page of every edition into the folder `site`, which has the page's model already."""
    shutil.copy(PAGE / "front_page.css", site / "front_page.css")
    view = recorded(site / "model" / "course-moe.safetensors")
    parts = {
        "ICON": quote((PAGE / "icon.svg").read_text(encoding="utf-8").strip()),
        # In the page itself, so that nothing below them jumps when its code arrives.
        "TEXT": html.escape("".join(view["traits"]["facts"]["pieces"])),
        "COMMANDS": html.escape(commands(), quote=False),
    }
    source = (PAGE / "index.html").read_text(encoding="utf-8")
    for edition in every:
        page = unmarked(source, {} if edition is ENGLISH else translations(edition.code))
        buttons = [_button(edition.said(label), max(prompts()[name], key=len)) for name, label in DOMAINS.items()]
        lab = "make lab" if edition is ENGLISH else f"make lab EDITION={edition.code}"
        own = {
            "PROMPTS": "".join(buttons),
            "COMMANDS": parts["COMMANDS"].replace("make lab", lab),
            "LANGUAGE": edition.code,
            "ROOT": edition.root,
            "LANGUAGES": links(edition, every),
        }
        for name, part in {**parts, **own}.items():
            page = page.replace("{{" + name + "}}", part)
        target = site / edition.folder / "index.html"
        target.parent.mkdir(exist_ok=True)
        target.write_text(page, encoding="utf-8")
    text = json.dumps(view, ensure_ascii=False, separators=(",", ":"))
    (site / "recorded.json").write_text(text, encoding="utf-8")


def _button(label: str, text: str) -> str:
    return f'<button type="button" aria-pressed="false" data-text="{html.escape(text)}">{label}</button>'
