"""A few slots for many experts: who stays when another must come in, and how often the one asked for is there.

Every policy is one sentence: who is worth least. Belady's (IBM Systems Journal 5, 1966) knows the future, so nobody
can have it, and nobody can be better; LRU on experts is Eliseev and Mazur's (arXiv:2312.17238).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

POLICIES = ("lru", "lfu", "pinned", "random", "belady")
EMPTY = -1  # what an empty slot holds

Worth = Callable[["Slots", int], Any]


class Load(NamedTuple):
    """An expert that was fetched into a slot."""

    expert: int
    slot: int


class Slots:
    """`n_slots` places for experts, empty at first; when they are full, the expert worth least makes room.

    `worth(slots, expert)` may look at `last`, the turn of each expert's last use, at `count`, how often it was asked
    for, and at `turn`, the present one. A tie goes against the lower number.
    """

    def __init__(self, n_slots: int, worth: Worth | None = None) -> None:
        if n_slots < 1:
            raise ValueError(f"n_slots is {n_slots}, but must be at least 1; top_k is the least that writes well")
        self.holds = [EMPTY] * n_slots
        self.worth = worth or least_recently_used
        self.slot_of: dict[int, int] = {}
        self.last: dict[int, int] = {}
        self.count: dict[int, int] = {}
        self.turn = -1

    def ask(self, experts: Sequence[int]) -> list[Load]:
        """One token's experts, all of which are then there; what had to be fetched for it, in order.

        None of them makes room for another one. Raises ValueError where they outnumber the slots.
        """
        if len(set(experts)) > len(self.holds):
            raise ValueError(
                f"a token asks for {len(set(experts))} experts, but there are {len(self.holds)} slots; give it more"
            )
        self.turn += 1
        loads = [self.bring(expert, keep=experts) for expert in experts if expert not in self.slot_of]
        for expert in experts:
            self.used(expert, self.turn)
        return loads

    def bring(self, expert: int, keep: Iterable[int] = ()) -> Load:
        """Make room for an expert that is not there; none of `keep` goes, unless only they are left."""
        if EMPTY in self.holds:
            slot = self.holds.index(EMPTY)
        else:
            kept = set(keep)
            may_go = [held for held in self.holds if held not in kept] or self.holds
            out = min(may_go, key=lambda held: (self.worth(self, held), held))
            slot = self.slot_of.pop(out)
        self.holds[slot], self.slot_of[expert] = expert, slot
        return Load(expert, slot)

    def used(self, expert: int, turn: int) -> None:
        """Note that an expert was asked for in this turn."""
        self.last[expert] = self.turn = max(turn, self.turn)
        self.count[expert] = self.count.get(expert, 0) + 1


def least_recently_used(slots: Slots, expert: int) -> int:
    """Who was last asked for longest ago goes."""
    return slots.last.get(expert, -1)


def least_frequently_used(slots: Slots, expert: int) -> tuple[int, int]:
    """Who was asked for least often so far goes; among equals, longest ago."""
    return slots.count.get(expert, 0), slots.last.get(expert, -1)


def pinned(stay: Iterable[int]) -> Worth:
    """These never go; the other slots are LRU's."""
    stay = frozenset(stay)
    return lambda slots, expert: (expert in stay, slots.last.get(expert, -1))


def at_random(seed: int = 0) -> Worth:
    """Anybody may go: the lower control."""
    rng = np.random.default_rng(seed)
    return lambda slots, expert: rng.random()


def belady(requests: Int[np.ndarray, "tokens top_k"]) -> Worth:
    """Who is asked for again last goes, if ever: the upper control, for it has read the future."""
    uses: dict[int, np.ndarray] = {
        int(expert): np.flatnonzero((requests == expert).any(axis=1)) for expert in np.unique(requests)
    }

    def worth(slots: Slots, expert: int) -> float:
        coming = uses[expert]
        at = np.searchsorted(coming, slots.turn)
        return -float(coming[at]) if at < len(coming) else -np.inf

    return worth


class Replay(NamedTuple):
    """What slots would have done on a recorded trace."""

    hit: Bool[np.ndarray, "layers tokens top_k"]  # the choice was in memory when its token asked
    #: What the slots held after each token's turn, -1 where empty; with shared slots layer * n_experts + expert.
    holds: Int[np.ndarray, "layers tokens slots"]

    @property
    def loads(self) -> Int[np.ndarray, "layers tokens"]:
        """Experts fetched for each token in each layer."""
        return (~self.hit).sum(axis=2)

    @property
    def hit_rate(self) -> float:
        """The share of all choices that were in memory; nan without tokens."""
        return float(self.hit.mean()) if self.hit.size else float("nan")

    @property
    def loads_per_token(self) -> float:
        """Experts fetched for a token, all layers together; nan without tokens."""
        return float(self.loads.sum(axis=0).mean()) if self.hit.size else float("nan")


def replay(
    experts: Int[np.ndarray, "layers tokens top_k"],
    n_experts: int,
    slots: int,
    policy: str = "lru",
    *,
    shared: bool = False,
    calibration: Int[np.ndarray, "layers more_tokens top_k"] | None = None,
    seed: int = 0,
) -> Replay:
    """What `slots` slots, in each layer or with `shared` for all layers together, would have done on a trace.

    They are empty at first and filled by what is asked for; the first time counts as a load like any other. "pinned"
    keeps the `slots - top_k` experts that `calibration`, the choices on another text, asked for most often, and leaves
    the rest to LRU. Raises ValueError for an unknown policy, fewer slots than top_k, or "pinned" without calibration or
    with another model's.
    """
    layers, tokens, top_k = experts.shape
    if policy not in POLICIES:
        raise ValueError(f"policy is {policy!r}, but must be one of: {', '.join(POLICIES)}")
    if slots < top_k:
        raise ValueError(f"slots is {slots}, but one token's {top_k} experts must be in memory; give at least {top_k}")
    if policy == "pinned" and calibration is None:
        raise ValueError("policy 'pinned' needs calibration: the choices on a text that says which experts to keep")
    if calibration is not None and len(calibration) != layers:
        raise ValueError(
            f"calibration has {len(calibration)} layers, but experts has {layers}; record both with one model"
        )
    if experts.size and not 0 <= experts.min() <= experts.max() < n_experts:
        raise ValueError(f"experts names an expert outside 0 to {n_experts - 1}; n_experts must be the model's own")
    shelves = _one_shelf(experts, n_experts) if shared else experts
    known = calibration if calibration is None or not shared else _one_shelf(calibration, n_experts)
    hit = np.zeros(shelves.shape, dtype=bool)
    holds = np.full((*shelves.shape[:2], slots), EMPTY, dtype=np.int64)
    for shelf, requests in enumerate(shelves):
        worth = _worth(policy, requests, slots - top_k, None if known is None else known[shelf], seed + shelf)
        state = Slots(slots, worth)
        for turn, wanted in enumerate(requests.tolist()):
            fetched = {load.expert for load in state.ask(wanted)}
            hit[shelf, turn] = [expert not in fetched for expert in wanted]
            holds[shelf, turn] = state.holds
    if shared:  # one row of turns, token by token and layer by layer within a token
        hit = hit.reshape(tokens, layers, top_k).transpose(1, 0, 2)
        holds = holds.reshape(tokens, layers, slots).transpose(1, 0, 2)
    return Replay(hit, holds)


def most_used(requests: Int[np.ndarray, "tokens top_k"], n: int) -> list[int]:
    """The n experts asked for most often, a tie going to the lower number; fewer where fewer were asked for."""
    numbers, counts = np.unique(requests, return_counts=True)
    return numbers[np.argsort(-counts, kind="stable")[: max(n, 0)]].tolist()


def covered(
    experts: Int[np.ndarray, "layers tokens top_k"], calibration: Int[np.ndarray, "layers more_tokens top_k"], n: int
) -> float:
    """The share of choices among each layer's n experts that the other text used most: a list that never changes."""
    lists = [most_used(layer, n) for layer in calibration]
    return float(np.mean([np.isin(layer, known) for layer, known in zip(experts, lists, strict=True)]))


def _one_shelf(experts: np.ndarray, n_experts: int) -> np.ndarray:
    """All layers' choices in the order of asking, with numbers of their own: [1, tokens * layers, top_k]."""
    numbered = experts + n_experts * np.arange(len(experts))[:, None, None]
    return numbered.transpose(1, 0, 2).reshape(1, -1, experts.shape[2])


def _worth(policy: str, requests: np.ndarray, pins: int, known: np.ndarray | None, seed: int) -> Worth:
    if policy == "belady":
        return belady(requests)
    if policy == "pinned" and known is not None:
        return pinned(most_used(known, pins))
    return {"lru": least_recently_used, "lfu": least_frequently_used}.get(policy) or at_random(seed)
