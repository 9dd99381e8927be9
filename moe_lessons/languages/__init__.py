"""The course in other languages: gettext catalogs, one for each lesson and one for the words of widgets and pages.

English is the source and needs no catalog. A folder of this package is a language; `language.toml` in it says what it
is called and which lessons are complete.
"""

from moe_lessons.languages.catalogs import Language, languages, translations
from moe_lessons.languages.chosen import VARIABLE, language, use
from moe_lessons.languages.words import later, translate

__all__ = ["VARIABLE", "Language", "language", "languages", "later", "translate", "translations", "use"]
