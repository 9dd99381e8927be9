"""Single texts in the language that is spoken: the words of widgets, questions and messages."""

import json
import re
from functools import cache
from pathlib import Path

from moe_lessons.languages.catalogs import SOURCE, every_translation, translations
from moe_lessons.languages.chosen import language


def translate(text: str, /, **values: object) -> str:
    """The text in the language that is spoken, or itself where no catalog has it; `{name}` stands for a value."""
    code = language()
    said = text if code == SOURCE else every_translation(code).get(text, text)
    return said.format(**values) if values else said


def later(text: str) -> str:
    """The text itself: marks what `translate` is given later, through a name, for whoever collects all texts."""
    return text


_PLURAL = re.compile(r"^(?!times)([a-z]{3,})s$")


def singular(unit: str) -> str:
    """The English singular of a unit, as a lesson's questions name it: "experts" is "expert"; else the unit itself."""
    return _PLURAL.sub(r"\1", unit)


def words_of(built: Path, *others: str) -> dict[str, str]:
    """The translations that a built front end may need, and those of other texts in it; none in English."""
    code = language()
    if code == SOURCE:
        return {}
    more = {text: translate(text) for text in others if text in every_translation(code)}
    return {**_within(code, built), **more}


@cache
def _within(code: str, built: Path) -> dict[str, str]:
    script = built.read_text(encoding="utf-8").replace("\\\n", "")  # long lines are broken, also within a text
    # How a bundler writes quotes and line breaks is its own affair: such texts always go along.
    sure = {
        text: json.dumps(text, ensure_ascii=False) == f'"{text}"' and "'" not in text for text in translations(code)
    }
    return {text: said for text, said in translations(code).items() if text in script or not sure[text]}
