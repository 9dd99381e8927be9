"""Exercises with instant checks, quizzes, and the package's own source as the only answer sheet."""

from moe_lessons.exercises.catalog import exercises
from moe_lessons.exercises.checking import check
from moe_lessons.exercises.exercise import Exercise
from moe_lessons.exercises.progress import progress
from moe_lessons.exercises.quizzes import quiz
from moe_lessons.exercises.solutions import solution

__all__ = ["Exercise", "check", "exercises", "progress", "quiz", "solution"]
