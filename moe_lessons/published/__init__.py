"""Published models: their sizes, and their weights in and out of Hugging Face's `transformers`."""

from moe_lessons.cards import card_names
from moe_lessons.published.cards import Card, cost, count_card, read_card
from moe_lessons.published.hugging_face import from_hugging_face, to_hugging_face

__all__ = ["Card", "card_names", "cost", "count_card", "from_hugging_face", "read_card", "to_hugging_face"]
