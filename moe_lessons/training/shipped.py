"""The models that come with the course, each opened in one line: data/checkpoints."""

from functools import cached_property

from moe_lessons.model.transformer import Transformer
from moe_lessons.resources import data_path
from moe_lessons.text.tokenizer import Tokenizer
from moe_lessons.tracing.ask import Tracer, tracer
from moe_lessons.training.checkpoint import load_checkpoint


class Shipped:
    """A trained model of the course with its tokenizer; `ask(text)` gives the route of each of a text's tokens."""

    def __init__(self, name: str, model: Transformer) -> None:
        self.name, self.model, self.tokenizer = name, model, Tokenizer.load()

    @cached_property
    def ask(self) -> Tracer:
        """What answers a text with its trace; ValueError for a model without a router."""
        return tracer(self.model, self.tokenizer, self.name)


def open_shipped(name: str = "course-moe") -> Shipped:
    """A model of data/checkpoints, ready to read: "course-moe" or "course-dense"; ValueError for another name."""
    known = sorted(path.stem for path in data_path("checkpoints").glob("*.safetensors"))
    if name not in known:
        raise ValueError(f"the course ships no model {name!r}; choose from {', '.join(known)}")
    return Shipped(name, load_checkpoint(data_path(f"checkpoints/{name}.safetensors")).model.eval())
