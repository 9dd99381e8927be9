"""The catalogs as they are stored: PO files, read by Babel, which comes with JupyterLab."""

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
SOURCE = "en"
#: The catalog that belongs to no lesson.
WORDS = "words"


class Language(NamedTuple):
    """A language that the course has beside its own."""

    code: str  # as in `<html lang>`, such as "de"
    name: str  # what its speakers call it
    complete: tuple[str, ...]  # numbers of the lessons that tests hold to be complete


def languages() -> dict[str, Language]:
    """The languages there are beside English, by code.

    Raises ValueError, naming the file, where a `language.toml` is not sound.
    """
    found = {}
    for path in sorted(FOLDER.glob("*/language.toml")):
        code = path.parent.name
        try:
            facts = tomllib.loads(path.read_text(encoding="utf-8"))
            found[code] = Language(code, str(facts["name"]), tuple(map(str, facts.get("complete", ()))))
        except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"languages/{code}/language.toml needs a `name` and `complete`: {error}") from None
    return found


def catalog_path(code: str, catalog: str) -> Path:
    """Where a catalog lies, or would lie: a lesson's number, or "words"."""
    return FOLDER / code / f"{catalog}.po"


def lessons_of(code: str) -> list[str]:
    """The numbers of the lessons that have a catalog in this language."""
    return sorted(path.stem for path in (FOLDER / code).glob("[0-9][0-9].po"))


@cache
def translations(code: str, catalog: str = WORDS) -> dict[str, str]:
    """What a catalog says, by the English text; nothing where it is missing. Doubtful ("fuzzy") entries are left out.

    Raises ValueError, naming the file, where it is no catalog.
    """
    path = catalog_path(code, catalog)
    if not path.exists():
        return {}
    from babel.messages.pofile import PoFileError, read_po  # here: English needs none of it

    try:
        with path.open("rb") as file:
            read = read_po(file, locale=None, abort_invalid=True)
    except (PoFileError, UnicodeDecodeError) as error:
        raise ValueError(f"languages/{code}/{path.name} is no PO file: {error}") from None
    return {str(one.id): str(one.string) for one in read if one.id and one.string and not one.fuzzy}


@cache
def every_translation(code: str) -> dict[str, str]:
    """All catalogs of a language in one; where two differ, the lesson's own words are not overruled by a later one."""
    found: dict[str, str] = {}
    for catalog in [WORDS, *lessons_of(code)]:
        for source, said in translations(code, catalog).items():
            found.setdefault(source, said)
    return found
