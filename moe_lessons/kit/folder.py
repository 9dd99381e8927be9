"""The kit in a folder: a page for each lesson and kind, and a list of them all."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from moe_lessons.authoring import folder as authoring
from moe_lessons.authoring.execute import execute
from moe_lessons.authoring.text import bare
from moe_lessons.files import replacing
from moe_lessons.kit.answers import answer_key
from moe_lessons.kit.lesson import Lesson, lesson_of, read_lessons
from moe_lessons.kit.page import page
from moe_lessons.kit.sheet import sheet
from moe_lessons.kit.slides import slides
from moe_lessons.kit.words import inline
from moe_lessons.resources import notebooks_path

#: What there is of each lesson, and how it is made.
KINDS: dict[str, Callable[[Lesson], str]] = {"slides": slides, "sheet": sheet, "answers": answer_key}
INDEX = "index.html"
_PATIENCE = 1800.0  # seconds for a lesson, on a busy machine


def make_kit(folder: Path, numbers: Sequence[str] = (), kinds: Sequence[str] = (), sharp: bool = False) -> list[Path]:
    """Write the pages of these lessons and kinds, or of all, and the list of what the folder then holds.

    Stored pictures are as large as a notebook shows them. With `sharp`, each lesson is run here, for pictures with
    twice as many dots, and the pages then say what was measured in that run. Raises ValueError for a lesson or kind
    that there is not, or a folder that is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"DIR is {str(folder)!r}, which is a file; name a folder, or one that does not exist yet")
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"there is no kind {kind!r}; there are: {', '.join(KINDS)}")
    lessons = read_lessons()
    made = []
    wanted = read_lessons(list(numbers)) if numbers else lessons
    for stored in wanted:
        lesson = run_lesson(stored) if sharp else stored
        for kind in kinds or KINDS:
            if kind != "answers" or lesson.questions:
                made.append(folder / f"{lesson.number}-{kind}.html")
                _write(made[-1], KINDS[kind](lesson))
    _write(folder / INDEX, _index(folder, lessons))
    return made


def run_lesson(stored: Lesson) -> Lesson:
    """The lesson run now, with sharp pictures and a cache of its own; RuntimeError with the cell that failed."""
    notebook = bare(authoring.read(notebooks_path() / stored.file))
    with tempfile.TemporaryDirectory() as cache:
        execute(notebook, notebooks_path(), _PATIENCE, MOE_LESSONS_CACHE=cache, MOE_LESSONS_SHARPNESS="2")
    return lesson_of(notebook, stored.file)


def _write(path: Path, text: str) -> None:
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def _index(folder: Path, lessons: Sequence[Lesson]) -> str:
    rows = []
    for lesson in lessons:
        links = [
            f'<a href="{lesson.number}-{kind}.html">{kind}</a>'
            for kind in KINDS
            if (folder / f"{lesson.number}-{kind}.html").exists()
        ]
        if links:
            rows.append(
                f"<tr><th scope='row'>{lesson.number} · {inline(lesson.title)}</th><td>{' '.join(links)}</td></tr>"
            )
    body = (
        f"<main class='list'><h1>The teacher's kit</h1><table>{''.join(rows)}</table>"
        "<p>Each page is a file of its own, and needs no network. Slides: arrow keys; <b>?</b> names the others. "
        "Sheets are for both sides of one A4 page.</p></main>"
    )
    return page("moe-lessons: the teacher's kit", body, "index")
