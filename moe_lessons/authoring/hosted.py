"""Copies of the lessons for Colab and Kaggle: each begins with a cell that installs the course.

Copies, because an installing cell is of no use to anyone who has the course already; the lessons stay without one.
"""

from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from packaging.version import Version

from moe_lessons.authoring import folder
from moe_lessons.bundle.wheels import read_pins

# What such a machine may lack. PyTorch, NumPy, Matplotlib and Jupyter's parts it has, and they are left as they are:
# another version of one that runs already would ask for a restart, and PyTorch's for minutes.
LACKING = ("anywidget", "psygnal", "einops", "jaxtyping", "wadler-lindig")
CELL = """\
# For Colab and Kaggle: installs the course in version {version}, and leaves the packages that are here as they are.
%pip install --quiet --no-deps {packages}
from moe_lessons import __version__, idle_threads

idle_threads.wait_briefly()
try:  # Colab shows widgets after this; Kaggle needs nothing
    from google.colab import output

    output.enable_custom_widget_manager()
except ImportError:
    pass
print(f"moe-lessons {{__version__}} is installed. If a picture stays empty, run this lesson on your own machine.")
"""


def write_hosted(version: str, into: Path, *, unreleased: bool = False) -> list[Path]:
    """Write every lesson with its installing cell into a folder; ValueError for a version that PyPI cannot have."""
    if Version(version).is_devrelease and not unreleased:
        raise ValueError(f"{version} is not on PyPI, where Colab would look for it; release it, or add --unreleased")
    into.mkdir(parents=True, exist_ok=True)
    written = []
    for path in folder.targets():
        folder.write(hosted(folder.read(path), version), into / path.name)
        written.append(into / path.name)
    return written


def hosted(lesson: NotebookNode, version: str) -> NotebookNode:
    """A copy of a lesson with the installing cell in front, and all other cells with their outputs as they are."""
    pins = read_pins(folder.NOTEBOOKS.parent / "constraints.txt")
    packages = " ".join([f"moe-lessons=={version}", *(f"{name}=={pins[name]}" for name in LACKING)])
    source = CELL.format(version=version, packages=packages).rstrip()
    copy = NotebookNode(lesson)
    copy.cells = [new_code_cell(source, id="install", metadata={"tags": ["nbval-skip"]}), *lesson.cells]
    return copy
