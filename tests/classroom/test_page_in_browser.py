"""The projector's page in a browser: what it shows, its keys, and that a name is never more than a text."""

import json

import pytest
from full_room import records, write
from running_class import RunningClass, entry

pytest.importorskip("playwright.sync_api", reason="playwright, for the browser test, is not installed")

from site_page import axe

from moe_lessons.classroom.board import board
from moe_lessons.classroom.room import Room

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    cache = tmp_path_factory.mktemp("room")
    write(cache / "classroom")
    made = RunningClass(cache)
    yield made
    made.kill()


@pytest.fixture
def page(chrome):
    made = chrome.new_page(viewport={"width": 1920, "height": 1080})
    made.set_default_timeout(90_000)
    made.problems = []
    made.on("pageerror", lambda error: made.problems.append(str(error)))
    made.on("console", lambda said: said.type == "error" and made.problems.append(said.text))
    yield made
    made.close()


def open_page(page, room) -> None:
    page.goto(f"{room.address}/class/?token={room.token}")
    page.wait_for_selector(".names li")


def test_the_views_are_moved_by_arrow_keys_and_fit_the_projector(page, room):
    open_page(page, room)
    assert room.token not in page.url and "token" not in page.url
    assert room.code in page.inner_text(".line >> nth=0") and page.locator(".names li").count() == 30
    for view in ("Predictions", "Exercises", "Mistakes", "Routers", "Ledger", "Join"):
        page.keyboard.press("ArrowRight")
        assert page.inner_text("nav [aria-current]") == view and not page.locator(".empty").count()
        tall, wide = page.evaluate("[document.documentElement.scrollHeight, document.documentElement.scrollWidth]")
        assert tall <= 1080 and wide <= 1920, view
    assert page.problems == []


def test_the_measurement_is_hidden_until_the_teacher_presses_a_key(page, room):
    key = "05.rows_top1"
    made = entry("prediction", key=key, answer=2, sure=0, late=0), entry("measured", key=key, place=6)
    room.send("cd" * 16, *made)
    open_page(page, room)
    page.keyboard.press("ArrowRight")
    # the page stays with a question that many have answered, until the teacher steps to the one of few
    place = [one["key"] for one in room.board()["questions"]].index(key)
    for _ in range(9):
        if f"{place + 1} of" in page.inner_text("footer"):
            break
        page.keyboard.press("ArrowDown")
    assert page.locator(".band").count() == 0 and "machine" not in page.inner_text(".sum")
    assert next(one for one in room.board()["questions"] if one["key"] == key)["measured"] is None
    page.keyboard.press("r")
    page.wait_for_selector(".band")
    assert "On one machine: 6 bars." in page.inner_text(".sum")


def test_a_name_is_a_text_whatever_is_in_it(page, room):
    hostile = "<img src=x onerror='document.title=1'><script>document.title=2</script>"
    made = Room()
    for record in records():
        made.apply(record)
    text = json.dumps(board(made)).replace('"Ada"', json.dumps(hostile)).replace('"mine"', json.dumps(hostile))
    page.route_web_socket("**/class/live", lambda socket: socket.send(text))
    open_page(page, room)
    for _ in range(6):
        assert page.locator("main img, main script").count() == 0
        page.keyboard.press("ArrowRight")
    assert hostile in page.inner_text(".names li >> nth=0") and page.title() == "Join · the class"


def test_a_phone_is_wide_enough(page, room):
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, room)
    for _ in range(6):
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_wrong_in_either_theme(page, room, theme):
    page.emulate_media(color_scheme=theme)
    open_page(page, room)
    for _ in range(6):
        assert axe(page) == []
        page.keyboard.press("ArrowRight")


def test_a_class_that_stops_is_said_and_one_that_comes_back_is_heard(page, tmp_path_factory):
    cache = tmp_path_factory.mktemp("stops")
    write(cache / "classroom")
    first = RunningClass(cache)
    open_page(page, first)
    first.kill()
    page.wait_for_selector("#state:not(:empty)")
    assert "nothing that it took is lost" in page.inner_text("#state")
    again = RunningClass(cache, port=first.port)
    again.send("ef" * 16, entry("hello", name="Newcomer"))
    page.wait_for_selector("text=Newcomer")
    again.kill()
