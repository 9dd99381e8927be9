"""A lesson as a teacher shows it: its head, and its sections in the order of their questions, pictures and statements.

Everything is read from the stored notebook, so a page of the kit says what the lesson says, and no kernel is needed.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode

from moe_lessons.authoring import folder
from moe_lessons.kit.words import capital
from moe_lessons.predictions.question import Question, questions_of
from moe_lessons.predictions.question import lessons as with_questions
from moe_lessons.resources import notebooks_path

_HEADING = re.compile(r"^#{2,3} (.+?)\s*$", re.MULTILINE)
_STATEMENT = re.compile(r"^(?P<what>.+): (?P<value>.+?) \(the sentences? needs? [^()]*\)$", re.MULTILINE)
_ASKED = re.compile(r"<PredictionView (\d\d\.\w+)>")
_MEASURED = re.compile(r"<PredictionView (\d\d\.\w+): measured (.*)>", re.DOTALL)
_VIEW = re.compile(r"<(\w+)")
_PREDICT = re.compile(r"\*\*Predict[^*]*\*\*[:,]?\s*(.+?)(?=\n\n|\Z)", re.DOTALL)
_SETTLED = re.compile(r"Claim: (.+)\nMeasured in lesson \d\d: (.+)\nVerdict: (.+)")
_NUMBER = re.compile(r"-?[\d,]+(?:\.\d+)?")
LEFT_OUT = "no-slide"  # the tag of a cell that the kit does not show


class Prose(NamedTuple):
    """Words between cells, as Markdown; without headings."""

    text: str


class Asked(NamedTuple):
    """A question before its measurement: by key, or as a sentence where the lesson has it in its prose."""

    key: str
    sentence: str


class Picture(NamedTuple):
    """A stored picture; `view` is the widget's name where it stands for one."""

    png: str  # base64
    width: int
    height: int
    alt: str
    view: str


class Statement(NamedTuple):
    """What `measured` printed."""

    what: str
    value: str


class Answered(NamedTuple):
    """What a question's measurement was when the lesson was stored."""

    key: str
    shown: str


class Settled(NamedTuple):
    """An entry of the ledger."""

    claim: str
    value: str
    verdict: str


Piece = Prose | Asked | Picture | Statement | Answered | Settled


class Section(NamedTuple):
    """A heading, and what stands below it."""

    heading: str
    pieces: list[Piece]


@dataclass(frozen=True)
class Lesson:
    """A stored lesson. `claim` is empty where it has none."""

    number: str
    file: str
    title: str  # without the number
    minutes: int
    summary: str
    abilities: tuple[str, ...]
    claim_label: str
    claim: str
    sections: list[Section] = field(repr=False)

    @cached_property
    def questions(self) -> dict[str, Question]:
        """Its predictions by key; none where it asks nothing."""
        return questions_of(self.number) if self.number in with_questions() else {}

    @cached_property
    def measured(self) -> dict[str, str]:
        """What each question's measurement was, in words, when the lesson was stored."""
        return {
            piece.key: piece.shown for part in self.sections for piece in part.pieces if isinstance(piece, Answered)
        }

    @cached_property
    def asked_in(self) -> dict[str, str]:
        """The heading of the section that asks each question."""
        return {piece.key: part.heading for part in self.sections for piece in part.pieces if isinstance(piece, Asked)}


def read_lessons(numbers: list[str] | None = None) -> list[Lesson]:
    """The lessons of these numbers, or all. Raises ValueError for a number that there is not."""
    paths = {path.name[:2]: path for path in sorted(notebooks_path().glob("[0-9]*.ipynb"))}
    for number in numbers or ():
        if number not in paths:
            raise ValueError(f"there is no lesson {number}; name lessons by their numbers: {' '.join(paths)}")
    return [read_lesson(paths[number]) for number in numbers or paths]


def read_lesson(path: Path) -> Lesson:
    """A stored lesson; ValueError where its first cell is no lesson's head."""
    return lesson_of(folder.read(path), path.name)


def lesson_of(notebook: NotebookNode, file: str) -> Lesson:
    """The lesson in a notebook that was run; ValueError where its first cell is no lesson's head."""
    text = notebook.cells[0].source if notebook.cells else ""
    title, minutes = re.search(r"^# (\d\d) · (.+)$", text, re.MULTILINE), re.search(r"(\d+)\**\s+minutes", text)
    if not title or not minutes:
        raise ValueError(f"{file} does not begin with '# 05 · A title' and its minutes; it is no lesson")
    rows = dict(re.findall(r"^\| \*\*(.+?):?\*\*:?(?: \d+ minutes)? \| (.+) \|$", text, re.MULTILINE))
    claims = [(label, said) for label, said in rows.items() if label.startswith("The claim")]
    label, claim = claims[0] if claims else ("", "")
    able = rows.get("You will be able to", "")
    summary = text[title.end() :].strip().split("\n\n")[0]
    return Lesson(
        number=title[1],
        file=file,
        title=title[2].strip(),
        minutes=int(minutes[1]),
        summary=re.sub(r"\s*\(\d+ minutes[^)]*\)", "", summary),
        abilities=tuple(each.strip() for each in able.split(";") if each.strip()),
        claim_label=label,
        claim=claim,
        sections=_sections(notebook),
    )


def _sections(notebook: NotebookNode) -> list[Section]:
    """The sections that have anything in them; what stands before the first heading belongs to none."""
    parts = [Section("", [])]
    for number, cell in enumerate(notebook.cells):
        if LEFT_OUT in cell.metadata.get("tags", []):
            continue
        if cell.cell_type == "code":
            parts[-1].pieces.extend(piece for output in cell.outputs for piece in _shown(output))
        elif number:
            before, *others = re.split(r"^(?=#{2,3} )", cell.source, flags=re.MULTILINE)
            parts[-1].pieces.extend(_prose(before))
            for text in others:
                heading = _HEADING.match(text)
                assert heading  # by which it was split
                parts.append(Section(heading[1], _prose(text[heading.end() :])))
    return [part for part in parts if part.pieces]


def _prose(text: str) -> list[Piece]:
    """Words, and the questions that a lesson asks in them."""
    asked: list[Piece] = [Asked("", capital(each)) for each in _PREDICT.findall(text) if "?" in each]
    words = _PREDICT.sub("", text).strip()
    return ([Prose(words)] if words else []) + asked


def _shown(output: NotebookNode) -> list[Piece]:
    """What one output of a cell shows of what the kit takes."""
    if output.output_type == "stream":
        return [Statement(found["what"].strip(), found["value"]) for found in _STATEMENT.finditer(output.text)]
    data = output.get("data", {})
    plain = data.get("text/plain", "")
    if found := _MEASURED.match(plain):
        return [Answered(found[1], found[2])]
    if found := _ASKED.match(plain):
        return [Asked(found[1], "")]
    if found := _SETTLED.match(plain):
        return [Settled(*found.groups())]
    if "image/png" not in data or plain.startswith("<PredictionView"):
        return []
    alt = output.metadata.get("image/png", {}).get("alt", "")
    view = "" if plain.startswith("<Figure") else _VIEW.match(plain)
    width, height = _size(data["image/png"])
    return [Picture("".join(data["image/png"].split()), width, height, alt, view[1] if view else "")]


def _size(png: str) -> tuple[int, int]:
    """Width and height in the header of a PNG in base64."""
    from base64 import b64decode

    head = b64decode("".join(png[:64].split())[:44])
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def place_of(question: Question, shown: str) -> float:
    """A measurement in words as what can be compared with an answer: a choice's index, or a number.

    Raises ValueError for words that the question's measurement cannot have.
    """
    if question.kind == "choice":
        fits = [c for c in question.choices if shown == c or shown.startswith(f"{c} (")]
        if fits:
            return float(question.choices.index(max(fits, key=len)))
    elif found := _NUMBER.match(shown):
        return float(found[0].replace(",", ""))
    raise ValueError(
        f"{question.key} was measured as {shown!r}, which does not fit its question; build the lesson again"
    )
