"""A class that sees itself: what the room predicts, passes and measures, on the teacher's projector.

`moe-lessons class` runs it as an extension of a Jupyter Server; a teacher's own Jupyter Server can load it, too, by
`--ServerApp.jpserver_extensions="{'moe_lessons.classroom': True}"` and `--ClassExtension.shared=FOLDER`.
"""

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from moe_lessons.classroom.extension import ClassExtension

    return [{"module": "moe_lessons.classroom.extension", "app": ClassExtension}]
