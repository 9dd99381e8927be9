"""What a message from the browser does to a RouterView: each is answered, and a failure becomes one sentence."""

from typing import TYPE_CHECKING, Any

from moe_lessons.widgets.router_view.knobs import ASKED

if TYPE_CHECKING:
    from moe_lessons.widgets.router_view import RouterView


def receive(view: "RouterView", content: Any) -> None:
    """Do what is asked: {"ask": text}, {"apply": all knobs} or {"keep": whether to compare}; ignore the rest."""
    if not isinstance(content, dict):
        return
    if isinstance(content.get("ask"), str):
        view.show(content["ask"])
    elif isinstance(content.get("apply"), dict):
        with view.hold_sync():
            try:
                # The message may overtake the traits that the browser saves.
                with view.hold_trait_notifications():
                    for name in set(content["apply"]) & set(ASKED):
                        setattr(view, name, content["apply"][name])
            except Exception as error:
                view.message = sentence(error)
                view.answered += 1
                return
            view.apply()
    elif isinstance(content.get("keep"), bool):
        with view.hold_sync():
            view.compared = view.trace if content["keep"] else None
            view.answered += 1


def sentence(error: Exception) -> str:
    """What went wrong in one line; the class's name only where the words alone would not do."""
    words = " ".join(str(error).split())
    plain = isinstance(error, ValueError | OSError) and words
    words = words if plain else f"{type(error).__name__}: {words}" if words else type(error).__name__
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")
