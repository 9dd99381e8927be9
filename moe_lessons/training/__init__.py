"""One training loop for dense and sparse models, and what it needs."""

from moe_lessons.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from moe_lessons.training.evaluate import Evaluation, evaluate, mean_nats_per_byte
from moe_lessons.training.history import History
from moe_lessons.training.loop import DivergedError, train
from moe_lessons.training.memory import StoredBits, phone_book_bits
from moe_lessons.training.recipes import Recipe, recipe
from moe_lessons.training.shipped import Shipped, open_shipped

__all__ = [
    "Checkpoint",
    "DivergedError",
    "Evaluation",
    "History",
    "Recipe",
    "Shipped",
    "StoredBits",
    "evaluate",
    "load_checkpoint",
    "mean_nats_per_byte",
    "open_shipped",
    "phone_book_bits",
    "recipe",
    "save_checkpoint",
    "train",
]
