import ast
import gc
import importlib.util
import json
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moe_lessons.text import sources
from moe_lessons.text.sources import CHUNK_BYTES, chunks, extras, installed_text

INSTALLED = ("python", "english", "cpp")
needs_headers = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="no torch, no headers")


@pytest.mark.parametrize("domain", INSTALLED)
def test_a_source_gives_what_was_asked_for_and_the_same_again(domain):
    first = installed_text(domain, train_bytes=50_000, valid_bytes=5_000)
    assert first == installed_text(domain, train_bytes=50_000, valid_bytes=5_000)
    assert first != installed_text(domain, train_bytes=50_000, valid_bytes=5_000, seed=1)
    assert sum(len(text.encode()) for text in first.train) >= 50_000
    assert sum(len(text.encode()) for text in first.valid) >= 5_000
    assert max(len(text.encode()) for text in first.train) <= CHUNK_BYTES + 1


@pytest.mark.parametrize("domain", INSTALLED)
def test_no_document_talks_of_licenses(domain):
    for text in installed_text(domain, train_bytes=300_000, valid_bytes=20_000).train:
        assert "copyright" not in text.lower()


@pytest.mark.parametrize("domain", INSTALLED)
def test_no_file_is_on_both_sides(domain, monkeypatch):
    units, _, missing = sources._READERS[domain]
    seen: list[str] = []
    monkeypatch.setitem(sources._READERS, domain, (units, lambda unit: [seen.append(unit) or "x" * 900], missing))
    train = installed_text(domain, train_bytes=100_000, valid_bytes=0)
    first = set(seen)
    seen.clear()
    valid = installed_text(domain, train_bytes=0, valid_bytes=30_000)
    assert train.train and valid.valid and not first & set(seen)


def test_code_and_english_never_read_the_same_file():
    assert not set(sources._python_units()) & set(sources._english_units())


def test_text_is_found_without_importing_what_holds_it():
    before = set(sys.modules)
    for domain in INSTALLED:
        installed_text(domain, train_bytes=20_000, valid_bytes=2_000)
    assert not {
        name for name in set(sys.modules) - before if name.startswith(("torch", "pydoc_data", "bible", "hafez"))
    }


def test_a_missing_source_is_named_in_one_sentence(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    with pytest.warns(UserWarning, match=r"no C\+\+ headers .* goes on without the domain 'cpp'"):
        assert installed_text("cpp", train_bytes=1000, valid_bytes=1000) == ([], [])


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match="domain is 'latin', but the installed sources are python"):
        installed_text("latin", train_bytes=1, valid_bytes=1)


@given(st.lists(st.sampled_from(["", "def f():", "    return 1", "x" * 70, "é" * 60, "y" * 2000])).map("\n".join))
def test_chunks_lose_nothing_but_gaps_and_overlong_lines_and_stray_ends(text):
    pieces = chunks(text, size=300)
    assert all(len(piece.encode()) <= 301 for piece in pieces)
    kept = [line for line in text.splitlines() if line and len(line.encode()) < 300]
    found = [line for piece in pieces for line in piece.splitlines() if line]
    rest = iter(kept)
    assert all(line in rest for line in found)  # in order, and each one at most once


def test_code_is_cut_before_a_top_level_line():
    text = "\n\n".join(f"def f{i}(x):\n    y = x + {i}\n\n    return y * y * y * y" for i in range(40)) + "\n"
    assert all(piece.startswith("def ") for piece in chunks(text, size=400))


def test_the_extra_texts_are_read_where_they_are_installed(tmp_path, monkeypatch):
    (tmp_path / "bible" / "data").mkdir(parents=True)
    (tmp_path / "hafez" / "data").mkdir(parents=True)
    for package in ("bible", "hafez"):
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('imported')", encoding="utf-8")
    verses = [
        {"book": "A", "chapter": c, "verse": v, "text": f"verse {c} {v} " * 9} for c in range(30) for v in range(3)
    ]
    (tmp_path / "bible/data/kjv.jsonl").write_text("\n".join(map(json.dumps, verses)), encoding="utf-8")
    poems = [{"id": i, "poem": ["ناولها " * 20, f"{i}"]} for i in range(30)]
    (tmp_path / "hafez/data/hafez.json").write_text(json.dumps(poems), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for cached in (sources._verse_chapters, sources._persian_poems):
        cached.cache_clear()
    try:
        assert extras() == ("verse", "persian")
        both = installed_text("verse", train_bytes=10**6, valid_bytes=10**6)
        assert len(both.train) + len(both.valid) == 30
        assert "ناولها" in installed_text("persian", train_bytes=100, valid_bytes=100).train[0]
    finally:
        for cached in (sources._verse_chapters, sources._persian_poems):
            cached.cache_clear()


def test_a_file_that_cannot_be_read_is_skipped(tmp_path):
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n" * 50)
    assert sources._python_documents(str(tmp_path / "latin.py")) == []
    assert sources._python_documents(str(Path(tmp_path, "gone.py"))) == []


def test_a_shuffle_depends_on_the_seed_alone():
    random.seed(1)
    first = installed_text("python", train_bytes=5_000, valid_bytes=100)
    random.seed(2)
    assert first == installed_text("python", train_bytes=5_000, valid_bytes=100)


NESTED = '''
"""A module."""
class A:
    """A class."""
    def f(self):
        """A method."""
        async def g():
            """Inside it."""
        class B: "Inside it, too."
try:
    def a(): "In try."
except ValueError:
    def b(): "In except."
else:
    def c(): "In else."
finally:
    def d(): "In finally."
match 1:
    case 1:
        def e(): "In a case."
for _ in ():
    with x:
        if y:
            def h(): "Deep."
        else:
            def i(): "Deeper."
def after(): lambda: "none"
'''


@pytest.mark.parametrize("code", [NESTED, "", "1", *(sources._read(path) for path in sources._library_files()[1::60])])
def test_docstrings_are_found_in_the_order_in_which_a_walk_through_everything_meets_them(code):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    walked = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(code)) if isinstance(node, kinds)]
    assert sources._docstrings(code) == walked


@pytest.mark.parametrize("code", ["def f():\n    'is read'", "def f(:"])
def test_reading_code_leaves_the_collection_of_garbage_as_it_was(code):
    for before in (gc.disable, gc.enable):
        before()
        was = gc.isenabled()
        sources._docstrings(code)
        assert gc.isenabled() is was
