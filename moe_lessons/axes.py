"""The one legend of axis names: every shape in the package is written with these words and no others."""

AXES = {
    "batch": "sequences that are worked on together",
    "time": "positions in one sequence",
    "tokens": "positions of all sequences in one row: batch x time, where order no longer matters",
    "new": "positions given now, as against those kept in the cache",
    "longer": "positions after generation: time and the new ones",
    "dim": "numbers that stand for one token between blocks",
    "heads": "attention heads: n_heads",
    "kv_heads": "heads that keys and values have; heads in one group share them: n_kv_heads",
    "head_dim": "numbers in one head's query or key",
    "pairs": "head_dim / 2: the pairs of numbers that a rotation turns",
    "hidden": "inner width of a feed-forward layer or of one expert: hidden_dim",
    "twice_hidden": "gate and up projection side by side: 2 x hidden",
    "vocab": "different tokens: vocab_size",
    "experts": "routed experts of one layer: n_routed_experts",
    "top_k": "experts that one token goes to",
    "choices": "pairs of a token and one of its experts, in one row: tokens x top_k",
    "layers": "layers of a model, or of a trace",
    "rows": "rows of any matrix: often the tokens that reached one expert",
    "columns": "columns of any matrix",
    "stack": "matrices of one shape that are treated alike, such as the experts of a layer",
}
