"""Where a learner's side of a class lies. All that a lesson needs to see that there is none."""

from pathlib import Path

from moe_lessons.resources import cache_dir


def class_dir() -> Path:
    """The folder; MOE_LESSONS_CACHE moves it. Not created here."""
    return cache_dir() / "class"


def member_path() -> Path:
    """The file that says which class was joined, and as whom."""
    return class_dir() / "member.json"


def outbox_path() -> Path:
    """The file of entries, the oldest first; whoever changes it or the membership holds it (records.held)."""
    return class_dir() / "outbox.jsonl"
