"""Markdown as a translator meets it: paragraphs, headings, items and rows, each a message of its own."""

import re
from collections import Counter
from collections.abc import Mapping

_SIGN = re.compile(r"(#+ |\s*[-*] |\s*\d+\. )")
_VERBATIM = re.compile(r"(```|\$\$)")
# What a translation keeps to the letter.
_CODE = re.compile(r"`+[^`]+`+")
_FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL)
_TARGET = re.compile(r"\]\(([^)\s]+)\)")
_HTML = re.compile(r"</?[a-zA-Z][^>]*>")
_PLACE = re.compile(r"\{\w*\}")


def pieces(text: str) -> list[tuple[str, bool]]:
    """The text in parts that add up to it, each with whether it is a message.

    A message is a paragraph, or a heading, an item of a list or a row of a table without the sign before it. Formulas
    and code that stand alone are none.
    """
    found: list[tuple[str, bool]] = []
    message: list[str] = []
    fence = ""

    def end() -> None:
        if message:
            found.append(("\n".join(message), _is_message("\n".join(message))))
            message.clear()

    for number, line in enumerate(text.split("\n")):
        opened = _VERBATIM.match(line.strip())
        starts = bool(not line.strip() or opened or fence or line.startswith("|") or _SIGN.match(line))
        if starts or not message:
            end()
            found.append(("\n" if number else "", False))
        if fence or (opened and line.count(opened.group(1)) == 1):
            found.append((line, False))
            fence = "" if fence and line.strip().endswith(fence) else fence or (opened.group(1) if opened else "")
            continue
        sign = _SIGN.match(line) if starts else None
        if sign:
            found.append((sign.group(0), False))
            line = line[sign.end() :]
        if line.strip():
            message.append(line)
        else:
            found.append((line, False))
        if line.startswith("|"):
            end()
    end()
    return [(part, is_message) for part, is_message in found if part]


def messages(text: str) -> list[str]:
    """What there is to translate in a text, in its order."""
    return [part for part, is_message in pieces(text) if is_message]


def translated(text: str, said: Mapping[str, str]) -> str:
    """The text with each message that `said` has in its other language."""
    return "".join(said.get(part, part) if is_message else part for part, is_message in pieces(text))


def differences(source: str, said: str) -> list[str]:
    """What a translation does not keep of its source: code, formulas, links, tags, places for values, bold, numbers."""
    found = []
    for name, pattern in {
        "code": _CODE,
        "formulas": _FORMULA,
        "links": _TARGET,
        "tags": _HTML,
        "places for values": _PLACE,
    }.items():
        ours, theirs = Counter(pattern.findall(source)), Counter(pattern.findall(said))
        if ours != theirs:
            missing, more = sorted((ours - theirs).elements()), sorted((theirs - ours).elements())
            found.append(f"{name}: misses {missing or 'none'}, has {more or 'none'} more")
    if source.count("**") != said.count("**"):
        found.append(f"bold: {source.count('**')} signs ** in the source, {said.count('**')} in the translation")
    ours, theirs = Counter(_numbers(source)), Counter(_numbers(said))
    if ours != theirs:
        found.append(f"numbers: {sorted((ours - theirs).elements())} became {sorted((theirs - ours).elements())}")
    return found


def _numbers(text: str) -> list[str]:
    """Digits that stand in prose; which sign parts their groups is the language's own."""
    for pattern in (_CODE, _FORMULA, _TARGET, _HTML, _PLACE):
        text = pattern.sub(" ", text)
    return re.findall(r"\d+", text)


def _is_message(text: str) -> bool:
    """Whether any word is left once code, formulas and tags are gone."""
    for pattern in (_CODE, _FORMULA, _HTML):
        text = pattern.sub(" ", text)
    return bool(re.search(r"[^\W\d_]", text))
