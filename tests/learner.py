"""A learner in a real JupyterLab: runs a lesson cell by cell, answers each prediction wrongly, and then rightly.

python tests/learner.py notebooks/05_experts_and_router.ipynb /tmp/pictures [--dark] [--width 390]

The pictures show each question as it was answered and what the lesson then drew beside it.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import lab
import nbformat
from playwright.sync_api import Locator, Page

from moe_lessons.predictions.question import Question, questions_of

# At a notebook's end: where the measurements lie, so that the second learner can be right.
TOLD = """import json, pathlib
from moe_lessons.predictions import asking
_ = pathlib.Path({path!r}).write_text(json.dumps({{key: place for key, (place, _) in asking._MEASURED.items()}}))"""


def wrong(one: Question) -> float:
    """An answer that lies as far as it can from where the lesson's own measurement does."""
    if one.kind == "choice":
        return next(i for i, words in enumerate(one.choices) if words not in one.expected)
    middle = (one.expected[0] + one.expected[-1]) / 2
    return max((one.low, one.high), key=lambda end: abs(one.share(end) - one.share(middle)))


def answer(cell: Locator, one: Question, value: float) -> str:
    """Answer as a hand would; returns what the page says to it."""
    if one.kind == "choice":
        cell.locator("input[type=radio]").nth(int(value)).check()
    elif one.kind == "slider":
        knob = cell.locator("input[type=range]")
        most = float(knob.get_attribute("max") or 100)
        knob.fill(str(round(one.share(value) * most)))
    else:
        cell.locator("input[type=text]").fill(f"{value:g}")
    cell.get_by_role("button", name="Predict").click()
    note = cell.locator(".moe-prediction-note", has_text="You predict")
    note.wait_for(timeout=30_000)
    return note.inner_text()


def through(page: Page, questions: dict[str, Question], answers: dict[str, float], seconds: float) -> dict[str, str]:
    """Run a notebook cell by cell and answer what is asked; returns what the page said to each answer."""
    asked = {one.ask: key for key, one in questions.items()}
    cells, said = page.locator(".jp-Notebook .jp-Cell"), {}
    cells.first.click()
    page.keyboard.press("Escape")
    for row in range(cells.count()):
        page.keyboard.press("Shift+Enter")
        page.wait_for_function(f"() => !({lab.PROMPTS})().some(text => /\\*/.test(text))", timeout=1000 * seconds)
        question = cells.nth(row).locator(".moe-prediction-ask")
        if "predict(" not in cells.nth(row).inner_text():
            continue
        question.wait_for(timeout=30_000)
        key = next(key for ask, key in asked.items() if question.inner_text().endswith(ask))
        said[key] = answer(cells.nth(row), questions[key], answers[key])
        page.keyboard.press("Escape")
        cells.nth(min(row + 1, cells.count() - 1)).locator(".jp-InputPrompt, .jp-RenderedHTMLCommon").first.click()
        page.keyboard.press("Escape")
    return said


def with_last_cell(path: Path, folder: Path, told: Path) -> Path:
    """A copy of a notebook that writes down its measurements at its end."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(TOLD.format(path=str(told))))
    nbformat.write(notebook, folder / path.name)
    return folder / path.name


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("pictures", type=Path, metavar="DIR")
    parser.add_argument("--dark", action="store_true", help="JupyterLab's dark theme")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--seconds", type=float, default=300, help="patience for one cell")
    args = parser.parse_args()
    lesson = args.notebook.name[:2]
    questions = questions_of(lesson)
    args.pictures.mkdir(parents=True, exist_ok=True)
    answers = {key: wrong(one) for key, one in questions.items()}
    failed = 0
    for round_ in ("wrong", "right"):
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="learner-") as name:
            folder = Path(name)
            told = folder / "measured.json"
            path = with_last_cell(args.notebook.resolve(), folder, told)
            os.environ["MOE_LESSONS_CACHE"] = str(folder / "cache")
            with lab.server(folder, dark=args.dark) as address, lab.browser(width=args.width, height=1200) as page:
                lab.open_notebook(page, address, path.name, alone=True)
                through(page, questions, answers, args.seconds)
                for view in page.locator(".moe-prediction").all():
                    view.scroll_into_view_if_needed()
                shown = page.locator(".moe-prediction").all_inner_texts()
                lab.screenshots(page, args.pictures, f"{path.stem}-{round_}")
                problems = page.problems  # type: ignore[attr-defined]
            measured = json.loads(told.read_text(encoding="utf-8"))
        (args.pictures / f"{path.stem}-{round_}.txt").write_text("\n\n".join(shown) + "\n", encoding="utf-8")
        print(f"{lesson}, all {round_}: {len(questions)} questions in {time.monotonic() - begin:.0f} s; {shown[-1]!r}")
        missing = sorted(set(questions) - set(measured))
        failed += len(missing) + len(problems)
        troubles = [f"not measured: {key}" for key in missing] + [f"the page says: {one}" for one in problems]
        print(*troubles, sep="\n")
        answers = measured
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
