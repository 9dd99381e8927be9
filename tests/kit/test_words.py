import pytest

from moe_lessons.kit.words import capital, ended, formula, inline, paragraphs, plain, point


@pytest.mark.parametrize(
    ("markdown", "page"),
    [
        ("a **b** *c* `d*e*`", "a <b>b</b> <i>c</i> <code>d*e*</code>"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("<script>alert(1)</script> & [a link](05_x.ipynb)", "&lt;script&gt;alert(1)&lt;/script&gt; &amp; a link"),
        ("`<b>`", "<code>&lt;b&gt;</code>"),
        ("keys $W^{UK}$ cost", 'keys <i class="formula">W<sup>UK</sup></i> cost'),
    ],
)
def test_markdown_becomes_html_and_all_else_is_escaped(markdown, page):
    assert inline(markdown) == page


@pytest.mark.parametrize(
    ("tex", "page"),
    [
        ("f_e", "f<sub>e</sub>"),
        (r"k^R = \mathrm{RoPE}(W^{KR} h)", "k<sup>R</sup> = RoPE(W<sup>KR</sup> h)"),
        (r"\sqrt{3}", "√3"),
        (r"(m - n)\theta", "(m - n)θ"),
        (r"a < b", "a &lt; b"),
    ],
)
def test_a_short_formula_is_set_in_letters(tex, page):
    assert formula(tex) == f'<i class="formula">{page}</i>'


def test_a_formula_beyond_that_stays_as_it_is_written():
    assert formula(r"\frac{a}{b}") == r"<code>\frac{a}{b}</code>"


@pytest.mark.parametrize(
    ("prose", "said"),
    [
        ("First, this long sentence says what there is to say about the matter. Then another.",
         "First, this long sentence says what there is to say about the matter."),
        ("It works. Then the second sentence goes with it. A third one does not.",
         "It works. Then the second sentence goes with it."),
        ("Words. **What counts is in bold, and long enough.** Words.", "**What counts is in bold, and long enough.**"),
        ("A **short bold** word is an emphasis, and the sentence is taken only because it is the first one here.",
         "A **short bold** word is an emphasis, and the sentence is taken only because it is the first one here."),
        ("(Lesson 07 says more.) **What counts is in bold, and long enough.**",
         "**What counts is in bold, and long enough.**"),
        ("It costs 2.5 nats: no end here, and a name such as F.silu in the middle of it all. Next.",
         "It costs 2.5 nats: no end here, and a name such as F.silu in the middle of it all."),
        ("- a list\n- of things", ""),
        ("| a | table |", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_point_of_some_prose(prose, said):
    assert point(prose) == said


def test_small_helpers():
    assert capital("  two\nlines ") == "Two lines" and capital("") == ""
    assert ended("A heading") == "A heading." and ended("Why?") == "Why?"
    assert plain("`a` *b* [c](d)") == "a b c"
    assert paragraphs("one\n\ntwo\nlines") == "<p>one</p><p>two<br>lines</p>"
