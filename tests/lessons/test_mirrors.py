"""A definition in a lesson is the package's own, a sketch that is held to it at once, or imported."""

import ast
import itertools
import re
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from places import LESSONS, ROOT

MARK = re.compile(r"^#\s*(mirrors|sketch of):\s*([\w.]+)\s*$")


class Marked(NamedTuple):
    """A cell that claims to be the package's own, or on the way to it."""

    kind: str
    module: str
    source: str
    following: str  # the next code cell


def marked_cells(notebook: nbformat.NotebookNode) -> list[Marked]:
    """The marked code cells, with the code cell after each."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"] + [""]
    found = []
    for source, following in itertools.pairwise(sources):
        for line in source.splitlines():
            if match := MARK.match(line):
                found.append(Marked(*match.groups(), source, following))
    return found


def source_file(module: str) -> Path:
    """The file of a module, or of the module that a dotted name is in; read, never imported."""
    names = module.split(".")
    for end in (len(names), len(names) - 1):
        path = ROOT.joinpath(*names[:end])
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.exists():
                return candidate
    raise AssertionError(f"there is no module {module}")


def definitions(source: str) -> dict[str, str]:
    """Each top-level class or function as its syntax tree in words, docstrings left out."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name: ast.dump(node) for node in tree.body if isinstance(node, kinds)}


def check_mirror(source: str, package_source: str) -> None:
    """AssertionError unless the cell defines something, and all of it as the package does."""
    here, there = definitions(source), definitions(package_source)
    assert here, "the cell mirrors nothing: it defines no class and no function"
    for name, tree in here.items():
        assert name in there, f"the package does not define {name}"
        assert tree == there[name], f"{name} differs from the package's"


def has_assert(source: str) -> bool:
    """Whether a cell asserts anything, by statement or through a function such as torch.testing.assert_close."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and "assert" in ast.unparse(node.func).split(".")[-1]:
            return True
    return False


ALL = [
    pytest.param(cell, id=f"{path.stem}-{number}")
    for path in LESSONS
    for number, cell in enumerate(marked_cells(nbformat.read(path, as_version=4)), start=1)
]


@pytest.mark.parametrize("cell", ALL)
def test_what_a_lesson_mirrors_or_sketches_is_what_it_says(cell):
    package_source = source_file(cell.module).read_text(encoding="utf-8")
    if cell.kind == "mirrors":
        check_mirror(cell.source, package_source)
    else:
        assert has_assert(cell.following), f"no assert follows the sketch of {cell.module}"


PACKAGED = '''
class A:
    """Doc."""

    def f(self, x):
        """More."""
        return x + 1  # why


def g():
    return 1
'''


def test_comments_docstrings_and_layout_of_a_mirror_are_free():
    check_mirror(
        "# mirrors: x\nclass A:\n    def f(self, x):\n        # said elsewhere\n        return (x + 1)\n", PACKAGED
    )


@pytest.mark.parametrize(
    "cell",
    [
        "class A:\n    def f(self, x):\n        return x + 2\n",
        "def h():\n    return 1\n",
        "x = 1\n",
        "class A:\n    pass\n",
    ],
)
def test_a_changed_unknown_or_empty_mirror_is_caught(cell):
    with pytest.raises(AssertionError):
        check_mirror(cell, PACKAGED)


def test_a_sketch_needs_an_assertion_right_after_it():
    cell = nbformat.v4.new_code_cell
    source = "# sketch of: moe_lessons.config\ndef naive(): ..."
    notebook = nbformat.v4.new_notebook(cells=[cell(source), cell("torch.testing.assert_close(a, b)"), cell("x")])
    (found,) = marked_cells(notebook)
    assert (found.kind, found.module) == ("sketch of", "moe_lessons.config")
    assert has_assert(found.following) and has_assert("assert a == b") and not has_assert("print(a)")


def test_a_module_is_found_by_its_name_or_by_a_name_in_it():
    assert source_file("moe_lessons.config") == source_file("moe_lessons.config.ModelConfig")
    assert source_file("moe_lessons").name == "__init__.py"
    with pytest.raises(AssertionError, match="no module"):
        source_file("moe_lessons.nowhere.at.all")
