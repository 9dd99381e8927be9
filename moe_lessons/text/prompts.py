"""The course's own prompts, for the box in which a learner types one."""

import tomllib

from moe_lessons.resources import data_path


def prompts() -> dict[str, list[str]]:
    """Short prompts by domain; those under "other" belong to none (emoji, other scripts)."""
    with data_path("prompts.toml").open("rb") as file:
        return tomllib.load(file)["prompts"]


def examples() -> dict[str, str]:
    """One prompt of each domain by the name that a reader sees, for a widget's list of texts to choose from."""
    return {name.replace("_", " "): texts[0] for name, texts in prompts().items()}
