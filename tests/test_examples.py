"""The examples in docstrings give what they say."""

import ast
import doctest
from importlib import import_module

import pytest
from places import PACKAGE

DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def examples():
    """Every docstring with an example, by its module and name; read from the source, where no wrapper hides any."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)) if ">>> " in source else ():
            if isinstance(node, DOCUMENTED) and ">>> " in (text := ast.get_docstring(node) or ""):
                module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
                yield pytest.param(module, text, id=f"{module}.{getattr(node, 'name', '')}")


@pytest.mark.parametrize(("module", "text"), list(examples()))
def test_an_example_gives_what_it_says(module, text):
    names = vars(import_module(module)).copy()
    said = []
    test = doctest.DocTestParser().get_doctest(text, names, module, None, 0)
    failed, tried = doctest.DocTestRunner().run(test, out=said.append)
    assert tried and not failed, "".join(said)
