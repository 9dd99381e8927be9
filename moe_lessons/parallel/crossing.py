"""What travels between processes that share the experts: counted from choices alone, before anything is sent."""

import numpy as np
from jaxtyping import Int


def vectors_sent(
    experts: Int[np.ndarray, "*layers tokens top_k"], home: Int[np.ndarray, " tokens"], n_experts: int, n_ranks: int
) -> Int[np.ndarray, "*layers ranks ranks"]:
    """How many token vectors go from each process (row) to each (column) in one direction, the diagonal at home.

    Neighboring experts live together, and `home` is the process that has each token. A token is sent once to a
    process, however many of its experts live there. Raises ValueError where the experts cannot be shared out evenly.
    """
    if n_experts % n_ranks:
        raise ValueError(f"n_ranks is {n_ranks}, but must divide the {n_experts} experts into equal parts")
    reached = np.zeros((*experts.shape[:-1], n_ranks), dtype=np.int64)
    np.put_along_axis(reached, experts // (n_experts // n_ranks), 1, axis=-1)
    return np.stack([reached[..., home == rank, :].sum(axis=-2) for rank in range(n_ranks)], axis=-2)


def crossing(matrix: Int[np.ndarray, "*layers ranks ranks"]) -> Int[np.ndarray, "*layers"]:
    """The sum of what does not stay at home."""
    return matrix.sum(axis=(-2, -1)) - np.trace(matrix, axis1=-2, axis2=-1)
