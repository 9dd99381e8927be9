"""One HTML file that needs nothing beside it: looks, code and pictures are in the page."""

import html
from pathlib import Path

from moe_lessons.kit.lesson import Picture

LOOK = Path(__file__).parent / "look"


def page(title: str, body: str, *looks: str, script: str = "") -> str:
    """A whole page of this body, with these style sheets of `look/` and, where one is named, its script."""
    css = "\n".join((LOOK / f"{name}.css").read_text(encoding="utf-8") for name in ("base", *looks))
    code = f"<script>\n{(LOOK / script).read_text(encoding='utf-8')}</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n{body}\n{code}</body>\n</html>\n"
    )


def image(picture: Picture) -> str:
    """A stored picture as part of a page."""
    return (
        f'<img src="data:image/png;base64,{picture.png}" alt="{html.escape(picture.alt)}" '
        f'width="{picture.width}" height="{picture.height}">'
    )
