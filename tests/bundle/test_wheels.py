"""Which packages a bundle collects, and pip's words when it cannot."""

import os
import zipfile

import pytest
from places import ROOT
from stand_in_wheels import Shop, wheel

from moe_lessons.bundle import Target, wheels
from moe_lessons.bundle.wheels import collect, explain


def test_everything_is_collected_level_by_level_with_the_tested_versions(tmp_path):
    course = wheel(
        tmp_path, "moe-lessons", requires=["a>=1", "t; extra == 'interop'", "z; extra == 'test'", "w; os_name == 'nt'"]
    )
    shop = Shop({"a": ["b[fast]>0.1", "torch"], "b": ["c; extra == 'fast'", "a"], "c": ["B"], "w": ["v"]})
    pins = {"a": "1.5", "b": "2.0", "torch": "2.13.0", "t": "3.0"}
    names = collect(course, Target("linux", "3.12"), pins, shop)
    assert shop.asked == [["a==1.5", "pip", "t==3.0"], ["b==2.0", "torch==2.13.0+cpu"], ["c"]]
    assert len(names) == 7 and course.name in names
    windows = Shop({"w": ["v"]})
    names |= collect(course, Target("windows", "3.12"), pins, windows)
    # What is for every machine is there already; the build of PyTorch is another.
    assert windows.asked == [["w"], ["torch==2.13.0"], ["v"]] or windows.asked == [["w"], ["v"]]


def test_a_stopped_collection_goes_on_and_replaces_what_is_damaged(tmp_path):
    course = wheel(tmp_path, "moe-lessons", requires=["a", "b", "c"])

    class Stopped(Shop):
        def __call__(self, requirements, target, place):
            super().__call__(sorted(requirements)[:2], target, place)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(course, Target("linux", "3.12"), {}, Stopped())
    half = tmp_path / "a-1.0-py3-none-any.whl"
    half.write_bytes(half.read_bytes()[:100])
    shop = Shop()
    collect(course, Target("linux", "3.12"), {}, shop)
    assert shop.asked == [["a", "c", "pip"]] and zipfile.is_zipfile(half)
    again = Shop()
    collect(course, Target("linux", "3.12"), {}, again)
    assert again.asked == []


def test_a_wheel_for_another_machine_or_of_another_version_is_not_taken(tmp_path):
    course = wheel(tmp_path, "moe-lessons", requires=["a"])
    wheel(tmp_path, "a", "2.0", "cp312-cp312-win_amd64")
    wheel(tmp_path, "a", "1.0")
    with pytest.raises(OSError, match="no wheel of a for linux with Python 3.12"):
        collect(course, Target("linux", "3.12"), {"a": "2.0"}, Shop(tags={"a": "cp312-cp312-win_amd64"}))


def test_the_pins_are_those_that_the_course_is_tested_with():
    pins = wheels.read_pins(ROOT / "constraints.txt")
    assert pins["torch"] == "2.13.0" and pins["jinja2"] and pins["markupsafe"]
    assert wheels._exact(wheels.Requirement("torch>=2"), pins, Target("linux", "3.12")) == "torch==2.13.0+cpu"
    assert wheels._exact(wheels.Requirement("torch>=2"), pins, Target("mac", "3.12")) == "torch==2.13.0"
    assert wheels._exact(wheels.Requirement("colorama>=0.4"), pins, Target("windows", "3.12")) == "colorama>=0.4"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "WARNING: Retrying ... NewConnectionError('...: Failed to establish')\nERROR: No matching distribution",
            "the network",
        ),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: No matching distribution found for torch==2.13.0+cpu", "TORCH_INDEX"),
        ("/usr/bin/python3: No module named pip", "ensurepip"),
        ("ERROR: one\nERROR: two\n", "pip failed: two"),
        ("", "pip failed: it gave no reason"),
    ],
)
def test_pips_words_become_one_sentence(words, sentence):
    assert sentence in explain(words) and "\n" not in explain(words)


def test_without_a_network_pip_is_asked_twice_and_the_answer_is_one_sentence(tmp_path, monkeypatch):
    """The real pip, sent to a port where nobody listens."""
    monkeypatch.setattr(wheels.time, "sleep", lambda seconds: None)
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/simple", "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    for name in ("EXTRA_INDEX_URL", "FIND_LINKS"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    with pytest.raises(OSError, match="the network does not answer.*goes on where it was"):
        wheels.download(["einops==0.8.2"], Target("linux", "3.12"), tmp_path)
