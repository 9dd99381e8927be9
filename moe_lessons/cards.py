"""The model cards of data/models as they are written, for configurations, recipes and published models."""

import tomllib
from typing import Any

from moe_lessons.resources import data_path


def card_names() -> list[str]:
    """All cards, in the order of the alphabet."""
    return sorted(path.stem for path in data_path("models").glob("*.toml"))


def card_values(name: str) -> dict[str, Any]:
    """What `data/models/<name>.toml` says; an unknown name is a ValueError that lists the known ones."""
    known = card_names()
    if name not in known:
        raise ValueError(f"there is no model card {name!r}; the cards are: {', '.join(known)}")
    return tomllib.loads(data_path(f"models/{name}.toml").read_text(encoding="utf-8"))
