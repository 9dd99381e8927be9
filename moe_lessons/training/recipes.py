"""Which model, and which way to train it, for a text and a machine: read from the cards in `data/models`."""

from dataclasses import replace
from typing import Any, NamedTuple

from moe_lessons.cards import card_values
from moe_lessons.config import ModelConfig, TrainConfig


class Recipe(NamedTuple):
    """A model's sizes and how it was found to train best."""

    card: str
    model: ModelConfig
    train: dict[str, Any]  # arguments of TrainConfig, without the length of the run

    def train_config(self, **changes: Any) -> TrainConfig:
        """The run: give `steps` or `seconds`, and anything else that shall differ."""
        return TrainConfig(**(self.train | changes))

    def model_config(self, vocab_size: int) -> ModelConfig:
        """The card's model for a tokenizer of this size."""
        return replace(self.model, vocab_size=vocab_size)


def recipe(model: str, device_type: str = "cpu", *, own_text: bool = False) -> Recipe:
    """The recipe for "dense" or "moe", or for a card by name.

    "dense" and "moe" are small on a CPU and larger on a GPU, which trains them in the same time; with `own_text`
    they are the ones tuned for about a megabyte of one kind of text. Raises ValueError for an unknown name.
    """
    if model in ("dense", "moe"):
        size = "-gpu" if device_type == "cuda" and not own_text else ""
        model = f"{'text' if own_text else 'course'}-{model}{size}"
    card = card_values(model)
    return Recipe(model, ModelConfig.from_dict(card["config"]), card.get("train", {}))
