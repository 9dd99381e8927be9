"""Addresses of the course, all from [project.urls] in pyproject.toml; where it has none, nothing is linked."""

import re
import tomllib
from pathlib import Path

from moe_lessons.authoring import folder

FIRST = "00_start_here.ipynb"
HOSTED = "hosted"  # the branch to which .github/workflows/release.yml pushes what authoring.hosted writes
GITHUB = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)/?")


def urls(pyproject: Path | None = None) -> dict[str, str]:
    """[project.urls] of the checkout, empty where it is missing."""
    path = pyproject or folder.NOTEBOOKS.parent / "pyproject.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))["project"].get("urls", {})


def badges(addresses: dict[str, str]) -> str:
    """One line of badges for a README; empty where there is no address. Hosts other than GitHub get the site alone."""
    found = []
    if known := GITHUB.fullmatch(addresses.get("Repository", "")):
        name = known[1]
        open_lab = f"?urlpath=lab/tree/notebooks/{FIRST}"
        found += [
            ("Codespaces", "https://github.com/codespaces/badge.svg", f"https://codespaces.new/{name}"),
            ("Binder", "https://mybinder.org/badge_logo.svg", f"https://mybinder.org/v2/gh/{name}/HEAD{open_lab}"),
            ("Colab", "https://colab.research.google.com/assets/colab-badge.svg", in_colab(addresses, FIRST)),
            (
                "Kaggle",
                "https://kaggle.com/static/images/open-in-kaggle.svg",
                f"https://www.kaggle.com/kernels/welcome?src=https://github.com/{name}/blob/{HOSTED}/{FIRST}",
            ),
        ]
    line = " ".join(f"[![Open in {door}]({picture})]({address})" for door, picture, address in found)
    site = f"[The lessons as a web site]({addresses['Site']})" if "Site" in addresses else ""
    return "\n".join(filter(None, (line, site)))


def in_colab(addresses: dict[str, str], lesson: str) -> str:
    """Where Colab opens a lesson; empty where there is no address, or none of GitHub's."""
    known = GITHUB.fullmatch(addresses.get("Repository", ""))
    return f"https://colab.research.google.com/github/{known[1]}/blob/{HOSTED}/{lesson}" if known else ""


def clone(addresses: dict[str, str]) -> str:
    """What stands behind `git clone`."""
    return addresses.get("Repository", "<this repository>")
