"""Where to look first in a trace: a layer in which something happens, and a word that carries meaning."""

import numpy as np

from moe_lessons.tracing.trace import RoutingTrace


def telling_layer(trace: RoutingTrace) -> int:
    """The number of the layer whose choices tell most of their tokens; the first of several such.

    It is the layer of most mutual information between token and expert, each token's weights taken as shares: the
    entropy of the whole load, less the mean entropy of one token's weights. A layer where all tokens go to the same
    experts has none, nor has one where each token goes everywhere. A model's first layer is left out where there are
    others, since it has seen little but the token's id.
    """
    later = [row for row in range(trace.n_layers) if row or trace.n_layers == 1]
    told = [round(float(_divergence(trace, row).mean()), 9) for row in later]
    return trace.layers[later[int(np.argmax(told))]]


def telling_token(trace: RoutingTrace, layer: int) -> int:
    """The index of the first token of the longest word, since short words carry little meaning.

    Among equals come first those whose token has more than one letter, then the token whose experts in `layer` are
    least like those of all others, and then the earlier one. A text without letters gives its last token that is not
    blank, and a blank text its last one.
    """
    told = np.round(_divergence(trace, trace.row(layer)), 9)
    words = _words(trace)
    if words:
        return max(words, key=lambda first: (words[first], _is_long(trace, first), told[first], -first))
    seen = [token for token, piece in enumerate(trace.pieces) if piece.strip()]
    return seen[-1] if seen else trace.n_tokens - 1


def _is_long(trace: RoutingTrace, token: int) -> bool:
    return sum(sign.isalpha() for sign in trace.pieces[token]) > 1


def _words(trace: RoutingTrace) -> dict[int, int]:
    """Of each word the token that holds its first letter, and its length in letters."""
    words: dict[int, int] = {}
    first = -1  # of the word that is being read; none
    for token, piece in enumerate(trace.pieces):
        if token and trace.sequence[token] != trace.sequence[token - 1]:
            first = -1
        for sign in piece:
            if not sign.isalpha():
                first = -1
                continue
            first = token if first < 0 else first
            words[first] = words.get(first, 0) + 1
    return words


def _divergence(trace: RoutingTrace, row: int) -> np.ndarray:
    """In nats, how far each token's weights, as shares of all experts, are from the mean of all tokens."""
    weights = np.maximum(trace.weights[row].astype(np.float64), 0)
    total = weights.sum(axis=-1, keepdims=True)
    shares = np.where(total > 0, weights / np.where(total > 0, total, 1), 1 / weights.shape[-1])
    spread = np.zeros((trace.n_tokens, trace.n_experts))
    np.add.at(spread, (np.arange(trace.n_tokens)[:, None], trace.experts[row]), shares)
    ratio = np.divide(spread, spread.mean(axis=0), out=np.ones_like(spread), where=spread > 0)
    return (spread * np.log(ratio)).sum(axis=-1)
