"""One module per sub-command of `moe-lessons`; see moe_lessons.cli."""
