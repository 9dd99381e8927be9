import nbformat
import pytest

from moe_lessons.cli import main
from moe_lessons.figures.paper import png
from moe_lessons.figures.style import new_figure
from moe_lessons.kit import folder as kits
from moe_lessons.kit.folder import KINDS, make_kit
from moe_lessons.kit.lesson import _size, read_lesson


def test_a_page_of_each_kind_is_written_and_all_are_listed(tmp_path):
    made = make_kit(tmp_path / "kit", ["05"])
    assert [path.name for path in made] == ["05-slides.html", "05-sheet.html", "05-answers.html"]
    index = (tmp_path / "kit" / "index.html").read_text(encoding="utf-8")
    assert all(f'href="{path.name}"' in index and path.exists() for path in made)


def test_the_list_has_what_an_earlier_call_made(tmp_path):
    make_kit(tmp_path, ["06"], ["answers"])
    make_kit(tmp_path, ["05"], ["sheet"])
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="06-answers.html"' in index and 'href="05-sheet.html"' in index and "05-slides" not in index


def test_what_there_is_not_is_refused_before_anything_is_written(tmp_path):
    for wrong in ({"numbers": ["77"]}, {"kinds": ["poster"]}):
        with pytest.raises(ValueError, match="there is no"):
            make_kit(tmp_path / "kit", **wrong)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="which is a file"):
        make_kit(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_command_says_what_it_wrote(tmp_path, capsys):
    assert main(["kit", str(tmp_path), "05", "--only", "answers"]) == 0
    assert capsys.readouterr().out.startswith("1 page, 0.0 MB; listed in")
    assert main(["kit", str(tmp_path), "77"]) == 1
    assert "there is no lesson 77" in capsys.readouterr().err


@pytest.mark.slow
def test_a_lesson_that_is_run_here_has_sharper_pictures_and_says_what_was_measured_now(tmp_path, monkeypatch):
    head = "# 05 · A small lesson\n\nIn 5 minutes."
    code = "from moe_lessons import measured\nfrom moe_lessons.figures.style import new_figure\n"
    code += "measured('six', 6, above=5)\nnew_figure(4, 2)"
    cells = [nbformat.v4.new_markdown_cell(head), nbformat.v4.new_code_cell(code)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "05_small.ipynb")
    monkeypatch.setattr(kits, "notebooks_path", lambda: tmp_path)
    (section,) = kits.run_lesson(read_lesson(tmp_path / "05_small.ipynb")).sections
    said, picture = section.pieces
    width, height = _size(png(new_figure(4, 2)))  # as stored lessons have it
    assert (said.what, said.value) == ("six", "6") and (picture.width, picture.height) == (2 * width, 2 * height)
    assert not nbformat.read(tmp_path / "05_small.ipynb", as_version=4).cells[1].outputs


def test_the_command_knows_every_kind():
    from moe_lessons.commands import kit

    assert tuple(KINDS) == kit.KINDS
