"""What the room knows: learners and what they sent, summed up record by record. The same records give the same room."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LEARNERS = 300
ENTRIES = 5000  # of one learner


@dataclass
class Learner:
    """Somebody who joined."""

    name: str = ""  # as chosen
    label: str = ""  # as shown: the second Ada is "Ada (2)"
    here: bool = True
    passed: set[str] = field(default_factory=set)
    mistakes: dict[str, tuple[int, float]] = field(default_factory=dict)  # exercise -> the last one, and when
    ledger: dict[tuple[str, str], float] = field(default_factory=dict)  # claim, lesson -> number
    verdicts: dict[str, int] = field(default_factory=dict)
    scores: dict[tuple[str, str, int], dict[str, Any]] = field(default_factory=dict)  # arena, router, seed -> entry
    entries: int = 0


@dataclass
class Asked:
    """What was answered to one question, by voters whom nobody can name."""

    since: float  # the first answer
    answers: dict[str, tuple[float, bool]] = field(default_factory=dict)  # voter -> answer, late
    shown: bool = False  # the teacher let the measurement be seen


class Room:
    """A class's state, made from records {at, who, entry} and the teacher's {at, show}."""

    def __init__(self) -> None:
        self.learners: dict[str, Learner] = {}
        self.asked: dict[str, Asked] = {}
        self.measured: dict[str, dict[str, float]] = {}  # question -> voter -> what their lesson measured
        self._seen: set[tuple[str, str]] = set()
        self._shown: set[str] = set()  # also before the first answer: a shared folder is read after the journal

    def knows(self, who: str, entry: Mapping[str, Any]) -> bool:
        """Whether this entry was counted already."""
        return (who, entry["id"]) in self._seen

    def here(self) -> Iterator[tuple[str, Learner]]:
        """The learners who have not left, in the order in which they came."""
        return ((key, one) for key, one in self.learners.items() if one.here and one.label)

    def apply(self, record: Mapping[str, Any]) -> None:
        """Count a record; one that was counted already changes nothing."""
        if "show" in record:
            self._shown.add(record["show"])
            if record["show"] in self.asked:
                self.asked[record["show"]].shown = True
            return
        who, entry, at = record["who"], record["entry"], record["at"]
        if self.knows(who, entry):
            return
        self._seen.add((who, entry["id"]))
        getattr(self, f"_{entry['kind']}")(who, entry, at)

    def learner(self, who: str) -> Learner:
        return self.learners.setdefault(who, Learner())

    def _hello(self, who: str, entry: Mapping[str, Any], at: float) -> None:
        one, name = self.learner(who), entry["name"]
        one.here = True
        if name == one.name and one.label:
            return
        one.name, one.label = name, ""
        taken = {other.label.casefold() for other in self.learners.values()}
        number, label = 1, name
        while label.casefold() in taken:
            number += 1
            label = f"{name} ({number})"
        one.label = label

    def _bye(self, who: str, entry: Mapping[str, Any], at: float) -> None:
        self.learner(who).here = False

    def _prediction(self, who: str, entry: Mapping[str, Any], at: float) -> None:
        asked = self.asked.setdefault(entry["key"], Asked(at, shown=entry["key"] in self._shown))
        before = asked.answers.get(who)
        if before is None or before[1] or not entry["late"]:  # what was given in time stands
            asked.answers[who] = float(entry["answer"]), bool(entry["late"])

    def _measured(self, who: str, entry: Mapping[str, Any], at: float) -> None:
        self.measured.setdefault(entry["key"], {})[who] = float(entry["place"])

    def _check(self, who: str, entry: Mapping[str, Any], at: float) -> None:
        one, exercise = self.learner(who), entry["exercise"]
        one.mistakes.pop(exercise, None)
        if entry["passed"]:
            one.passed.add(exercise)
        else:
            one.mistakes[exercise] = entry["mistake"], at

    def _score(self, who: str, entry: Mapping[str, Any], at: float) -> None:
        self.learner(who).scores[entry["arena"], entry["router"], entry["seed"]] = dict(entry)

    def _ledger(self, who: str, entry: Mapping[str, Any], at: float) -> None:
        self.learner(who).ledger[entry["claim"], entry["lesson"]] = float(entry["value"])

    def _verdict(self, who: str, entry: Mapping[str, Any], at: float) -> None:
        self.learner(who).verdicts[entry["claim"]] = entry["word"]
