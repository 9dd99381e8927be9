"""Addresses and badges: none while the project has no address, all of them from it once it has one."""

import re
import shutil

import pytest
from places import LESSONS, ROOT

from moe_lessons.authoring import links, tables

README = ROOT / "README.md"
OURS = {"Repository": "https://github.com/someone/lessons", "Site": "https://someone.github.io/lessons/"}
DOORS = ("codespaces.new", "mybinder.org", "colab.research.google.com", "kaggle.com")


def test_the_readme_shows_what_the_projects_addresses_give(tmp_path):
    copy = tmp_path / "README.md"
    shutil.copy(README, copy)
    tables.write_lessons(readme=copy)
    assert copy.read_bytes() == README.read_bytes(), "run: python -m moe_lessons.authoring table"


def test_without_an_address_there_is_no_badge_and_no_door_is_linked(tmp_path):
    copy = tmp_path / "README.md"
    shutil.copy(README, copy)
    tables.write_lessons({}, copy)
    text = copy.read_text(encoding="utf-8")
    assert "<!-- doors -->\n<!-- end of doors -->" in text and "git clone <this repository>" in text
    assert not [door for door in DOORS if f"https://{door}" in text] and links.badges({}) == ""


def test_an_address_appears_everywhere_and_goes_again(tmp_path):
    copy = tmp_path / "README.md"
    shutil.copy(README, copy)
    tables.write_lessons({}, copy)
    before = copy.read_bytes()
    tables.write_lessons(OURS, copy)
    text = copy.read_text(encoding="utf-8")
    shown, _, _ = text.partition("<!-- doors -->\n")[2].partition("<!-- end of doors -->")
    for door in DOORS:
        assert re.search(rf"\]\(https://(www\.)?{re.escape(door)}/\S*someone/lessons\S*\)", shown), door
    assert f"({OURS['Site']})" in shown and f"git clone {OURS['Repository']} &&" in text
    assert all(f"/hosted/{path.name})" in text for path in LESSONS)
    tables.write_lessons({}, copy)
    assert copy.read_bytes() == before


@pytest.mark.parametrize("address", ["https://gitlab.com/someone/lessons", "https://github.com/someone", ""])
def test_doors_that_know_github_alone_are_not_shown_for_other_addresses(address):
    assert links.badges({"Repository": address}) == "" == links.in_colab({"Repository": address}, links.FIRST)
    assert links.clone({"Repository": address}) == address
