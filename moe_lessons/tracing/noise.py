"""Seeded noise that is the same in Python and in the browser, to the last bit: integers until the last division."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

_DRAWS = 6  # random integers for one number; each gives two halves of 16 bits


def unit_noise(
    seed: int, layers: Sequence[int], tokens: int, experts: int
) -> Float[np.ndarray, "layers tokens experts"]:
    """Noise of mean 0 and standard deviation 1, a function of seed, layer, token and expert alone.

    Each number is the sum of twelve uniform ones less its mean: nearly Gaussian, and never beyond 6 (Irwin and Hall).
    """
    layer = _mixed(_mixed(np.uint32(seed)) + np.asarray(layers, dtype=np.uint32))
    token = _mixed(layer[:, None] + np.arange(tokens, dtype=np.uint32))
    draw = _mixed(np.arange(1, 1 + experts * _DRAWS, dtype=np.uint32))
    drawn = _mixed(token[..., None] ^ draw)
    halves = (drawn >> np.uint32(16)).astype(np.int64) + (drawn & np.uint32(0xFFFF))
    return (halves.reshape(len(layers), tokens, experts, _DRAWS).sum(axis=-1) - _DRAWS * 65535) / 65536


def _mixed(x: np.ndarray | np.uint32) -> np.ndarray:
    """A number in 32 bits for each number in 32 bits, without a pattern (Wellons, "Prospecting for hash functions")."""
    x = np.atleast_1d(x)  # arrays wrap around in silence
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))
