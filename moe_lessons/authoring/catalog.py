"""Catalogs kept up to date: new texts are added, changed ones marked for a second look, and what is left is said."""

import io
from collections.abc import Sequence
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from moe_lessons import __version__
from moe_lessons.authoring.messages import found_in
from moe_lessons.files import replacing
from moe_lessons.languages.catalogs import WORDS, catalog_path, languages, lessons_of
from moe_lessons.languages.markdown import differences

_HEADER = "# {language}: {what}. The English text is the key; CONTRIBUTING.md says how to translate.\n#"


def update(code: str, catalogs: Sequence[str] = ()) -> list[str]:
    """Bring catalogs up to date, all that the language has or those that are named, and make those that are missing.

    Gives what is left to do, a line for each text. Raises ValueError for a language or a lesson that there is not.
    """
    if code not in languages():
        raise ValueError(f"there is no language {code!r}; make moe_lessons/languages/{code}/language.toml first")
    left = []
    for name in catalogs or [WORDS, *lessons_of(code)]:
        path, fresh = catalog_path(code, name), Catalog(fuzzy=False)
        for text, places in found_in(name).items():
            fresh.add(text, locations=[(place, 0) for place in places])
        kept = _read(path, code)
        kept.update(fresh)
        _write(kept, path, languages()[code].name, "words of widgets and pages" if name == WORDS else f"lesson {name}")
        left += [f"{name}: {line}" for line in to_do(code, name)]
    return left


def to_do(code: str, catalog: str) -> list[str]:
    """What a catalog lacks: texts without a translation, doubtful ones, those that no file has any more, slips."""
    found, kept, lines = found_in(catalog), _read(catalog_path(code, catalog), code), []
    for text in found:
        entry = kept.get(text)
        if entry is None or not entry.string:
            lines.append(f"missing: {_short(text)}")
        elif entry.fuzzy:
            lines.append(f"the source changed: {_short(text)}")
        else:
            lines += [f"{slip}: {_short(text)}" for slip in differences(text, str(entry.string))]
    gone = [str(entry.id) for entry in kept if entry.id and entry.id not in found]
    lines += [f"in no file any more: {_short(text)}" for text in [*gone, *map(str, kept.obsolete)]]
    return lines


def _read(path: Path, code: str) -> Catalog:
    if not path.exists():
        return Catalog(locale=None, project="moe-lessons", version=__version__, fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=None, abort_invalid=True)


def _write(catalog: Catalog, path: Path, language: str, what: str) -> None:
    """Without dates and line numbers, so that two branches rarely meet in one line; what is obsolete goes."""
    written = io.BytesIO()
    write_po(
        written, catalog, width=0, omit_header=True, include_lineno=False, include_previous=True, ignore_obsolete=True
    )
    head = _HEADER.format(language=language, what=what)
    meta = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n\n'
    with replacing(path) as scratch:
        scratch.write_text(f"{head}\n{meta}{written.getvalue().decode()}".rstrip("\n") + "\n", encoding="utf-8")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else f"{line[:87]}..."
