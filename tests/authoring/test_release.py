"""What a release changes, in a folder with the three files that it touches."""

import datetime
import shutil
from pathlib import Path

import pytest
from places import ROOT

from moe_lessons.authoring.release import UNRELEASED, present, release

DAY = datetime.date(2031, 5, 6)
LOG = f"# Changes\n\n## 0.3.0 ({UNRELEASED})\n\n- Something.\n\n## 0.2.0 (2030-01-02)\n\n- Older.\n"


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "moe_lessons").mkdir()
    source = '"""A course."""\n\n__version__ = "0.3.0.dev0"  # here\n'
    (tmp_path / "moe_lessons" / "__init__.py").write_text(source, encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text(LOG, encoding="utf-8")
    shutil.copy(ROOT / "CITATION.cff", tmp_path)
    return tmp_path


def said(root: Path) -> list[str]:
    """All three files."""
    names = ("moe_lessons/__init__.py", "CHANGELOG.md", "CITATION.cff")
    return [(root / name).read_text(encoding="utf-8") for name in names]


def test_a_release_gets_its_number_and_its_day_everywhere_and_the_next_one_is_opened(root):
    release("0.3.0", DAY, root)
    package, log, citation = said(root)
    assert '__version__ = "0.3.0"  # here' in package and log == LOG.replace(UNRELEASED, "2031-05-06")
    assert citation.count("version: 0.3.0\n") == 1 and citation.count("date-released:") == 1
    assert "cff-version: 1.2.0" in citation and "date-released: 2031-05-06\n" in citation
    release("0.4.0.dev0", DAY, root)
    package, log, after = said(root)
    assert present(root / "moe_lessons" / "__init__.py") == "0.4.0.dev0" and after == citation
    assert log.startswith(f"# Changes\n\n## 0.4.0 ({UNRELEASED})\n\n## 0.3.0 (2031-05-06)\n")


@pytest.mark.parametrize("version", ["0.2.0", "0.3.0.dev0", "0.3", "v0.3.0", "0.4.0.dev1", "0.4.0.dev0"])
def test_a_version_that_does_not_follow_changes_nothing(root, version):
    before = said(root)
    with pytest.raises(ValueError, match=r"must follow|still has a section"):
        release(version, DAY, root)
    assert said(root) == before


def test_a_release_of_which_the_changes_say_nothing_is_refused(root):
    (root / "CHANGELOG.md").write_text(LOG.replace("- Something.\n\n", ""), encoding="utf-8")
    before = said(root)
    with pytest.raises(ValueError, match="write them down"):
        release("0.3.0", DAY, root)
    assert said(root) == before
