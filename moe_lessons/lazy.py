"""Packages whose names are imported when they are first asked for, so that importing the package stays cheap."""

from collections.abc import Callable, Mapping
from importlib import import_module


def lazy(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """A package's `__getattr__`: a name in `homes` is looked up in that module of the package, another is an error."""

    def find(name: str) -> object:
        if name in homes:
            return getattr(import_module(f"{package}.{homes[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
