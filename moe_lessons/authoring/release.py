"""A release: one version number in the package, a section of CHANGELOG.md with its date, and CITATION.cff."""

import datetime
import re
from pathlib import Path

from packaging.version import Version

from moe_lessons.authoring import folder
from moe_lessons.files import replacing

UNRELEASED = "not released yet"


def release(version: str, date: datetime.date | None = None, root: Path | None = None) -> None:
    """Make what is unreleased the release `version` of today; a version that ends in .dev0 opens the next one.

    Raises ValueError where the version does not follow the present one, or CHANGELOG.md says nothing of it.
    """
    root = root or folder.NOTEBOOKS.parent
    package, changes, citation = root / "moe_lessons" / "__init__.py", root / "CHANGELOG.md", root / "CITATION.cff"
    now = Version(present(package))
    if not re.fullmatch(r"\d+\.\d+\.\d+(\.dev0)?", version) or Version(version) <= now:
        raise ValueError(f"VERSION is {version!r}, but must follow {now}: such as {now.base_version} or a later .dev0")
    then = Version(version)
    log = changes.read_text(encoding="utf-8")
    if then.dev is None:
        day = (date or datetime.date.today()).isoformat()
        log, found = re.subn(rf"^## \S+ \({UNRELEASED}\)\n(?=\n- )", f"## {version} ({day})\n", log, flags=re.MULTILINE)
        if found != 1:
            raise ValueError(f"CHANGELOG.md has no '## {version} ({UNRELEASED})' with changes below; write them down")
        text = re.sub(r"^version: .*$", f"version: {version}", citation.read_text(encoding="utf-8"), flags=re.MULTILINE)
        text = re.sub(r"^date-released: .*\n", "", text, flags=re.MULTILINE) + f"date-released: {day}\n"
        _write(citation, text)
    elif UNRELEASED in log:
        raise ValueError(f"CHANGELOG.md still has a section that is {UNRELEASED}; release that one first")
    else:
        log = log.replace("\n## ", f"\n## {then.base_version} ({UNRELEASED})\n\n## ", 1)
    _write(changes, log)
    source = package.read_text(encoding="utf-8")
    _write(package, source.replace(f'__version__ = "{now}"', f'__version__ = "{version}"'))


def present(package: Path) -> str:
    """The version that the package's `__init__.py` says."""
    found = re.search(r'^__version__ = "(.+?)"', package.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{package} says no __version__; put it back")
    return found.group(1)


def _write(path: Path, text: str) -> None:
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")
