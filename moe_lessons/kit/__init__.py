"""The teacher's kit: slides, printable sheets and answer keys of the lessons, and a learner's certificate."""

from moe_lessons.kit.certificate import certificate

__all__ = ["certificate"]
