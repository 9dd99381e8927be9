"""A model run once, unheard, so that its routing can be learned before anybody asks it something."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch import Tensor, nn

REHEARSING: ContextVar[bool] = ContextVar("rehearsing", default=False)


class Listener(Protocol):
    """Whoever learns from a rehearsal."""

    def register_forward_hook(self, hook: Callable) -> "Handles": ...


class Handles:
    """Several hooks that are removed together."""

    def __init__(self, handles: Iterable[Any]) -> None:
        self._handles = list(handles)

    def remove(self) -> None:
        """Take them all off; once more does nothing."""
        while self._handles:
            self._handles.pop().remove()


@torch.no_grad()
def rehearse(model: nn.Module, routers: Iterable[Listener]) -> None:
    """Run a model once on a few tokens, unheard by all but these routers, which learn from it.

    Raises ValueError where it does not run on tokens alone, or its routing cannot be read.
    """
    training = [module for module in model.modules() if module.training]
    token = REHEARSING.set(True)
    handles = Handles(router.register_forward_hook(lambda *heard: None) for router in routers)
    try:
        with torch.random.fork_rng(_devices(model)), run_eagerly(model):
            model.eval()(**_few_tokens(model))
    except (TypeError, RuntimeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{type(model).__name__} does not run on tokens alone ({str(error).splitlines()[0]}); make a pass of your "
            "own inside record_routing first"
        ) from error
    finally:
        REHEARSING.reset(token)
        handles.remove()
        for module in training:
            module.training = True


def _devices(model: nn.Module) -> list[int]:
    return sorted({part.get_device() for part in model.parameters() if part.is_cuda})


def _few_tokens(model: Any) -> dict[str, Tensor]:
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    embedding = model.get_input_embeddings()
    # Marks of pictures and of ends are no text.
    said = [*vars(config).items(), *vars(model.config).items()]
    marks = {value for name, value in said if _is_mark(name, value)}
    free = [number for number in range(min(embedding.num_embeddings, config.vocab_size)) if number not in marks]
    longest = getattr(config, "max_position_embeddings", None) or 64
    drawn = torch.randint(len(free), (1, min(64, longest)), generator=torch.Generator().manual_seed(0))
    ids = torch.tensor(free)[drawn].to(embedding.weight.device)
    return {"input_ids": ids} | ({"decoder_input_ids": ids} if model.config.is_encoder_decoder else {})


def _is_mark(name: str, value: object) -> bool:
    return isinstance(value, int) and name.endswith(("token_id", "token_index"))


@contextmanager
def run_eagerly(model: nn.Module) -> Iterator[None]:
    """Inside the block, a model that was compiled runs as it was written, since graphs call no hooks of ours."""
    # Asked at every step of a training, so without `hasattr`, which takes long to say no.
    compiled = any(
        "_orig_mod" in module._modules or module._compiled_call_impl is not None for module in model.modules()
    )
    if not compiled:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
