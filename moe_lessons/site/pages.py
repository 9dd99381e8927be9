"""The lessons' pages, made by Sphinx: `pip install -c constraints.txt -e ".[site]"` brings it."""

import io
import re
import shutil
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from moe_lessons.authoring import folder, states
from moe_lessons.languages import later
from moe_lessons.languages.catalogs import SOURCE, lessons_of, translations
from moe_lessons.languages.pages import unmarked
from moe_lessons.site.editions import Edition, others
from moe_lessons.site.lessons import BESIDE, ENGLISH, prepare, titles
from moe_lessons.site.math import copy_mathjax

TEXTS = Path(__file__).parent / "pages"
ICON = Path(__file__).parent / "front_page" / "icon.svg"
_INNER = [".buildinfo*", "objects.inv", "_sources", "genindex.html"]  # what Sphinx keeps for itself, or nobody reads
_EXTENSIONS = ["myst_nb", "sphinx.ext.mathjax"]
_SIDEBAR = ["navbar-logo.html", "languages.html", "search-button-field.html", "sbt-sidebar-nav.html"]
_REGION, _HOME = later("Course"), later("moe-lessons: the front page")
_SHOW, _HIDE = later("Show the code"), later("Hide the code")


def build_pages(
    site: Path,
    scratch: Path,
    wanted: set[str] | None = None,
    edition: Edition = ENGLISH,
    every: Sequence[Edition] = (ENGLISH,),
) -> None:
    """Make the lessons of one edition of `every`, or of those whose names begin with a number in `wanted`.

    Sphinx keeps what it knows of unchanged lessons in `scratch`. Raises ValueError where Sphinx is not installed or
    complains.
    """
    try:
        from sphinx.application import Sphinx  # pyright: ignore[reportMissingImports]
        from sphinx.util.console import nocolor  # pyright: ignore[reportMissingImports]
        from sphinx.util.docutils import docutils_namespace, patch_docutils  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError(
            'Sphinx is not installed; type: .venv/bin/pip install -c constraints.txt -e ".[site]"'
        ) from None
    for number in sorted((wanted or set()) - {name[:2] for name, _ in titles()}):
        raise ValueError(f"there is no lesson {number}; name lessons by their numbers, such as 00 05")
    source, pages = scratch / "source", site / edition.folder / "lessons"
    shutil.rmtree(source, ignore_errors=True)
    (source / "_static").mkdir(parents=True)
    shutil.copy(TEXTS / "lessons.css", source / "_static")
    copy_mathjax(source / "_static" / "mathjax")
    templates = scratch / "templates"
    templates.mkdir(parents=True, exist_ok=True)
    said = translations(edition.code) if edition is not ENGLISH else {}
    for template in TEXTS.glob("*.html"):
        text = unmarked(template.read_text(encoding="utf-8"), said)
        (templates / template.name).write_text(text, encoding="utf-8")
    names = []
    for name, path in titles():
        if wanted is None or name[:2] in wanted:
            names.append(name)
            page = prepare(folder.read(path), name, site / BESIDE, states.read(name), edition)
            folder.write(page, source / f"{name}.ipynb")
    index = unmarked((TEXTS / "index.md").read_text(encoding="utf-8"), said)
    (source / "index.md").write_text(index.replace("LESSONS", "\n".join(names)), encoding="utf-8")
    complaints = io.StringIO()
    nocolor()
    with patch_docutils(None), docutils_namespace():
        app = Sphinx(
            source,
            None,
            scratch / "html",
            scratch / "doctrees",
            "html",
            confoverrides=_settings(edition, every, templates),
            status=None,
            warning=complaints,
            freshenv=wanted is not None,
        )
        app.build()
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(scratch / "html", pages, ignore=shutil.ignore_patterns(*_INNER))
    for page in pages.glob("*.html"):
        is_english = page.stem in names and page.stem[:2] not in lessons_of(edition.code)
        translated = edition.code == SOURCE or not is_english
        page.write_text(_mended(page.read_text(encoding="utf-8"), edition, translated), encoding="utf-8")
    # With some lessons alone, links to the others lead nowhere.
    found = [line for line in complaints.getvalue().splitlines() if wanted is None or "xref_missing" not in line]
    if found:
        raise ValueError("Sphinx complains of the lessons:\n" + "\n".join(found))


def _mended(page: str, edition: Edition, translated: bool = True) -> str:
    """A page whose names for screen readers say what is seen, and whose logo stands in a region of the page."""
    page = re.sub(r' title="([^"]+)" aria-label="\1" data-bs-placement', r' title="\1" data-bs-placement', page)
    page = re.sub(r'<summary aria-label="[^"]*">', "<summary>", page)
    if not translated:  # for screen readers, and for the widgets in it
        page = page.replace('<article class="bd-article', f'<article lang="{SOURCE}" class="bd-article', 1)
    first = '<div class="sidebar-primary-item">'
    return page.replace(first, f'{first[:-1]} role="region" aria-label="{edition.said(_REGION)}">', 1)


def _settings(edition: Edition, every: Sequence[Edition], templates: Path) -> dict[str, object]:
    """Sphinx's configuration."""
    icon = urllib.parse.quote(ICON.read_text(encoding="utf-8").strip())
    return {
        "project": "moe-lessons",
        "author": "The moe-lessons authors",
        "language": edition.code,
        "extensions": _EXTENSIONS,
        "suppress_warnings": ["mystnb.unknown_mime_type", "misc.copy_overwrite", "myst.header", "config.cache"],
        "templates_path": [str(templates)],
        "html_theme": "sphinx_book_theme",
        "html_title": "moe-lessons",
        "html_static_path": ["_static"],
        "html_css_files": ["lessons.css"],
        "html_use_index": False,
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_context": {
            "moe_icon": icon,
            "moe_root": edition.root,
            "moe_languages": others(edition, every),
            "default_mode": "auto",
        },
        "html_sidebars": {"**": _SIDEBAR},
        "html_theme_options": {
            "logo": {"text": "moe-lessons", "link": "../index.html", "alt_text": edition.said(_HOME)},
            "navbar_persistent": [],  # the side bar has the search
            "show_toc_level": 2,
            "use_download_button": False,
            "use_fullscreen_button": False,
            "home_page_in_toc": True,
        },
        "nb_execution_mode": "off",
        "nb_code_prompt_show": edition.said(_SHOW),
        "nb_code_prompt_hide": edition.said(_HIDE),
        "nb_merge_streams": True,
        "nb_render_markdown_format": "myst",  # tables, and links to lessons, as in the text itself
        "myst_enable_extensions": ["dollarmath", "amsmath"],
        "myst_heading_anchors": 3,
        "mathjax_path": "mathjax/tex-chtml.js",
        "mathjax_options": {"defer": "defer"},
        "mathjax3_config": {"options": {"enableMenu": False}},
    }
