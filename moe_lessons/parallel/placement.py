"""Which machine holds which expert, and which experts twice: placement by load, with replicas of the hottest.

The method of DeepSeek's Expert Parallelism Load Balancer (github.com/deepseek-ai/EPLB, its description; here in our own
code): replicate greedily, then pack by load; where experts are chosen in groups, whole groups go to nodes first. The
report calls the copies redundant experts (DeepSeek-V3, arXiv:2412.19437, section 3.4.1).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num


class Placement(NamedTuple):
    """The experts that each machine keeps of one layer; an expert that stands there more than once has replicas."""

    experts: Int[np.ndarray, "machines slots"]

    @property
    def replicas(self) -> Int[np.ndarray, " experts"]:
        """How many copies there are of each expert."""
        return np.bincount(self.experts.ravel())

    def load(self, load: Num[np.ndarray, "*steps experts"]) -> Float[np.ndarray, "*steps machines"]:
        """The choices that each machine works on, where an expert's are shared out evenly among its replicas."""
        return (load / self.replicas)[..., self.experts].sum(axis=-1)


def busiest(load: Num[np.ndarray, "*steps machines"]) -> Float[np.ndarray, "*steps"]:
    """The busiest machine's load in times of the mean: how much longer a layer takes than with perfect balance."""
    return load.max(axis=-1) / load.mean(axis=-1)


def in_order(n_experts: int, n_machines: int) -> Placement:
    """Neighbors together, whatever their load, and no replicas. ValueError where the parts would not be equal."""
    if n_machines < 1 or n_experts % n_machines:
        raise ValueError(
            f"n_machines is {n_machines}, but must divide the {n_experts} experts into equal parts; choose another"
        )
    return Placement(np.arange(n_experts).reshape(n_machines, -1))


def replicate(load: Num[np.ndarray, " experts"], n_slots: int, most: int | None = None) -> Int[np.ndarray, " experts"]:
    """Copies of each expert: one each, and every further slot for the expert whose copies carry the most.

    No expert gets more than `most`, such as the number of machines. Greedy, and yet the best there is: no other
    numbers leave a lighter heaviest copy. Raises ValueError where slots are too few for one copy each, or too many.
    """
    most = n_slots if most is None else most
    if not len(load) <= n_slots <= len(load) * most:
        raise ValueError(
            f"n_slots is {n_slots}, but {len(load)} experts with at least 1 and at most {most} copies each take from "
            f"{len(load)} to {len(load) * most}; choose a number between"
        )
    copies = np.ones(len(load), dtype=np.int64)
    for _ in range(n_slots - len(load)):
        copies[np.argmax(np.where(copies < most, load / copies, -1))] += 1
    return copies


def pack(
    weights: Num[np.ndarray, " items"], n_bins: int, kinds: Int[np.ndarray, " items"] | None = None
) -> Int[np.ndarray, " items"]:
    """The bin of each item: the heaviest first, each into the lightest bin that has room, all bins equally many.

    Items of one of the `kinds` (replicas of one expert) go into different bins as long as there is such a bin with
    room. Raises ValueError where the bins could not hold equally many.
    """
    if n_bins < 1 or len(weights) % n_bins:
        raise ValueError(f"{len(weights)} items do not fill {n_bins} bins equally; give a multiple of the bins")
    room = np.full(n_bins, len(weights) // n_bins)
    kinds = np.arange(len(weights)) if kinds is None else kinds
    filled, found = np.zeros(n_bins), np.zeros(len(weights), dtype=np.int64)
    held: list[set[int]] = [set() for _ in range(n_bins)]
    for item in np.argsort(-weights, kind="stable"):
        kind = int(kinds[item])
        best = min((b for b in range(n_bins) if room[b]), key=lambda b: (kind in held[b], filled[b], b))
        found[item] = best
        filled[best] += weights[item]
        room[best] -= 1
        held[best].add(kind)
    return found


def place(
    load: Num[np.ndarray, " experts"],
    n_machines: int,
    n_slots: int | None = None,
    *,
    n_groups: int = 1,
    n_nodes: int = 1,
) -> Placement:
    """Where the experts of one layer go, given the load expected of each; n_slots in all, by default no replicas.

    With more than one node, machines of a node are neighbors, and every group of neighboring experts stays within one
    node, so that a token that keeps to few groups reaches few nodes (EPLB's hierarchical policy). It is no exact
    method: a load that is even already may come out less even with replicas. Raises ValueError where slots, machines,
    groups and nodes do not divide into equal parts, and for a load below 0.
    """
    load = np.asarray(load)
    n_slots = len(load) if n_slots is None else n_slots
    for words, whole, parts in (
        ("slots on the machines", n_slots, n_machines),
        ("machines on the nodes", n_machines, n_nodes),
        ("groups on the nodes", n_groups if n_nodes > 1 else n_nodes, n_nodes),
        ("experts on the groups", len(load), n_groups),
    ):
        if parts < 1 or whole % parts:
            raise ValueError(
                f"{whole} {words}, of which there are {parts}, do not come out equal; change one of the two"
            )
    if (load < 0).any():
        raise ValueError(f"load is {load.min()} for an expert, but counts choices; give numbers from 0 on")
    group = np.arange(len(load)) // (len(load) // n_groups)
    node_of = pack(np.bincount(group, weights=load), n_nodes) if n_nodes > 1 else np.zeros(n_groups, dtype=np.int64)
    rows = []
    for node in range(n_nodes):
        mine = np.flatnonzero(node_of[group] == node)
        copies = replicate(load[mine], n_slots // n_nodes, n_machines // n_nodes)
        experts = np.repeat(mine, copies)
        machine = pack(np.repeat(load[mine] / copies, copies), n_machines // n_nodes, experts)
        rows += [np.sort(experts[machine == at]) for at in range(n_machines // n_nodes)]
    return Placement(np.stack(rows))
