"""Every exercise by name, and every known mistake."""

from moe_lessons.exercises.catalog import declared, find, lessons

ALL = [f"{lesson}.{exercise.name}" for lesson in lessons() for exercise in declared(lesson)]
MISTAKES = [(name, hint) for name in ALL for hint in find(name).mistakes]
