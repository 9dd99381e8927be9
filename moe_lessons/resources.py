"""Where the course's own files lie, and where it may write: the only module that knows about folders."""

import os
from pathlib import Path


def data_path(name: str = "") -> Path:
    """The path of a committed data file, in a checkout as in an installed wheel.

    Raises FileNotFoundError, naming the file, where the installation lacks it.
    """
    package = Path(__file__).parent
    for folder in (package / "data", package.parent / "data"):
        if (folder / name).exists() and (folder / "models" / "course-dense.toml").exists():
            return folder / name
    raise FileNotFoundError(f"data/{name} is missing from this installation of moe-lessons; install it again")


def notebooks_path() -> Path:
    """The folder of the lessons, in a checkout as in an installed wheel.

    Raises FileNotFoundError where the installation has none.
    """
    package = Path(__file__).parent
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if any(folder.glob("[0-9]*.ipynb")):
            return folder
    raise FileNotFoundError("the lessons are missing from this installation of moe-lessons; install it again")


def cache_dir() -> Path:
    """The folder for what can be made again (corpora, runs); MOE_LESSONS_CACHE moves it. Not created here."""
    override = os.environ.get("MOE_LESSONS_CACHE")
    if override:
        return Path(override)
    import platformdirs  # here, so that the doctor also starts where nothing is installed

    return Path(platformdirs.user_cache_dir("moe-lessons", appauthor=False))
