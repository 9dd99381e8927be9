"""The catalog that is read from the source is the one that Python makes of it."""

from moe_lessons.classroom.catalog import exercises, names
from moe_lessons.exercises.catalog import declared, lessons


def test_every_exercise_and_every_known_mistake_is_read_as_python_has_it():
    want = {f"{lesson}.{one.name}": tuple(one.mistakes) for lesson in lessons() for one in declared(lesson)}
    assert exercises() == want
    assert names("12") == [one.name for one in declared("12")]
