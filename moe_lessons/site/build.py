"""The whole site: front page, lessons, widgets, the model and the code that brings them to life."""

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from moe_lessons import widgets
from moe_lessons.resources import data_path
from moe_lessons.site.editions import Edition, editions, write_words
from moe_lessons.site.front import write_front_page
from moe_lessons.site.lessons import BESIDE, ENGLISH
from moe_lessons.site.pages import build_pages
from moe_lessons.site.web_checkpoint import write_web_checkpoint

_SITE = Path(__file__).parent
_ROOT = _SITE.parents[1]
_ESBUILD = _ROOT / "node_modules" / ".bin" / "esbuild"
_ENTRIES = ["front_page/front_page.js", "host/page.js"]


def build(
    site: Path,
    wanted: set[str] | None = None,
    codes: Sequence[str] | None = None,
    say: Callable[[str], object] = print,
) -> None:
    """Make the site in the folder `site`: all lessons or those of the numbers in `wanted`, in English and in the
    languages of `codes`, or in all that there are.

    Raises ValueError or OSError, with one sentence, where a tool or a file is missing.
    """
    begin = time.monotonic()
    every = editions(codes)
    build_front(site, every)
    shutil.rmtree(site / BESIDE, ignore_errors=True)
    for edition in every:
        build_pages(site, _ROOT / "build" / "site" / edition.code, wanted, edition, every)
    (site / ".nojekyll").touch()  # GitHub Pages would leave out folders whose names begin with an underscore
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    say(f"{site.name}/ is ready: {size / 1e6:.0f} MB in {time.monotonic() - begin:.0f} s; look at it: moe-lessons site")


def build_front(site: Path, every: Sequence[Edition] = (ENGLISH,)) -> None:
    """The front page, and all that it and the lessons' pages are alive with; needs no Sphinx."""
    site.mkdir(parents=True, exist_ok=True)
    write_code(site / "code")
    write_widgets(site / "widgets")
    write_model(site / "model")
    write_front_page(site, every)
    for edition in every:
        write_words(site, edition)


def write_code(target: Path) -> None:
    """Bundle the pages' modules, what is asked for later in files of its own; ValueError without esbuild."""
    if not _ESBUILD.exists():
        raise ValueError("esbuild is not installed; run npm ci, then make site")
    shutil.rmtree(target, ignore_errors=True)
    for entry in _ENTRIES:  # one by one: what both need would be a third file, which a slow network waits for
        _esbuild(str(_SITE / entry), "--bundle", "--splitting", "--entry-names=[name]", f"--outdir={target}")


def write_widgets(target: Path) -> None:
    """The widgets' front ends as they are shipped, without their blanks."""
    shutil.rmtree(target, ignore_errors=True)
    shipped = (Path(widgets.__file__).parent / "static").iterdir()
    _esbuild(*sorted(map(str, shipped)), f"--outdir={target}")


def _esbuild(*arguments: str) -> None:
    options = ["--format=esm", "--target=es2022", "--charset=utf8", "--minify", "--log-level=warning"]
    done = subprocess.run([str(_ESBUILD), *arguments, *options], capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise ValueError(f"the site's JavaScript does not build: {done.stderr.strip()}")


def write_model(target: Path) -> None:
    """The course's sparse model as a page takes it, its tokenizer, and the model's name and size."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(data_path("tokenizer.json"), target / "tokenizer.json")
    checkpoint = target / "course-moe.safetensors"
    size = write_web_checkpoint(data_path("checkpoints/course-moe.safetensors"), checkpoint)
    version = hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:12]  # a browser keeps the file by its address
    facts = {"file": f"{checkpoint.name}?{version}", "size": size}
    (target / "checkpoint.json").write_text(json.dumps(facts), encoding="utf-8")
