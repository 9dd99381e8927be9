"""Which language this process speaks: what the environment says, or else the folder of lessons that one works in."""

import json
import os
import warnings
from contextlib import suppress
from pathlib import Path

from moe_lessons.languages.catalogs import SOURCE, languages

#: The environment variable that decides, such as MOE_LESSONS_LANGUAGE=de.
VARIABLE = "MOE_LESSONS_LANGUAGE"
#: What `moe-lessons copy` keeps in a folder of lessons: the checksum of each as it was copied, and below `ENTRY` the
#: language of the copies.
RECORD, ENTRY = ".copied.json", "language"


def language() -> str:
    """The language to speak, such as "de"; "en" where none is set, or one that the course does not have."""
    wanted = os.environ.get(VARIABLE, "").strip() or of_folder(Path.cwd())
    if wanted == SOURCE or not wanted:
        return SOURCE
    if wanted not in languages():
        there = ", ".join([SOURCE, *languages()])
        warnings.warn(f"{VARIABLE} is {wanted!r}, and the course has: {there}; it goes on in English", stacklevel=2)
        return SOURCE
    return wanted


def use(code: str) -> None:
    """Speak another language from here on, also in processes that this one starts; ValueError for an unknown one."""
    if code not in (known := [SOURCE, *languages()]):
        raise ValueError(f"the language is {code!r}, but must be one of: {', '.join(known)}")
    os.environ[VARIABLE] = code


def of_folder(folder: Path) -> str:
    """The language in which a folder of lessons was copied; "" where it says nothing."""
    with suppress(OSError, ValueError, AttributeError):
        return str(json.loads((folder / RECORD).read_bytes()).get(ENTRY, ""))
    return ""
