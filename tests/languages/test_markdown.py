"""Messages are what a translator translates: whole sentences, without signs; and slips of a translation are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import LESSONS

from moe_lessons.authoring import folder
from moe_lessons.languages.markdown import differences, messages, pieces, translated

CELL = """# A title

One paragraph
over two lines with `code`.

- first item
- second item
  goes on

1. both
2. none

| | |
| --- | --- |
| **Time:** 5 minutes | about that |

$$x = 1$$

$$
\\text{a formula over lines}
$$

```sh
make lab
```

`only code`"""


def test_paragraphs_headings_items_and_rows_are_messages_and_formulas_and_code_are_none():
    assert messages(CELL) == [
        "A title",
        "One paragraph\nover two lines with `code`.",
        "first item",
        "second item\n  goes on",
        "both",
        "none",
        "| **Time:** 5 minutes | about that |",
    ]


def test_a_text_without_translations_stays_as_it_is_in_every_lesson():
    cells = [cell.source for path in LESSONS for cell in folder.read(path).cells if cell.cell_type == "markdown"]
    assert len(cells) > 500
    for source in [CELL, *cells]:
        assert "".join(part for part, _ in pieces(source)) == translated(source, {}) == source


@given(st.text(alphabet="ab \n#-|$`1.*", max_size=60))
def test_pieces_add_up_to_any_text(text):
    assert "".join(part for part, _ in pieces(text)) == text


def test_only_the_messages_that_are_known_change_and_their_signs_stay():
    said = {"A title": "Ein Titel", "first item": "das Erste", "none": "keiner"}
    changed = translated(CELL, said)
    assert changed == CELL.replace("A title", "Ein Titel").replace("first item", "das Erste").replace("none", "keiner")


@pytest.mark.parametrize(
    ("source", "said", "slip"),
    [
        ("Set `top_k` to 1.", "Setz `topk` auf 1.", "code"),
        ("With $k = 1$", "Mit $k = 2$", "formulas"),
        ("[Lesson 07](07_a.ipynb)", "[Lektion 07](08_a.ipynb)", "links"),
        ("press <kbd>f</kbd>", "drück f", "tags"),
        ("layer {layer}", "Schicht {schicht}", "places for values"),
        ("**Predict:** how many?", "Sag voraus: wie viele?", "bold"),
        ("about 6,649 products", "etwa 6.694 Produkte", "numbers"),
    ],
)
def test_each_kind_of_slip_is_named(source, said, slip):
    (found,) = differences(source, said)
    assert found.startswith(slip)


def test_another_way_to_write_a_number_and_another_order_are_no_slips():
    assert differences("of 6,649 it saved 1.44 (`a`, then `b`)", "Es sparte 1,44 (`b` nach `a`) von 6.649") == []
