"""The room: the same records give the same room, whatever comes twice, late or in another order."""

import json

from full_room import records
from running_class import entry

from moe_lessons.classroom.board import board
from moe_lessons.classroom.room import Room


def told(*entries: tuple[str, dict]) -> Room:
    room = Room()
    for who, made in entries:
        room.apply({"at": 1.8e9, "who": who, "entry": made})
    return room


def test_records_that_are_counted_again_change_nothing():
    once, thrice = Room(), Room()
    day = records()
    for record in day:
        once.apply(record)
    for record in [*day, *day[::-1], *day]:
        thrice.apply(record)
    seen = [json.dumps(board(room, now=day[-1]["at"])) for room in (once, thrice)]
    assert seen[0] == seen[1]


def test_names_are_told_apart_whatever_their_case_and_a_new_name_is_one_learner():
    hellos = [("a", "Ada"), ("b", "ADA"), ("c", "Ada"), ("b", "Bo"), ("d", "ada"), ("a", "Ada")]
    room = told(*((who, entry("hello", name=name)) for who, name in hellos))
    assert [one.label for _, one in room.here()] == ["Ada", "Bo", "Ada (3)", "ada (2)"]


def test_who_leaves_is_not_shown_and_comes_back_with_what_was_passed():
    passed = entry("check", exercise="05.mixture", passed=1, mistake=-1)
    room = told(("a", entry("hello", name="Ada")), ("a", passed), ("a", entry("bye")))
    assert board(room)["learners"] == [] and board(room)["lessons"] == []
    room.apply({"at": 1.8e9, "who": "a", "entry": entry("hello", name="Ada")})
    assert board(room)["lessons"][0]["rows"][0]["marks"][0] == 2


def test_a_prediction_in_time_stands_against_a_late_one_and_the_last_in_time_counts():
    def predict(answer: float, late: int) -> tuple[str, dict]:
        return "v", entry("prediction", key="05.one_sheet", answer=answer, sure=0, late=late)

    for given, want in (([(1, 0), (0.5, 0)], 0.5), ([(1, 0), (0.5, 1)], 1), ([(1, 1), (0.5, 0)], 0.5)):
        room = told(*(predict(*each) for each in given))
        assert room.asked["05.one_sheet"].answers["v"][0] == want


def test_what_the_teacher_let_be_seen_stays_so_where_the_answers_are_read_after_it():
    answer = entry("prediction", key="05.one_sheet", answer=1, sure=0, late=0)
    shown, answered = {"at": 1.8e9, "show": "05.one_sheet"}, {"at": 1.8e9, "who": "v", "entry": answer}
    for day in ([answered, shown], [shown, answered]):  # the second is how a restart over a shared folder reads
        room = Room()
        for record in day:
            room.apply(record)
        assert room.asked["05.one_sheet"].shown


def test_a_mistake_is_made_now_until_the_exercise_passes_or_another_is_made():
    def check(who: str, passed: int, mistake: int) -> tuple[str, dict]:
        return who, entry("check", exercise="05.mixture", passed=passed, mistake=mistake)

    here = [(who, entry("hello", name=who)) for who in "abc"]
    both = [*here, check("a", 0, 0), check("b", 0, 0), check("c", 0, 1)]
    (one,) = board(told(*both), now=1.8e9)["mistakes"]
    assert one["exercise"] == "05.mixture" and one["count"] == 2 and len(one["hint"]) > 10
    assert board(told(*both), now=1.8e9 + 3600)["mistakes"] == []
    assert board(told(*both, check("a", 1, -1)), now=1.8e9)["mistakes"] == []
    assert board(told(*both, check("a", 0, 1)), now=1.8e9)["mistakes"][0]["hint"] != one["hint"]
