"""The model cards of data/models as they are written, for configurations, recipes and published models."""

import tomllib
from typing import Any

from moe_lessons.resources import data_path


def card_names(*, later: bool = False) -> list[str]:
    """All cards, in the order of the alphabet; with `later` also data/models/later, models since April 2025."""
    folders = [data_path("models"), *([data_path("models/later")] if later else [])]
    return sorted(path.stem for folder in folders for path in folder.glob("*.toml"))


def card_values(name: str) -> dict[str, Any]:
    """What `data/models/<name>.toml` says; an unknown name is a ValueError that lists the known ones."""
    known = card_names(later=True)
    if name not in known:
        raise ValueError(f"there is no model card {name!r}; the cards are: {', '.join(known)}")
    here, later = (data_path(folder) / f"{name}.toml" for folder in ("models", "models/later"))
    return tomllib.loads((here if here.is_file() else later).read_text(encoding="utf-8"))
