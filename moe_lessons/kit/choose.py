"""Which of a lesson's pieces become slides.

The rule, which needs no mark in a lesson: its head; each question; each picture, with what was measured beside it and
what the prose behind it comes to; measurements without a picture; each entry of the ledger; the exercises in one list.
Code, tables and the rest of the prose stay in the lesson. A cell with the tag `no-slide` is left out.
"""

from dataclasses import dataclass, field

from moe_lessons.kit.lesson import Answered, Asked, Lesson, Picture, Prose, Section, Settled, Statement
from moe_lessons.kit.words import point


@dataclass
class Slide:
    """One thing to show: a question, an entry of the ledger, or evidence (all else)."""

    heading: str
    asked: Asked | None = None
    settled: Settled | None = None
    picture: Picture | None = None
    statements: list[Statement] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    point: str = ""  # what it comes to, in the lesson's own words
    notes: str = ""  # the lesson's prose around it


def slides_of(lesson: Lesson) -> list[Slide]:
    """A lesson's slides but for its head and its exercises, in the lesson's order."""
    return [slide for section in lesson.sections for slide in _slides(section, lesson)]


def _slides(section: Section, lesson: Lesson) -> list[Slide]:
    made: list[Slide] = []
    going: list[Slide] = []  # evidence since the last prose
    said = ""  # prose that waits for a question
    heading = section.heading or lesson.title
    for piece in section.pieces:
        if isinstance(piece, Prose):
            if going:
                going[-1].point, going[-1].notes = point(piece.text), piece.text
            made, going, said = made + going, [], piece.text
        elif isinstance(piece, Asked):
            made, going = made + going, []
            if piece.sentence or piece.key in lesson.questions:
                made.append(Slide(heading, asked=piece, notes=said))
        elif isinstance(piece, Settled):
            made, going = [*made, *going, Slide(heading, settled=piece)], []
        else:
            _add(going, piece, heading)
    return made + going


def _add(going: list[Slide], piece: Picture | Statement | Answered, heading: str) -> None:
    """Put evidence on the last slide, or begin a new one for a picture behind a picture."""
    if not going or (isinstance(piece, Picture) and going[-1].picture):
        going.append(Slide(heading))
    if isinstance(piece, Picture):
        going[-1].picture = piece
    elif isinstance(piece, Statement):
        going[-1].statements.append(piece)
    else:
        going[-1].answered.append(piece)


def pictures_of(lesson: Lesson, most: int) -> list[Slide]:
    """At most so many pictures for paper, one of each section, in the lesson's order; measured ones come first."""
    best: dict[str, Slide] = {}
    for slide in slides_of(lesson):
        before = best.get(slide.heading)
        if slide.picture and (before is None or worth(slide) > worth(before)):
            best[slide.heading] = slide
    chosen = sorted(best.values(), key=worth, reverse=True)[:most]
    return [slide for slide in best.values() if slide in chosen]


def worth(slide: Slide) -> tuple[bool, bool, int]:
    """Where one of two pictures must go: drawn from numbers before a widget's still, answering before not, measured."""
    assert slide.picture
    return bool(slide.answered), not slide.picture.view, min(len(slide.statements), 3)
