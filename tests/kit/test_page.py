from moe_lessons.kit.lesson import Picture
from moe_lessons.kit.page import LOOK, image, page


def test_a_page_holds_its_looks_and_its_script_and_escapes_its_title():
    made = page("a <b>", "<p>body</p>", "slides", script="slides.js")
    assert "<title>a &lt;b&gt;</title>" in made and "<p>body</p>" in made
    for name in ("base.css", "slides.css", "slides.js"):
        assert (LOOK / name).read_text(encoding="utf-8") in made
    assert "<script" not in page("a", "b")


def test_no_look_or_script_can_end_its_own_element():
    for file in LOOK.iterdir():
        assert "</" not in file.read_text(encoding="utf-8")


def test_a_picture_is_in_the_page_with_its_words_and_its_size():
    made = image(Picture("AAAA", 3, 4, 'a "picture" <', ""))
    assert made == ('<img src="data:image/png;base64,AAAA" alt="a &quot;picture&quot; &lt;" width="3" height="4">')
