"""The kit's pages in a real browser: slides by the keyboard, and paper that comes out of a printer as it should."""

import re

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

from site_page import axe

from moe_lessons.kit.answers import answer_key
from moe_lessons.kit.certificate import certificate_page
from moe_lessons.kit.lesson import Statement, read_lessons
from moe_lessons.kit.record import record
from moe_lessons.kit.sheet import sheet
from moe_lessons.kit.slides import slides

pytestmark = pytest.mark.browser
LESSONS = [lesson.number for lesson in read_lessons()]
# How far anything that can be seen reaches beyond the box of its slide or side, in pixels.
BEYOND = """box => {
  const edge = box.getBoundingClientRect();
  let most = 0;
  for (const part of box.querySelectorAll("p, li, h1, h2, img, td, .scale")) {
    const at = part.getBoundingClientRect();
    if (at.width && !part.closest(".notes")) most = Math.max(most, at.bottom - edge.bottom, at.right - edge.right);
  }
  return most;
}"""


@pytest.fixture(scope="module")
def page(chrome):
    page = chrome.new_page(viewport={"width": 1920, "height": 1080})
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.route(re.compile("^(?!file:|data:)"), lambda route: pytest.fail(f"asked for {route.request.url}"))
    return page


def show(page, tmp_path, text: str):
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")
    page.goto(file.as_uri())
    return page


def sheets(page, tmp_path) -> list[str]:
    """The sizes of the sheets that a printer would get, in points."""
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True, print_background=True)
    return re.findall(r"/MediaBox ?\[([^\]]+)\]", (tmp_path / "page.pdf").read_bytes().decode("latin-1"))


def place(page) -> str:
    return page.locator("#place").inner_text()


def test_slides_go_by_the_keyboard(page, tmp_path, lesson):
    show(page, tmp_path, slides(lesson))
    page.keyboard.press("ArrowRight")
    assert place(page) == "2 / 7" and page.locator(".slide.now .tag").is_visible()
    page.keyboard.press(" ")
    so = page.locator(".slide.now .so")
    assert place(page) == "3 / 7" and not so.is_visible()
    page.keyboard.press("ArrowRight")
    assert place(page) == "3 / 7" and so.is_visible()
    page.keyboard.press("ArrowDown")
    assert page.locator(".slide.now h1").inner_text() == "Second part"
    page.keyboard.press("ArrowUp")
    assert place(page) == "2 / 7"
    page.keyboard.press("n")
    assert page.locator(".slide.now .notes").is_visible()
    page.keyboard.press("o")
    assert page.locator(".slide").nth(6).is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    assert place(page) == "7 / 7" and page.locator(".slide:visible").count() == 1
    page.keyboard.press("d")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_click_goes_on_and_the_address_keeps_the_place(page, tmp_path, lesson):
    show(page, tmp_path, slides(lesson))
    page.mouse.click(900, 500)
    assert place(page) == "2 / 7" and page.url.endswith("#2")
    page.reload()
    assert place(page) == "2 / 7"


@pytest.mark.parametrize("number", LESSONS)
def test_nothing_on_any_slide_is_cut_off(page, tmp_path, number):
    (lesson,) = read_lessons([number])
    show(page, tmp_path, slides(lesson))
    page.evaluate("root.classList.add('overview')")  # all are laid out at once
    for index, box in enumerate(page.query_selector_all(".slide"), start=1):
        assert box.evaluate(BEYOND) <= 0, f"slide {index}"


def test_a_slide_with_too_many_words_is_written_smaller(page, tmp_path, lesson):
    pieces = lesson.sections[1].pieces  # whose picture stands beside its words
    pieces[3:3] = [Statement(f"statement {n} has some words, " * 5, "soft 0.054, top-2 0.074") for n in range(5)]
    show(page, tmp_path, slides(lesson))
    page.evaluate("root.classList.add('overview')")
    crowded, usual = page.query_selector_all(".slide")[4], page.query_selector_all(".slide")[3]
    assert crowded.evaluate(BEYOND) <= 0
    assert crowded.evaluate("slide => slide.style.fontSize") and not usual.evaluate("slide => slide.style.fontSize")


@pytest.mark.parametrize("number", LESSONS)
def test_a_sheet_is_two_sides_of_a4_and_nothing_is_cut_off(page, tmp_path, number):
    (lesson,) = read_lessons([number])
    show(page, tmp_path, sheet(lesson))
    assert [box.evaluate(BEYOND) <= 0 for box in page.query_selector_all(".side")] == [True, True]
    sizes = sheets(page, tmp_path)
    assert len(sizes) == 2
    assert all([round(float(each)) for each in size.split()[2:]] in ([595, 842], [596, 842]) for size in sizes)


def test_a_sheet_with_too_many_words_is_set_smaller(page, tmp_path, lesson):
    asked = lesson.sections[0].pieces[1]
    lesson.sections[0].pieces[1:2] = [
        asked._replace(sentence=f"{n}: {'how many words are there? ' * 9}") for n in range(24)
    ]
    show(page, tmp_path, sheet(lesson))
    front, back = page.query_selector_all(".side")
    assert front.evaluate(BEYOND) <= 0 and len(sheets(page, tmp_path)) == 2
    assert float(front.query_selector(".questions").evaluate("list => list.style.zoom")) < 1
    assert back.query_selector(".tasks").evaluate("list => list.style.zoom") == ""


def test_a_printer_gets_each_slide_on_a_sheet_of_its_own_with_all_its_words(page, tmp_path, lesson):
    show(page, tmp_path, slides(lesson))
    assert len(sheets(page, tmp_path)) == 7
    page.emulate_media(media="print")
    assert page.locator(".so:visible").count() == 2
    page.emulate_media(media="screen")


@pytest.mark.parametrize("look", ["slides", "all slides", "slides in the dark", "sheet", "answers"])
def test_nobody_is_shut_out_as_far_as_axe_can_tell(page, tmp_path, look):
    (lesson,) = read_lessons(["05"])
    made = {"sheet": sheet, "answers": answer_key}.get(look, slides)
    show(page, tmp_path, made(lesson))
    page.keyboard.press({"all slides": "o", "slides in the dark": "d"}.get(look, "End"))
    assert axe(page) == []


def test_an_answer_key_prints_on_a4(page, tmp_path):
    show(page, tmp_path, answer_key(read_lessons(["08"])[0]))
    assert 2 <= len(sheets(page, tmp_path)) <= 3


def test_a_certificate_is_one_side_of_a4(page, tmp_path, monkeypatch):
    monkeypatch.setenv("MOE_LESSONS_CACHE", str(tmp_path))
    show(page, tmp_path, certificate_page("A name of some length, with a title before and after it", record()))
    (box,) = page.query_selector_all(".side")
    assert box.evaluate(BEYOND) <= 0 and len(sheets(page, tmp_path)) == 1
