"""JSON records of four kinds: a strict form around free words and digits.

The form (keys, quotes, brackets that close) costs a good model nothing; the floor is the entropy of what is filled in.
"""

import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from moe_lessons.text.grammars.base import Choices, Document, words

FIRST = words(
    "Aiko Amir Anna Bela Bruno Carmen Chen Dana Diego Elif Emma Fatima Felix Gita Hana Hugo Igor Ines Jana Jamal Kai "
    "Kofi Lena Luca Mara Milo Nadia Noah Olga Omar Paula Pedro Rosa Sana Tomas Yuki"
)
LAST = words(
    "Adams Bauer Costa Diaz Evans Fuchs Garcia Haas Ito Jansen Keller Lopez Meyer Novak Okafor Patel Quinn Rossi Sato "
    "Tanaka Urban Vidal Weber Young Zhang Braun Cohen Dubois Fischer Green Hansen Ivanov Kowalski Lund Moreau Silva"
)
CITIES = words(
    "Accra Athens Berlin Bern Bogota Cairo Dakar Delhi Dublin Geneva Hanoi Helsinki Jakarta Kyoto Lagos Lima Lisbon "
    "London Madrid Manila Milan Nairobi Oslo Paris Porto Prague Quito Riga Rome Seoul Sofia Tokyo Tunis Turin "
    "Vienna Warsaw"
)
PRODUCTS = words(
    "bag ball basket bench blanket book bottle bowl box brush bucket camera candle chair clock coat cup desk drum "
    "flute hammer hat jacket kettle knife lamp map mirror pen pillow radio ring rope ruler scarf shoe spoon table "
    "tent watch"
)
COLORS = words("black blue brown gray green orange pink purple red silver white yellow")
SENSORS = words("humidity light noise pressure rain speed temperature voltage weight wind")
SKILLS = words(
    "baking chess cooking cycling dancing drawing fencing fishing hiking knitting painting reading rowing "
    "sailing singing skiing swimming writing"
)
STATUS = words("closed failed new open paid sent")
KINDS = ("order", "person", "reading", "flight")


@dataclass(frozen=True, kw_only=True)
class JsonRecords:
    """Documents of one JSON object, on one line, written as `json.dumps` would write it.

    Words come from the first `words` entries of each list, numbers have `digits` free digits, lists have from 1 to
    `items` elements, and a number in a range takes at most its first `spread` values; small settings make a language
    small enough to enumerate.
    """

    words: int = 40
    digits: int = 6
    items: int = 4
    kinds: tuple[str, ...] = KINDS
    spread: int = 10_000
    name: str = "json"

    def sample(self, rng: random.Random) -> Document:
        choices = Choices(rng)
        kind = choices.pick(self.kinds)
        record = {"type": kind, "id": self._number(choices, self.digits), **getattr(self, f"_{kind}")(choices)}
        return Document(json.dumps(record) + "\n", self.name, choices.log_prob)

    def _word(self, choices: Choices, options: tuple[str, ...]) -> str:
        return choices.pick(options[: self.words])

    def _number(self, choices: Choices, digits: int) -> str:
        """Digits in quotes: leading zeros stay, so that every digit is free."""
        return "".join(choices.pick("0123456789") for _ in range(digits))

    def _integer(self, choices: Choices, low: int, high: int) -> int:
        return choices.integer(low, min(high, low + self.spread - 1))

    def _person_name(self, choices: Choices) -> str:
        return f"{self._word(choices, FIRST)} {self._word(choices, LAST)}"

    def _order(self, choices: Choices) -> dict[str, object]:
        return {
            "status": self._word(choices, STATUS),
            "customer": {"name": self._person_name(choices), "city": self._word(choices, CITIES)},
            "items": [
                {
                    "product": self._word(choices, PRODUCTS),
                    "color": self._word(choices, COLORS),
                    "count": self._integer(choices, 1, 9),
                    "code": self._number(choices, self.digits // 2),
                }
                for _ in range(choices.integer(1, self.items))
            ],
        }

    def _person(self, choices: Choices) -> dict[str, object]:
        return {
            "name": self._person_name(choices),
            "age": self._integer(choices, 10, 99),
            "address": {"city": self._word(choices, CITIES), "code": self._number(choices, self.digits)},
            "phone": self._number(choices, self.digits),
            "skills": [self._word(choices, SKILLS) for _ in range(choices.integer(1, self.items))],
            "friends": [self._person_name(choices) for _ in range(choices.integer(1, self.items))],
            "member": choices.pick((True, False)),
        }

    def _reading(self, choices: Choices) -> dict[str, object]:
        return {
            "sensor": self._word(choices, SENSORS),
            "place": {"city": self._word(choices, CITIES), "room": self._integer(choices, 100, 999)},
            "valid": choices.pick((True, False)),
            "values": [
                {"hour": self._integer(choices, 10, 23), "value": self._integer(choices, 1000, 9999)}
                for _ in range(choices.integer(1, self.items + 2))
            ],
            "note": choices.pick((None, "check", "repair")),
        }

    def _flight(self, choices: Choices) -> dict[str, object]:
        return {
            "route": [self._word(choices, CITIES), self._word(choices, CITIES)],
            "gate": choices.pick("ABCDEFGH") + str(self._integer(choices, 10, 99)),
            "pilot": self._person_name(choices),
            "passengers": [
                {
                    "name": self._person_name(choices),
                    "seat": f"{self._integer(choices, 10, 49)}{choices.pick('ABCDEF')}",
                }
                for _ in range(choices.integer(1, self.items))
            ],
            "delay": self._integer(choices, 0, 99),
        }

    def log_prob(self, text: str) -> float:
        """Nats; -inf where a key, a word, the order or a single space differs from what `sample` may write."""
        reader = _Reader(text, self.words, self.spread)
        return -math.inf if self._read(reader) is not None else reader.log_prob

    def first_mistake(self, text: str) -> int | None:
        """Where a text leaves the language: behind a wrong word, or before anything else that is wrong; else None."""
        return self._read(_Reader(text, self.words, self.spread))

    def _read(self, reader: "_Reader") -> int | None:
        try:
            reader.record(self.kinds, self.digits, self.items)
        except _Refused:
            return reader.at
        return None


class _Refused(Exception):
    """The text leaves the language here."""


class _Reader:
    """Reads a record from left to right and counts, at each place, among how many things the writer chose."""

    def __init__(self, text: str, words: int, spread: int) -> None:
        self._text, self._words, self._spread, self.at, self.log_prob = text, words, spread, 0, 0.0

    def expect(self, literal: str) -> None:
        for character in literal:
            if not self._text.startswith(character, self.at):
                raise _Refused
            self.at += 1

    def match(self, pattern: str) -> str:
        found = re.compile(pattern, re.ASCII).match(self._text, self.at)
        if found is None:
            raise _Refused
        self.at = found.end()
        return found[0]

    def one_of(self, options: int) -> None:
        self.log_prob -= math.log(options)

    def word(self, options: tuple[str, ...]) -> str:
        found = self.match(r"[A-Za-z]+")
        allowed = options[: self._words]
        if found not in allowed:
            raise _Refused
        self.one_of(len(allowed))
        return found

    def digits(self, n: int) -> None:
        self.match(rf"[0-9]{{{n}}}")
        self.log_prob -= n * math.log(10)

    def integer(self, low: int, high: int) -> None:
        value = self.match(r"0|[1-9][0-9]*")
        high = min(high, low + self._spread - 1)
        if not low <= int(value) <= high:
            raise _Refused
        self.one_of(high - low + 1)

    def constant(self, *options: str) -> None:
        if self.match(r'"?[a-z]+"?') not in options:
            raise _Refused
        self.one_of(len(options))

    def letter(self, last: str) -> None:
        self.match(f"[A-{last}]")
        self.one_of(ord(last) - ord("A") + 1)

    def name(self) -> None:
        self.word(FIRST)
        self.expect(" ")
        self.word(LAST)

    def items(self, most: int, element: Callable[[], object]) -> None:
        """`[a, b, ...]` with 1 to `most` elements, read by the function `element`."""
        self.one_of(most)
        self.expect("[")
        for n in range(most):
            element()
            if n + 1 == most or not self._text.startswith(", ", self.at):
                break
            self.expect(", ")
        self.expect("]")

    def record(self, kinds: tuple[str, ...], digits: int, items: int) -> None:
        self.expect('{"type": "')
        kind = self.match("[a-z]+")
        if kind not in kinds:
            raise _Refused
        self.one_of(len(kinds))
        self.expect('", "id": "')
        self.digits(digits)
        self.expect('", ')
        getattr(self, f"_{kind}")(digits, items)
        self.expect("}\n")
        if self.at != len(self._text):
            raise _Refused

    def _order(self, digits: int, items: int) -> None:
        self.expect('"status": "')
        self.word(STATUS)
        self.expect('", "customer": {"name": "')
        self.name()
        self.expect('", "city": "')
        self.word(CITIES)
        self.expect('"}, "items": ')

        def item() -> None:
            self.expect('{"product": "')
            self.word(PRODUCTS)
            self.expect('", "color": "')
            self.word(COLORS)
            self.expect('", "count": ')
            self.integer(1, 9)
            self.expect(', "code": "')
            self.digits(digits // 2)
            self.expect('"}')

        self.items(items, item)

    def _person(self, digits: int, items: int) -> None:
        self.expect('"name": "')
        self.name()
        self.expect('", "age": ')
        self.integer(10, 99)
        self.expect(', "address": {"city": "')
        self.word(CITIES)
        self.expect('", "code": "')
        self.digits(digits)
        self.expect('"}, "phone": "')
        self.digits(digits)
        self.expect('", "skills": ')
        self.items(items, lambda: (self.expect('"'), self.word(SKILLS), self.expect('"')))
        self.expect(', "friends": ')
        self.items(items, lambda: (self.expect('"'), self.name(), self.expect('"')))
        self.expect(', "member": ')
        self.constant("true", "false")

    def _reading(self, digits: int, items: int) -> None:
        self.expect('"sensor": "')
        self.word(SENSORS)
        self.expect('", "place": {"city": "')
        self.word(CITIES)
        self.expect('", "room": ')
        self.integer(100, 999)
        self.expect('}, "valid": ')
        self.constant("true", "false")
        self.expect(', "values": ')

        def value() -> None:
            self.expect('{"hour": ')
            self.integer(10, 23)
            self.expect(', "value": ')
            self.integer(1000, 9999)
            self.expect("}")

        self.items(items + 2, value)
        self.expect(', "note": ')
        self.constant("null", '"check"', '"repair"')

    def _flight(self, digits: int, items: int) -> None:
        self.expect('"route": ["')
        self.word(CITIES)
        self.expect('", "')
        self.word(CITIES)
        self.expect('"], "gate": "')
        self.letter("H")
        self.integer(10, 99)
        self.expect('", "pilot": "')
        self.name()
        self.expect('", "passengers": ')

        def passenger() -> None:
            self.expect('{"name": "')
            self.name()
            self.expect('", "seat": "')
            self.integer(10, 49)
            self.letter("F")
            self.expect('"}')

        self.items(items, passenger)
        self.expect(', "delay": ')
        self.integer(0, 99)
