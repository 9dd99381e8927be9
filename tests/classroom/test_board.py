"""The board of a whole class: counts that a slow count finds again, and nothing that leads to a voter."""

import json
from statistics import median

from full_room import NAMES, records

from moe_lessons.classroom.board import board
from moe_lessons.classroom.room import Room

DAY = records()


def room() -> Room:
    made = Room()
    for record in DAY:
        made.apply(record)
    return made


def sent(kind: str, **wanted):
    return [
        (record["who"], record["entry"])
        for record in DAY
        if record["entry"]["kind"] == kind and all(record["entry"][name] == value for name, value in wanted.items())
    ]


def test_every_name_and_every_passed_exercise_is_on_it():
    seen = board(room())
    assert len(seen["learners"]) == len(set(seen["learners"])) == len(NAMES) == 30 and "Ada (2)" in seen["learners"]
    (lesson,) = seen["lessons"]
    for at, name in enumerate(lesson["exercises"]):
        want = len({who for who, _ in sent("check", exercise=f"05.{name}", passed=1)})
        assert sum(row["marks"][at] == 2 for row in lesson["rows"]) == want


def test_every_prediction_in_time_is_in_a_histogram():
    for one in board(room())["questions"]:
        assert sum(one["bins"]) == one["answered"] == len(sent("prediction", key=one["key"], late=0))
        assert one["late"] == len(sent("prediction", key=one["key"], late=1))


def test_nobody_s_number_leads_from_a_prediction_to_a_name():
    words = json.dumps(board(room()))
    assert not any(record["who"] in words or record["entry"]["id"] in words for record in DAY)
    assert not any(json.dumps(name) in json.dumps(board(room())["questions"]) for name in NAMES)


def test_the_course_s_routers_stand_once_and_learners_by_name():
    routers = board(room())["routers"]
    ours = [row for row in routers["rows"] if not row["whose"]]
    assert len({row["router"] for row in ours}) == len(ours)
    for row in ours:
        assert row["loss"] == median(each["loss"] for _, each in sent("score", router=row["router"]))
    ranked = [row["loss"] for row in routers["rows"] if row["state"] == 0]
    assert ranked == sorted(ranked) and len({row["whose"] for row in routers["rows"] if row["whose"]}) > 5


def test_the_ledger_says_which_numbers_differ_and_which_verdicts_do_not():
    lines = {line["claim"]: line for line in board(room())["claims"]}
    values = [each["value"] for _, each in sent("ledger", claim="more-compute-wins")]
    (spread,) = lines["More compute always wins."]["numbers"]
    assert (spread["low"], spread["high"], spread["machines"]) == (min(values), max(values), 30)
    (same,) = lines["A token is about a word."]["numbers"]
    assert same["low"] == same["high"] == 1.57
    assert lines["A token is about a word."]["verdicts"] == {"half right": 8}


def test_runs_of_another_arena_are_not_compared():
    made = room()
    other = {**sent("score")[0][1], "id": "f" * 32, "arena": "ffffffffffff", "loss": 0.0}
    made.apply({"at": 1.8e9, "who": sent("score")[0][0], "entry": other})
    routers = board(made)["routers"]
    assert routers["elsewhere"] == 1 and routers["rows"][0]["loss"] > 1
