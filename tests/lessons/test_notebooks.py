"""What every lesson must be, whatever it teaches; that its cells still give what they show is nbval's part."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from places import LESSONS, ROOT
from spelling import BRITISH

from moe_lessons import widgets
from moe_lessons.authoring import __main__ as authoring
from moe_lessons.authoring import compare, folder
from moe_lessons.authoring.clean import ABSOLUTE, WIDGET, clean
from moe_lessons.authoring.links import urls
from moe_lessons.authoring.tables import lesson_table
from moe_lessons.authoring.text import from_text, header, to_text

MAX_LINES = 25
STRICT_SHARE = 0.8
MARKERS = re.compile(r"NBVAL_(IGNORE_OUTPUT|SKIP|RAISES_EXCEPTION)")
VIEWS = {*widgets.__all__, "interactive_output"} - {"Quiz", "View"}


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_compared(cell) -> bool:
    """Whether strict nbval holds this cell's output to the stored one."""
    return compare.is_compared(cell) and not MARKERS.search(cell.source)


def source_of(notebook) -> str:
    return "\n".join(cell.source for cell in code_cells(notebook))


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def test_a_lesson_is_stored_as_the_authoring_tool_writes_it(path, notebook, tmp_path):
    """No widget state, no clocks, no random ids, no absolute paths: nothing that `clean` would change."""
    folder.write(clean(notebook, path.stem), tmp_path / path.name)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes(), (
        f"run: python -m moe_lessons.authoring clean notebooks/{path.name}"
    )
    assert "widgets" not in notebook.metadata


def test_a_lesson_was_executed_from_top_to_bottom_without_an_error(notebook):
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
    errors = [o for cell in code_cells(notebook) for o in cell.outputs if o.output_type == "error"]
    assert not errors, errors[0].evalue


def test_a_cell_has_at_most_25_lines(notebook):
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            lines = [line for line in cell.source.splitlines() if line.strip()]
            assert 0 < len(lines) <= MAX_LINES, f"cell {number} has {len(lines)} lines: {lines[:1]}"


def test_no_compared_cell_hides_its_last_value_behind_a_semicolon(notebook):
    """nbval keeps no history, so that IPython shows there what a semicolon hides here."""
    for cell in code_cells(notebook):
        assert not (is_compared(cell) and cell.source.rstrip().endswith(";")), cell.source


def test_a_lesson_shows_numbers_and_no_bare_truth_values(notebook):
    """`measured` shows what a statement rests on; "...: True" hides it."""
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            bare = re.findall(r"^.*:\s*(?:True|False)$", output.get("text", ""), re.MULTILINE)
            assert not bare, f"cell {number}: {bare[0]}"


def test_a_statement_holds_where_it_is_stored_and_its_bound_stands_in_the_lesson(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            assert "on this machine not so" not in output.get("text", ""), output.text
        source = re.sub(r"^%.*$", "", cell.source, flags=re.MULTILINE)
        for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id == "measured":
                for bound in call.keywords:
                    ast.literal_eval(bound.value)  # ValueError where a bound is itself measured


def test_a_lesson_needs_no_installation_and_no_path_of_one_machine(notebook):
    for cell in notebook.cells:
        assert not ABSOLUTE.search(cell.source), cell.source
        if cell.cell_type == "code":
            assert not re.search(r"^\s*[!%](?!matplotlib inline)", cell.source, re.MULTILINE), cell.source


def test_a_lesson_begins_with_its_title_its_minutes_and_what_it_is_for(path, notebook):
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    title, minutes = header(notebook)
    assert title and 1 <= minutes <= 180
    assert re.search(r"able to", first.source), "say what the learner will be able to do"


def test_a_lesson_has_a_widget_exercises_a_quiz_and_a_ledger_entry(path, notebook):
    source = source_of(notebook)
    called = set(re.findall(r"\b(\w+)\(", source))
    assert called & VIEWS, "no widget"
    if not path.stem.startswith("00"):
        assert len(re.findall(r"^check\(", source, re.MULTILINE)) >= 2, "fewer than two exercises"
        assert re.search(r"\bquiz\(", source), "no quiz"
        assert re.search(r"\bledger\.\w+\(|\bsettle\(", source), "no ledger entry"


@pytest.mark.skipif(not LESSONS, reason="no lesson is written yet")
def test_four_of_five_code_cells_are_compared_strictly():
    cells = [cell for path in LESSONS for cell in code_cells(nbformat.read(path, as_version=4))]
    share = sum(map(is_compared, cells)) / len(cells)
    assert share >= STRICT_SHARE, f"{share:.0%} of {len(cells)} cells"


@pytest.mark.skipif(not LESSONS, reason="no lesson is written yet")
def test_the_table_in_the_readme_is_that_of_the_lessons():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert lesson_table(urls()) in readme, "run: python -m moe_lessons.authoring table"


def written() -> list[Path]:
    """Every file whose words a learner may read."""
    here = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile")]
    for part, ends in (("moe_lessons", "py js css"), ("tests", "py js mjs"), ("data", "md toml"), (".ci", "sh")):
        here += [p for end in ends.split() for p in sorted((ROOT / part).rglob(f"*.{end}"))]
    return [p for p in here + LESSONS if p.name not in ("spelling.py", Path(__file__).name)]


@pytest.mark.parametrize("text", written(), ids=lambda path: str(path.relative_to(ROOT)))
def test_there_is_one_spelling(text):
    found = [match.group() for match in BRITISH.finditer(text.read_text(encoding="utf-8"))]
    assert not found, f"{text.relative_to(ROOT)}: {sorted(set(found))}"


def test_the_spelling_check_knows_both_forms():
    assert all(map(BRITISH.search, ["colour", "colours", "Normalised", "tokenisation", "centre", "licence"]))
    american = "color normalized tokenization center license specialist realistic optimism aria-labelledby minimal"
    assert not BRITISH.search(american)


LESSON = """# %% [markdown]
# # A title
# About 5 minutes. You will be able to add.

# %% tags=["nbval-ignore-output"]
print("one")
import sys
print("two", file=sys.stderr)

# %%
1 + 1
"""


def test_a_source_survives_the_way_to_a_notebook_and_back():
    assert to_text(from_text(LESSON)).strip() == LESSON.strip()
    assert header(from_text(LESSON)) == ("A title", 5)


def test_building_twice_gives_the_same_bytes_and_an_error_leaves_the_old_notebook(tmp_path, capsys):
    source = tmp_path / "05_sums.py"
    source.write_text(LESSON, encoding="utf-8")
    built = tmp_path / "05_sums.ipynb"
    assert authoring.main(["build", str(source), "--into", str(tmp_path)]) == 0
    first = built.read_bytes()
    assert authoring.main(["run", str(built)]) == 0
    assert built.read_bytes() == first
    assert [cell.execution_count for cell in code_cells(folder.read(built))] == [1, 2]
    source.write_text(LESSON + "\n# %%\nraise KeyError('lost')\n", encoding="utf-8")
    capsys.readouterr()
    assert authoring.main(["build", str(source), "--into", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "cell 4 of 4" in said and "KeyError" in said
    assert built.read_bytes() == first


def test_cleaning_removes_what_is_random_and_refuses_what_is_local():
    cell = nbformat.v4.new_code_cell("view", execution_count=3, id="f00d")
    picture = {"image/png": "AAAA", "text/plain": "<View>", WIDGET: {"model_id": "1234"}}
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stdout", text="a\r"),
        nbformat.v4.new_output("stream", name="stdout", text="b\n"),
        nbformat.v4.new_output("display_data", data=picture),
    ]
    cell.metadata["execution"] = {"iopub.execute_input": "2026-01-01T00:00:00"}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"x": 1}})
    cleaned = clean(notebook)
    assert clean(cleaned) == cleaned
    (cell,) = cleaned.cells
    assert (cell.id, cell.metadata, cleaned.metadata.get("widgets")) == ("cell-001", {}, None)
    assert cell.outputs[0].text == "b\n"
    assert set(cell.outputs[1].data) == {"image/png", "text/plain"}
    cell.outputs[0]["text"] = "saved in /home/ada/run\n"
    with pytest.raises(ValueError, match="cell 1 shows an absolute path"):
        clean(cleaned)
