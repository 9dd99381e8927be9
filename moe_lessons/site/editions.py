"""The site in several languages: where each stands, how they lead to each other, and what widgets say in them."""

import html
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from moe_lessons.authoring.messages import found_in
from moe_lessons.languages.catalogs import SOURCE, languages, lessons_of, translations


class Edition(NamedTuple):
    """One language of the site."""

    code: str
    name: str
    folder: str  # below the site's own, with a slash at its end; "" for English

    @property
    def root(self) -> str:
        """The way back from the edition's own folder to the site's."""
        return "../" * self.folder.count("/")

    def said(self, text: str) -> str:
        """A text of the site in this language."""
        return translations(self.code).get(text, text)

    def titled(self, text: str) -> str:
        """Markdown whose links name translated lessons by their titles in this language."""
        for lesson in lessons_of(self.code):
            for title, said in translations(self.code, lesson).items():
                if title.startswith(f"{lesson} · "):
                    text = text.replace(f"[{title}]", f"[{said}]")
        return text

    def page(self, page: str, lesson: str) -> str:
        """A recorded output with those of its texts in this language that the catalogs have; code stays."""
        if lesson not in lessons_of(self.code):
            return page
        known = {**translations(self.code), **translations(self.code, lesson)}
        for text, said in known.items():
            for ours, theirs in {(_html(text, quote), _html(said, quote)) for quote in (False, True)}:
                page = page.replace(f">{ours}<", f">{theirs}<").replace(f"> {ours} <", f"> {theirs} <")
        return page


def _html(text: str, quote: bool) -> str:
    """A text as outputs hold it: escaped, with code where backticks were."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=quote))


def editions(codes: Sequence[str] | None = None) -> list[Edition]:
    """English and the languages asked for, or all that there are; ValueError for one that there is not."""
    known = languages()
    for code in codes or ():
        if code not in (SOURCE, *known):
            raise ValueError(f"there is no language {code!r}; there are: {', '.join([SOURCE, *known])}")
    chosen = [one for one in known.values() if codes is None or one.code in codes]
    return [Edition(SOURCE, "English", ""), *(Edition(one.code, one.name, f"{one.code}/") for one in chosen)]


def others(here: Edition, every: Sequence[Edition]) -> list[dict[str, str]]:
    """The other languages: code, name, and the way from this edition's folder to theirs."""
    return [
        {"code": one.code, "name": one.name, "way": here.root + one.folder} for one in every if one.code != here.code
    ]


def links(here: Edition, every: Sequence[Edition]) -> str:
    """Links to the front page in the other languages."""
    return " ".join(
        f'<a href="{one["way"] or "./"}" hreflang="{one["code"]}" lang="{one["code"]}">{html.escape(one["name"])}</a>'
        for one in others(here, every)
    )


def write_words(site: Path, edition: Edition) -> None:
    """What widgets say in this language, theirs and those of the lessons' questions; English needs none."""
    if edition.code == SOURCE:
        return
    said = dict(translations(edition.code))
    for lesson in lessons_of(edition.code):
        known = translations(edition.code, lesson)
        for text, places in found_in(lesson).items():
            if text in known and any(not place.endswith(".ipynb") for place in places):
                said[text] = known[text]
    target = site / "languages" / f"{edition.code}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(said, ensure_ascii=False, separators=(",", ":"), sort_keys=True), encoding="utf-8")
