"""What of RouterView is seen at once: which knobs stand beside the picture, and which panels are open below it."""

from collections.abc import Iterable

#: The knobs by their traits. A seed stands beside its noise, and what is switched off beside the expert.
KNOB_NAMES = (
    "layer",
    "top_k",
    "top_groups",
    "temperature",
    "score_function",
    "normalize",
    "noise",
    "capacity",
    "dropping",
    "acts_on",
    "highlight",
    "bias",
)
SHOWN_AT_ONCE = ("layer", "top_k")
PANEL_NAMES = ("layers", "load", "scores", "guesses")


def check_knobs(names: Iterable[str]) -> list[str]:
    """The names as a list; raise ValueError for one that is no knob."""
    return _check("knobs", names, KNOB_NAMES)


def check_panels(names: Iterable[str]) -> list[str]:
    """The names as a list; raise ValueError for one that is no panel."""
    return _check("panels", names, PANEL_NAMES)


def _check(argument: str, names: Iterable[str], known: tuple[str, ...]) -> list[str]:
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        if name not in known:
            raise ValueError(f"{argument} names {name!r}, which RouterView lacks; choose from {', '.join(known)}")
    return names
