"""The machines that a bundle is for: which wheels fit them, and what a requirement's conditions mean there.

pip reads such conditions (`; sys_platform == "win32"`) for the machine on which it runs, whatever platform it downloads
for; so a bundle's packages are found here, one level of requirements after the other.
"""

import platform
from functools import cached_property
from typing import NamedTuple

from packaging.markers import Marker, default_environment
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import InvalidWheelFilename, parse_wheel_filename


class Platform(NamedTuple):
    """A kind of machine: the tags of wheels that it takes, best first, and what packages ask about it."""

    tags: tuple[str, ...]
    markers: dict[str, str]
    local: str = ""  # of PyTorch's version: which of several builds


def _linux(machine: str) -> Platform:
    """Linux with glibc 2.28 or later (Debian 10, Ubuntu 18.10, RHEL 8): what PyTorch's own wheels need."""
    old = {17: "2014", 12: "2010", 5: "1"}
    tags = []
    for minor in range(28, 4, -1):
        tags.append(f"manylinux_2_{minor}_{machine}")
        if minor in old and (machine == "x86_64" or minor == 17):
            tags.append(f"manylinux{old[minor]}_{machine}")
    markers = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": machine}
    # The other build needs some gigabytes of NVIDIA's libraries.
    return Platform((*tags, f"linux_{machine}"), markers, local="cpu")


PLATFORMS = {
    "linux": _linux("x86_64"),
    "linux-arm": _linux("aarch64"),
    "mac": Platform(
        tuple(mac_platforms((14, 0), "arm64")),
        {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
    ),
    "windows": Platform(
        ("win_amd64",),
        {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
    ),
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


class _Fields(NamedTuple):
    platform: str
    python: str


class Target(_Fields):
    """A platform's name and a version of Python, such as ("linux", "3.12")."""

    def __new__(cls, platform: str, python: str) -> "Target":
        if platform not in PLATFORMS:
            raise ValueError(f"platform is {platform!r}, but must be one of {', '.join(PLATFORMS)}")
        if python not in PYTHONS:
            raise ValueError(f"python is {python!r}, but the course is tested with {', '.join(PYTHONS)}; name one")
        return super().__new__(cls, platform, python)

    def __str__(self) -> str:
        return f"{self.platform} with Python {self.python}"

    @property
    def pip_options(self) -> list[str]:
        """What tells pip to download for this machine."""
        tags = [option for tag in PLATFORMS[self.platform].tags for option in ("--platform", tag)]
        return ["--implementation", "cp", "--python-version", self.python, *tags]

    @cached_property
    def _tags(self) -> frozenset[Tag]:
        major, minor = map(int, self.python.split("."))
        tags, name = PLATFORMS[self.platform].tags, f"cp{major}{minor}"
        return frozenset(
            [
                *cpython_tags((major, minor), [name], tags),
                *compatible_tags((major, minor), interpreter=name, platforms=tags),
            ]
        )

    def takes(self, filename: str) -> bool:
        """Whether a wheel with this name can be installed there."""
        try:
            return not self._tags.isdisjoint(parse_wheel_filename(filename)[3])
        except InvalidWheelFilename:
            return False

    def applies(self, marker: Marker | None, extras: frozenset[str] = frozenset()) -> bool:
        """Whether a requirement with this condition holds there, for a package wanted with these extras."""
        if marker is None:
            return True
        environment = {
            **default_environment(),
            **PLATFORMS[self.platform].markers,
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "platform_python_implementation": "CPython",
        }
        return any(marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras))


def this_platform() -> str:
    """The name of the platform on which this runs; ValueError where PyTorch has no wheels for it."""
    system, machine = platform.system(), platform.machine()
    for name, known in PLATFORMS.items():
        if (known.markers["platform_system"], known.markers["platform_machine"]) == (system, machine):
            return name
    raise ValueError(
        f"this is {system} on {machine}, for which there is no bundle; name the room's machines with --for"
    )
