import json

from moe_lessons.authoring.tables import room_table

ROW = {
    "arm": "one thread",
    "learners": 30,
    "steps": 15,
    "picture": {"median": 12.4, "last": 30.6},
    "trained": {"median": 100.0, "last": 160.0},
    "cores_until_trained": 17.6,
    "mb_a_head": 355,
    "mb_all_most": 15_040,
    "mb_on_disk": 9.4,
}


def test_a_room_is_a_row_of_what_was_measured(tmp_path):
    study = {
        "command": "python it",
        "machine": {"name": "CPU", "cores": 2, "torch": "2"},
        "server_mb": 77,
        "runs": [ROW],
    }
    (tmp_path / "room.json").write_text(json.dumps(study), encoding="utf-8")
    head, rule, row, _, words = room_table(tmp_path / "room.json").splitlines()
    assert row == "| 30 | one thread | 12, last 31 | 100, last 160 | 18 | 355 | 15.0 | 9 |"
    assert head.count("|") == rule.count("|") == row.count("|")
    assert (
        words.startswith("Measured by `python it` on 2 cores of CPU") and "after 15 steps" in words and "77 MB" in words
    )


def test_a_room_that_nobody_measured_says_how_to(tmp_path):
    assert room_table(tmp_path / "room.json").startswith("Not measured yet: `python -m moe_lessons.studies.room")
