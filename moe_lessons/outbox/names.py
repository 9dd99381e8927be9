"""Names that somebody chose: short, of letters and digits in any script, nothing that a page or a terminal obeys."""

import unicodedata

LONGEST = 24
_SIGNS = " -'._,+"


def is_name(text: object) -> bool:
    """Whether this may be shown as somebody's name: as `name_from` would give it."""
    return isinstance(text, str) and 0 < len(text) <= LONGEST and text == name_from(text)


def name_from(text: str) -> str:
    """What is left of a text as a name; empty where nothing is."""
    text = unicodedata.normalize("NFC", str(text)[: 10 * LONGEST])
    kept: list[str] = []
    marks = 0  # accents heaped on one letter would cover the lines above it
    for sign in " ".join(text.split()):
        kind = unicodedata.category(sign)
        marks = marks + 1 if kind in ("Mn", "Mc") else 0
        if (kind[0] == "L" or kind == "Nd" or sign in _SIGNS or 0 < marks <= 2) and (kept or marks == 0):
            kept.append(sign)
    return " ".join("".join(kept)[:LONGEST].split())
