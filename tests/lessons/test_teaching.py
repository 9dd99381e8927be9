"""TEACHING.md keeps to what there is: lessons, sections, widgets, commands, and minutes that add up."""

import re
import tomllib

import nbformat
import pytest
from places import ROOT
from spelling import BRITISH

from moe_lessons import cli
from moe_lessons.authoring import __main__ as authoring
from moe_lessons.authoring import folder
from moe_lessons.authoring import times as measured_times
from moe_lessons.authoring.tables import room_table, times_table
from moe_lessons.checkup.speed import read_times

TEXT = (ROOT / "TEACHING.md").read_text(encoding="utf-8")
LESSONS = {path.name: nbformat.read(path, as_version=4) for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))}
LINKS = re.findall(r"\[([^\]]+)\]\(([^)]+)\)", TEXT)


def headings(notebook) -> set[str]:
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return set(re.findall(r"^#{2,} (.+?)\s*$", text, re.MULTILINE))


def test_every_link_leads_to_a_lesson_and_every_section_that_is_named_is_in_it():
    assert len(LINKS) > 40
    for words, target in LINKS:
        name = target.removeprefix("notebooks/")
        assert name in LESSONS, target
        number, named, section = words.partition(": ")
        if number.isdigit():
            assert name.startswith(number), f"{words} leads to {name}"
        if named and number.isdigit():
            assert section in headings(LESSONS[name]), f"{name} has no section {section!r}"


def test_every_lesson_with_a_widget_has_a_line_for_the_projector():
    rows = set(re.findall(r"^\| \[(\d\d)\]\(\S+\) \| (\w+) \|", TEXT, re.MULTILINE))
    shown = set()
    for name, notebook in LESSONS.items():
        source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
        shown |= {(name[:2], widget) for widget in re.findall(r"\b([A-Z]\w+(?:View|Board|Plane))\(", source)}
    assert rows == shown


@pytest.mark.parametrize(
    ("heading", "minutes"),
    [
        ("### 90 minutes", [90]),
        ("### Half a day", [210]),
        ("### Two days", [420, 420]),
        ("### Two more days", [420, 420]),
        ("### A day on serving", [420]),
        ("### An hour", [60]),
    ],
)
def test_the_minutes_of_each_plan_add_up(heading, minutes):
    part = TEXT.split(heading, 1)[1].split("\n## ")[0].split("\n### ")[0]
    tables = re.split(r"^\| ---: \| --- \|$", part, flags=re.MULTILINE)[1:]
    assert [sum(map(int, re.findall(r"^\| (\d+) \|", table, re.MULTILINE))) for table in tables] == minutes


def test_the_table_of_times_is_what_was_measured_and_lists_every_lesson():
    assert times_table() in TEXT, "run: python -m moe_lessons.authoring table"
    assert set(read_times().seconds) <= {name.removesuffix(".ipynb") for name in LESSONS}
    assert all(seconds <= measured_times.promised() for seconds in read_times().seconds.values())


def test_the_table_of_a_room_is_what_was_measured():
    begin, end = "<!-- room -->\n", "<!-- end of room -->"
    table = room_table()
    assert f"{begin}{table}{table and chr(10)}{end}" in TEXT, "run: python -m moe_lessons.authoring table"


def test_the_plans_together_use_every_lesson():
    plans = TEXT.split("## Plans", 1)[1].split("\n## ")[0]
    assert {name for _, name in re.findall(r"\[([^\]]+)\]\(notebooks/([^)]+)\)", plans)} == set(LESSONS)


def test_times_are_measured_with_an_empty_cache_and_renewed_one_by_one(tmp_path, monkeypatch):
    for name in ("notebooks", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "TEACHING.md").write_text("before\n<!-- times -->\n<!-- end of times -->\nafter\n", encoding="utf-8")
    title = nbformat.v4.new_markdown_cell("# A title\n\nabout 30 minutes")
    code = "import os\nassert os.environ['MOE_LESSONS_CACHE'] and not os.listdir(os.environ['MOE_LESSONS_CACHE'])"
    for name in ("00_a", "01_b"):
        notebook = nbformat.v4.new_notebook(cells=[title, nbformat.v4.new_code_cell(code)])
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    monkeypatch.setattr(folder, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(measured_times, "tokens_per_second", lambda: {"dense": 20_000.0, "moe": 10_000.0})
    before = (tmp_path / "notebooks" / "00_a.ipynb").read_bytes()
    assert authoring.main(["times", str(tmp_path / "notebooks" / "01_b.ipynb")]) == 0
    assert [path.name for path in (tmp_path / "data" / "states").iterdir()] == ["01.json.gz"]  # and not in the course's
    text = (tmp_path / "TEACHING.md").read_text(encoding="utf-8")
    assert "| [A title](notebooks/00_a.ipynb) | 30 | not measured | not measured | not measured |" in text
    assert "20,000 tokens a second dense and 10,000 sparse" in text and text.endswith("after\n")
    times = tomllib.loads((tmp_path / "data" / "times.toml").read_text(encoding="utf-8"))
    assert set(times["seconds"]) == {"01_b"} and 0 < times["seconds"]["01_b"] < 60 and times["machine"]["cores"] >= 1
    assert (tmp_path / "notebooks" / "00_a.ipynb").read_bytes() == before
    monkeypatch.setattr(measured_times, "this_machine", lambda: {"name": "another", "cores": 9, "torch": "3"})
    assert authoring.main(["times", str(tmp_path / "notebooks" / "00_a.ipynb")]) == 0
    assert "01_b.ipynb) | 30 | not measured |" in (tmp_path / "TEACHING.md").read_text(encoding="utf-8")


def test_every_command_that_is_named_exists():
    named = set(re.findall(r"moe-lessons (\w+)", TEXT))
    assert {"bundle", "doctor", "count"} <= named <= set(cli.COMMANDS)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make (\w+)`", TEXT)) <= targets
    from moe_lessons.exercises import progress

    assert callable(progress)


def test_it_spells_as_the_course_does():
    assert not BRITISH.findall(TEXT)
    assert max(map(len, (line for line in TEXT.splitlines() if not line.startswith(("|", "Measured by"))))) <= 120
