"""The four domains that the course writes itself, each with an exact entropy."""

from moe_lessons.text.grammars.arithmetic import Arithmetic
from moe_lessons.text.grammars.base import Document, Grammar
from moe_lessons.text.grammars.german_stories import GermanStories
from moe_lessons.text.grammars.json_records import JsonRecords
from moe_lessons.text.grammars.phone_book import PhoneBook

GRAMMARS: dict[str, Grammar] = {
    grammar.name: grammar for grammar in (Arithmetic(), JsonRecords(), GermanStories(), PhoneBook())
}

__all__ = ["GRAMMARS", "Arithmetic", "Document", "GermanStories", "Grammar", "JsonRecords", "PhoneBook"]
