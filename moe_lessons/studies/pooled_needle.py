"""Is a note still found when it is one of many tokens in an entry? Lesson 16's notes, read through entries alone.

A model of one layer sees a window of eight tokens and all entries, and learns from the beginning with them. Those with
the longest entries learn for longer, too, which tells what an entry loses from what is not yet learned.

OMP_NUM_THREADS=1 python -m moe_lessons.studies.pooled_needle --seeds 3 --out data/studies/pooled-needle.json
"""

from typing import Any

from moe_lessons.config import ModelConfig
from moe_lessons.long_texts import CompressionConfig, SharedKVAttentionConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.studies.keep import main_by_seed
from moe_lessons.studies.needle import TIME, answer_loss, answered, descend, test_text, texts
from moe_lessons.studies.notes import VOCABULARY, Haystack

STEPS, LONGER, WINDOW = 1200, 3000, 8
RATES = (2, 4, 8, 16)


def pooling_model(rate: int, seed: int = 0) -> Transformer:
    """One heavily compressed layer: a window of tokens, and an entry for every `rate` of them."""
    attention = SharedKVAttentionConfig(
        n_heads=4, head_dim=24, rope_head_dim=4, q_lora_rank=32, window=WINDOW, output_groups=2, output_rank=24,
        compression=CompressionConfig(layers=("heavy",), heavy_rate=rate, rope_theta=10_000.0),
    )  # fmt: skip
    config = ModelConfig(vocab_size=VOCABULARY, dim=48, n_layers=1, hidden_dim=96, max_length=TIME, attention=attention)
    return Transformer(config, seed=seed)


def learned(rate: int, seed: int, steps: int, hay: Haystack) -> dict[str, Any]:
    """The share of answers right whose note lies in the window, and behind it; and losses on the way, in tenths."""
    model, batch = pooling_model(rate, seed), texts(seed, steps / 2)
    losses = descend(list(model.parameters()), 0.005, steps, lambda step: answer_loss(model, batch(step)))
    right = answered(model, hay).float()
    near, tenth = hay.distances < WINDOW, len(losses) // 10
    return {
        "near": round(float(right[near].mean()), 4),
        "far": round(float(right[~near].mean()), 4),
        "losses": [round(sum(losses[at : at + tenth]) / tenth, 4) for at in range(0, len(losses), tenth)],
    }


def one_seed(seed: int, steps: int = STEPS, longer: int = LONGER) -> dict[str, Any]:
    """What is learned, by rate; and with the longest entries in more steps, asked so often that many notes are near."""
    found: dict[str, Any] = {str(rate): learned(rate, seed, steps, test_text()) for rate in RATES}
    more = learned(max(RATES), seed, longer, test_text(batch=512))
    return found | {"longer": {"near": more["near"], "far": more["far"]}}


if __name__ == "__main__":
    main_by_seed(__doc__, "pooled_needle", 3, one_seed)
