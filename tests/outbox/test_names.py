"""Names: what people are called in any script, and nothing else."""

import sys

import pytest

from moe_lessons.outbox.names import LONGEST, is_name, name_from


@pytest.mark.parametrize(
    "name", ["Ada", "Jürgen Müller", "O'Brien", "美咲", "अनिल", "Łukasz", "محمد", "Anne-Marie 2", "A"]
)
def test_a_name_stays_as_it_is(name):
    assert name_from(name) == name and is_name(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<script>alert(1)</script>", "scriptalert1script"),
        ("  a \t\n b ", "a b"),
        ("\u202eevil\u2066", "evil"),
        ("\x1b[31mred", "31mred"),
        ("a" + "\u0335" * 50 + "b", "a" + "\u0335" * 2 + "b"),
        ("\u0335x", "x"),
        ("Ada (2)", "Ada 2"),
        ("e\u0301", "é"),
        ("x" * 1000, "x" * LONGEST),
        ("", ""),
        ("🙂", ""),
    ],
)
def test_what_a_page_or_a_terminal_would_obey_is_left_out(text, name):
    assert name_from(text) == name and (not name or is_name(name))
    assert is_name(text) == (text == name != "")


def test_whatever_is_left_of_a_text_is_a_name_or_nothing():
    for start in range(0, sys.maxunicode, 7919):
        text = "".join(map(chr, [*range(start, min(start + 30, 0xD800)), *range(max(start, 0xE000), start + 30)]))
        left = name_from(text)
        assert not left or is_name(left)
        assert left.isprintable()


@pytest.mark.parametrize("other", [None, 5, b"Ada", ["Ada"], True])
def test_what_is_no_text_is_no_name(other):
    assert not is_name(other)
