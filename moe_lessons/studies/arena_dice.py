"""Why is a table of dice ahead? Dice that hang on something else than the token, and choices that do not stand still.

OMP_NUM_THREADS=1 python -m moe_lessons.studies.arena_dice --seeds 3 --out data/studies/arena-dice.json
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from moe_lessons.capstone.arena import STEPS, Arena
from moe_lessons.capstone.contract import AnyRouter, seat_routers
from moe_lessons.capstone.routers import HashRouter, SoftmaxRouter
from moe_lessons.model.router import Routing
from moe_lessons.model.transformer import Transformer, next_token_loss
from moe_lessons.studies.keep import main_by_seed
from moe_lessons.text.corpus import Corpus, course_corpus
from moe_lessons.tracing import record_routing
from moe_lessons.training.loop import train


class Ends(NamedTuple):
    """Where each router ends with one seed."""

    seed: int
    losses: dict[str, float]  # held-out, in nats per token
    moved: dict[str, float]  # share of held-out tokens that have other experts after training than before


def dice(length: int) -> Mapping[str, type[HashRouter]]:
    """Four tables of dice, lesson 14's first, alike but for what is looked up; a text has `length` tokens."""

    class ByTokenBefore(HashRouter):
        """Experts by the id of the token before; the first of a text counts as token 0."""

        def forward(self, hidden: Float[Tensor, "tokens dim"], token_ids: Int[Tensor, " tokens"]) -> Routing:
            before = token_ids.view(-1, length).roll(1, 1)
            before[:, 0] = 0
            return super().forward(hidden, before.flatten())

    class ByPlace(HashRouter):
        """Experts by the place in the text: as still as the others, and no token has a say."""

        def forward(self, hidden: Float[Tensor, "tokens dim"], token_ids: Int[Tensor, " tokens"]) -> Routing:
            return super().forward(hidden, torch.arange(len(token_ids), device=hidden.device) % length)

    class Anew(HashRouter):
        """Experts by a row of the table that is drawn each time: balanced and equal in weight, and never still."""

        def forward(self, hidden: Float[Tensor, "tokens dim"], token_ids: Int[Tensor, " tokens"]) -> Routing:
            return super().forward(hidden, torch.randint(len(self.table), token_ids.shape, device=hidden.device))

    return {"token": HashRouter, "token before": ByTokenBefore, "place": ByPlace, "anew": Anew}


class FrozenRouter(SoftmaxRouter):
    """The softmax router, whose rows stay as they were drawn."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.weight.requires_grad_(False)


def ends(corpus: Corpus, seed: int, steps: int = STEPS) -> Ends:
    """All of them in the arena, without its checks and its leaderboard."""
    arena = Arena(corpus, steps=steps)
    routers: dict[str, AnyRouter] = {**dice(arena.config.max_length), "frozen": FrozenRouter, "softmax": SoftmaxRouter}
    found = {name: _end(arena, router, seed, 0.01 if name == "softmax" else 0.0) for name, router in routers.items()}
    return Ends(seed, *({name: round(pair[at], 4) for name, pair in found.items()} for at in (0, 1)))


def _end(arena: Arena, router: AnyRouter, seed: int, balance_loss: float) -> tuple[float, float]:
    model = seat_routers(Transformer(arena.config, device=arena.device, seed=seed), router, seed)
    before = _choices(model.eval(), arena)
    train(model, arena.text, replace(arena.train, balance_loss=balance_loss, seed=seed), progress=False)
    moved = (_choices(model.eval(), arena) != before).any(dim=-1).float().mean().item()
    with torch.no_grad():
        return next_token_loss(model(arena.inputs), arena.targets).item(), moved


def _choices(model: Transformer, arena: Arena) -> Int[Tensor, "layers tokens top_k"]:
    """Each held-out token's experts, in order."""
    with record_routing(model) as trace, torch.no_grad():
        model(arena.inputs)
    return torch.from_numpy(trace.experts).sort(dim=-1).values


def measure(seed: int) -> dict[str, Any]:
    """The study's row of one seed."""
    return ends(course_corpus(progress=False), seed)._asdict()


if __name__ == "__main__":
    main_by_seed(__doc__, "arena_dice", 3, measure)
