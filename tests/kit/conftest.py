"""Small lessons to make a kit of."""

import base64
import struct
import zlib
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from moe_lessons.kit.lesson import Lesson, read_lesson

HEAD = """\
# 05 · A small lesson

What it is about, in one sentence.

| | |
| --- | --- |
| **Time:** 45 minutes | about 25 to read and run |
| **You will be able to** | do one thing; do `another` |
| **The claim this lesson tests** | *It is cheap.* Is it? |
"""


def png(width: int, height: int) -> str:
    """A gray picture of this size, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return base64.b64encode(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    ).decode()


def shows(plain: str, size: tuple[int, int] | None = None, alt: str = ""):
    """What a cell returned: a picture, or words alone."""
    data = {"text/plain": plain} | ({"image/png": png(*size)} if size else {})
    metadata = {"image/png": {"alt": alt}} if size else {}
    return new_output("execute_result", data=data, metadata=metadata, execution_count=1)


def prints(text: str):
    return new_output("stream", name="stdout", text=text)


def cells() -> list:
    """A question of lesson 05, what answers it, and what else a lesson may have."""
    return [
        new_markdown_cell(HEAD),
        new_markdown_cell("## First part\n\nWords before it. **Predict:** how\nmany are left?"),
        new_code_cell("draw()", outputs=[shows("<Figure size 700x280 with 1 Axes>", (720, 280), "Bars < 3.")]),
        new_code_cell(
            "state()", outputs=[prints("not a statement: 7\nshare of it: all: 12% (the sentence needs 5%)\n")]
        ),
        new_markdown_cell("Short. **This is what the picture comes to, and nothing else.** More words."),
        new_markdown_cell("### Second part"),
        new_code_cell('predict("05.one_sheet")', outputs=[shows("<PredictionView 05.one_sheet>")]),
        new_code_cell("view", outputs=[shows("<ExpertPlane: six>", (720, 600))]),
        new_code_cell("predicted()", outputs=[shows("<PredictionView 05.one_sheet: measured 0.964>", (720, 90))]),
        new_code_cell("settle()", outputs=[shows("Claim: A claim.\nMeasured in lesson 05: 3 units\nVerdict: Wrong.")]),
        new_code_cell("hidden()", metadata={"tags": ["no-slide"]}, outputs=[shows("<Figure size 1x1>", (10, 10))]),
        new_markdown_cell("## Only words\n\nNothing to show here."),
    ]


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "05_small.ipynb"
    nbformat.write(new_notebook(cells=cells()), path)
    return path


@pytest.fixture
def lesson(file) -> Lesson:
    return read_lesson(file)
