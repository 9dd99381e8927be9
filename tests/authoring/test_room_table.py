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


def table_of(tmp_path, *runs):
    machine = {"name": "CPU", "cores": 2, "torch": "2"}
    study = {"command": "python it", "machine": machine, "server_mb": 77, "runs": runs}
    (tmp_path / "room.json").write_text(json.dumps(study), encoding="utf-8")
    return room_table(tmp_path / "room.json").splitlines()


def test_a_room_is_a_row_of_what_was_measured(tmp_path):
    head, rule, row, _, words = table_of(tmp_path, ROW)
    assert row == "| 30 | one thread | 12, last 31 | 100, last 160 | 18 | 355 | 15.0 | 9 |"
    assert head.count("|") == rule.count("|") == row.count("|")
    assert (
        words.startswith("Measured by `python it` on 2 cores of CPU") and "after 15 steps" in words and "77 MB" in words
    )


def test_a_room_that_nobody_measured_says_how_to(tmp_path):
    assert room_table(tmp_path / "room.json").startswith("Not measured yet: `python -m moe_lessons.studies.room")


def test_somebody_alone_is_not_the_last_one_and_the_largest_room_tells_what_settings_are_worth(tmp_path):
    apart = {**ROW, "arm": "apart", "trained": {"median": 60.0, "last": 80.0}, "mb_all_most": 11_000}
    alone = {**ROW, "learners": 1}
    _, _, row, *rest = table_of(tmp_path, alone, {**alone, "arm": "apart"}, ROW, apart)
    words = " ".join(rest)
    assert row.startswith("| 1 | one thread | 12 | 100 |")
    assert "for 30 people" in words and "100 s" in words and "with apart, 60 s" in words
    assert "15.0 GB become 11.0" in words
