"""Published models: their sizes, and their weights in and out of Hugging Face's `transformers`."""

from moe_lessons.published.hugging_face import from_hugging_face

__all__ = ["from_hugging_face"]
