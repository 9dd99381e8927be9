"""Pages of the site: which of their texts are to be translated, and the same page in another language."""

import re
from collections.abc import Mapping

_MARKED = re.compile(r"\[\[(.+?)\]\]", re.DOTALL)


def marked_in(page: str) -> list[str]:
    """The texts that a page marks by [[ and ]], each on one line."""
    return [_on_one_line(text) for text in _MARKED.findall(page)]


def unmarked(page: str, said: Mapping[str, str]) -> str:
    """The page without its marks, each marked text as `said` has it, or as it is."""
    return _MARKED.sub(lambda found: said.get(_on_one_line(found[1]), found[1]), page)


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
