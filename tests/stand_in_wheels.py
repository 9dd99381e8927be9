"""Small wheels, and a stand-in for pip and the network that makes them."""

import zipfile
from pathlib import Path

from moe_lessons.bundle import Target


def wheel(place: Path, name: str, version: str = "1.0", tag: str = "py3-none-any", requires=(), code: str = "") -> Path:
    """A small wheel that pip installs."""
    stem = f"{name.replace('-', '_')}-{version}"
    lines = [f"Requires-Dist: {line}" for line in requires]
    extras = [f"Provides-Extra: {extra}" for extra in ("interop", "fast")]
    files = {
        f"{name.replace('-', '_')}.py": code,
        f"{stem}.dist-info/METADATA": "\n".join(
            ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *extras, *lines, ""]
        ),
        f"{stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{stem}.dist-info/RECORD": "",
    }
    if name == "moe-lessons":
        files[f"{stem}.dist-info/entry_points.txt"] = "[console_scripts]\nmoe-lessons = moe_lessons:main\n"
    path = place / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
    return path


class Shop:
    """Stands in for pip and the network: makes a wheel for whatever is asked for, and remembers it."""

    def __init__(self, requires: dict[str, list[str]] | None = None, tags: dict[str, str] | None = None) -> None:
        self.requires, self.tags, self.asked = requires or {}, tags or {}, []

    def __call__(self, requirements: list[str], target: Target, place: Path) -> None:
        self.asked.append(sorted(requirements))
        for requirement in requirements:
            name, _, version = requirement.partition("==")
            tag = self.tags.get(name, "py3-none-any")
            wheel(place, name, version or "1.0", tag, self.requires.get(name, []))
