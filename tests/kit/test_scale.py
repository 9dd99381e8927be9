import re

import pytest

from moe_lessons.kit.scale import closeness, marks, range_of, right_band, scale
from moe_lessons.predictions.calibration import is_right
from moe_lessons.predictions.question import Question, lessons, questions_of


def number(**changes) -> Question:
    given = {"low": 0.0, "high": 10.0, "within": 1.0} | changes
    return Question(key="05.one", ask="?", kind="slider", measure="it", expected=(1, 2), **given)


ALL = [one for lesson in lessons() for one in questions_of(lesson).values() if one.kind != "choice"]


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.key)
def test_every_scale_has_its_ends_and_few_marks_that_do_not_touch(one):
    at = marks(one)
    assert at[0] == one.low and at[-1] == one.high and 2 <= len(at) <= 9 and at == sorted(at)
    places = [one.share(each) for each in at]
    assert min(b - a for a, b in zip(places, places[1:], strict=False)) > 0.05
    page = scale(one)
    assert page.count('class="tick"') == page.count("<span") == len(at)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.key)
def test_the_band_is_what_counts_as_right(one):
    measured = one.expected[0] or one.low or 1.0
    low, high = right_band(one, measured)
    assert is_right(one, low, measured) and is_right(one, high, measured)
    width = high - low
    assert not is_right(one, high + 0.01 * width, measured)


def test_long_labels_do_not_touch():
    wide = number(low=0.1, high=1e6, log=True, within=0.0, factor=2.0)
    assert marks(wide) == [0.1, 1, 10, 100, 10_000, 1e6]  # 1,000 has no room behind 100


def test_the_measurement_and_its_band_are_where_they_belong():
    page = scale(number(), (2.0, 4.0), 3.0)
    assert 'class="band" style="left:20.0%;width:20.0%"' in page and 'class="found" style="left:30.0%"' in page


def test_words_for_a_scale():
    assert closeness(number(within=0.5)) == "right within 0.5"
    assert closeness(number(unit="%", within=5.0)) == "right within 5%"
    assert closeness(number(within=0.0, factor=1.5, low=1.0)) == "right within a factor of 1.5"
    assert range_of(number(unit="experts")) == "from 0 to 10 experts"
    choice = Question(key="05.a", ask="?", kind="choice", measure="it", expected=("A",), choices=("A", "B"))
    assert closeness(choice) == ""


def test_no_label_can_carry_marks_of_html():
    assert re.search(r"<script", scale(number(unit="<script>"))) is None
