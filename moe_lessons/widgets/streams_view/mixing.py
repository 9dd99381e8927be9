"""Residual streams that only mix, layer by layer: `rule.js` is this file's twin in the browser."""

import numpy as np
from jaxtyping import Float

EPS = 1e-6  # is added before anything is divided, as in HyperConnectionConfig


def mixing(
    noise: Float[np.ndarray, "*layers streams other"], size: float, iterations: int, own: float
) -> Float[np.ndarray, "*layers streams other"]:
    """How streams mix in layers whose logits are `own` on the diagonal and `size` times the noise.

    With iterations these are made doubly stochastic, as `hyper_connections.doubly_stochastic` does. Without any, each
    is the identity and `size` times the noise: hyper-connections as they were at first (arXiv:2409.19606).
    """
    identity = np.eye(noise.shape[-1])
    if iterations == 0:
        return identity + size * noise
    logits = own * identity + size * noise
    matrix = np.exp(logits - logits.max(axis=-1, keepdims=True))
    matrix = matrix / matrix.sum(axis=-1, keepdims=True) + EPS
    for step in range(iterations):
        if step:
            matrix = matrix / (matrix.sum(axis=-1, keepdims=True) + EPS)
        matrix = matrix / (matrix.sum(axis=-2, keepdims=True) + EPS)
    return matrix


def through(
    streams: Float[np.ndarray, "streams dim"], matrices: Float[np.ndarray, "layers streams other"]
) -> Float[np.ndarray, "points streams dim"]:
    """The streams at first and after each mixing, with nothing written into them."""
    states = [streams]
    for matrix in matrices:
        states.append(matrix.T @ states[-1])
    return np.stack(states)


def sizes(states: Float[np.ndarray, "points streams dim"]) -> Float[np.ndarray, "points streams"]:
    """Root mean square of each stream."""
    most = np.abs(states).max(axis=-1, keepdims=True)  # divided by first: squares would overflow where numbers do not
    return most[..., 0] * np.sqrt(((states / np.where(most > 0, most, 1.0)) ** 2).mean(axis=-1))


def apart(states: Float[np.ndarray, "points streams dim"]) -> Float[np.ndarray, " points"]:
    """How far the streams are from their mean, by all that they are: 0 where they are one and the same."""
    most = np.abs(states).max(axis=(1, 2), keepdims=True)
    states = states / np.where(most > 0, most, 1.0)
    differences = states - states.mean(axis=1, keepdims=True)
    return np.sqrt((differences**2).sum(axis=(1, 2)) / (states**2).sum(axis=(1, 2)))
