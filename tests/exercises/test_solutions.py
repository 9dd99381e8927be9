"""A solution is the package's own source."""

import inspect

import pytest

from moe_lessons.exercises import solution

pytestmark = pytest.mark.usefixtures("cache")


def test_a_solution_is_the_packages_own_source():
    from moe_lessons.model.router import Router

    shown = solution("moe_lessons.model.router.Router")
    assert shown.code == inspect.getsource(Router)
    assert repr(shown) == "<source of moe_lessons.model.router.Router>"
    page = shown._repr_html_()
    assert (
        "<details" in page
        and " open" not in page.split("<summary>")[0]
        and inspect.getdoc(Router).splitlines()[0] in page
    )


def test_an_exercises_solution_shows_its_reference_and_the_package_behind_it():
    code = solution("07.route").code
    assert "def route(" in code and "class Router(" in code and "def choose(" in code


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("os.path.join", "neither an exercise"),
        ("moe_lessons.model.router.Ruter", "has no 'moe_lessons.model.router.Ruter'"),
        ("moe_lessons.nothing", "has no 'moe_lessons.nothing'"),
        ("moe_lessons.__version__", "no source to show"),
        ("01.merg", "lesson 01 has"),
    ],
)
def test_a_solution_that_does_not_exist_is_refused(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        solution(name)
