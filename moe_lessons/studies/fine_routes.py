"""The routes of a text through many small experts: a narrow model with OLMoE's 64 experts, 8 a token.

python -m moe_lessons.studies.fine_routes --steps 1000 --checkpoint /tmp/fine
python -m moe_lessons.studies.fine_routes --record --checkpoint /tmp/fine --out data/traces/fine-routes.safetensors

It is no large model: it has 3 million parameters, and learned the course's corpus with OLMoE's balance loss
(arXiv:2409.02060). Stopped and started again, the training goes on where it was; what is recorded may be stopped, too,
and says after how many steps.
"""

import argparse
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch

from moe_lessons.config import AttentionConfig, ModelConfig, MoEConfig, TrainConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.text.corpus import Corpus, course_corpus
from moe_lessons.tracing.record import record_routing
from moe_lessons.training.checkpoint import beside, load_checkpoint
from moe_lessons.training.held_out import held_out, held_out_loss
from moe_lessons.training.loop import train

WINDOW = 256  # tokens read at once


def fine_model(vocab_size: int) -> ModelConfig:
    """OLMoE's number of experts, in fewer and narrower layers."""
    return ModelConfig(
        vocab_size=vocab_size,
        dim=96,
        n_layers=6,
        hidden_dim=96,
        max_length=WINDOW,
        tie_embeddings=True,
        attention=AttentionConfig(n_heads=3, n_kv_heads=3, head_dim=32, qk_norm=True),
        moe=MoEConfig(n_routed_experts=64, top_k=8, hidden_dim=24, normalize=False),
    )


def recipe(steps: int) -> TrainConfig:
    """Balanced by a loss, as OLMoE is, and not by a bias."""
    return TrainConfig(
        steps=steps, batch_size=8, seq_len=WINDOW, optimizer="adamw", lr=3e-3, balance_loss=0.01, z_loss=0.001
    )


@torch.no_grad()
def routes(model: Transformer, ids: np.ndarray) -> np.ndarray:
    """The choices of the first whole windows of a text: uint8 [layers, tokens, top_k]."""
    with record_routing(model.eval()) as trace:
        for window in torch.from_numpy(ids[: len(ids) // WINDOW * WINDOW].astype(np.int64)).view(-1, WINDOW):
            model(window[None])
    return trace.experts.astype(np.uint8)


def record(model: Transformer, corpus: Corpus, tokens: int, each: int) -> dict[str, np.ndarray]:
    """Routes of text that no training saw and of text that it did: the first tokens as they come, and of each domain.

    "mixed" is uint8 [layers, tokens, top_k], "each" is uint8 [domains, layers, each, top_k].
    """
    arrays = {}
    for side in ("valid", "train"):
        split = getattr(corpus, side)
        arrays[f"{side}.mixed"] = routes(model, split.ids[:tokens])
        of_domain = (split.ids[split.labels == domain][:each] for domain in range(len(corpus.domains)))
        arrays[f"{side}.each"] = np.stack([routes(model, ids) for ids in of_domain])
    return arrays


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000, help="of the training")
    parser.add_argument("--record", action="store_true", help="train no further, write --out")
    parser.add_argument("--tokens", type=int, default=4096, help="recorded of either side, as they come")
    parser.add_argument("--each", type=int, default=512, help="and of each domain")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    corpus = course_corpus(size_mb=1.0, progress=False)
    if not given.record:
        resume = beside(given.checkpoint, ".resume.safetensors").exists()
        model = Transformer(fine_model(corpus.tokenizer.vocab_size))
        train(model, corpus, recipe(given.steps), checkpoint=given.checkpoint, resume=resume)
        return
    model, notes = load_checkpoint(beside(given.checkpoint, ".safetensors"))
    header = {
        "command": f"python -m moe_lessons.studies.fine_routes --steps {notes['train']['steps']}",
        "stopped_after": str(notes["steps"]),
        "nats_per_token": f"{held_out_loss(model, held_out(corpus, windows=128)):.3f}",
        "domains": ",".join(corpus.domains),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(record(model, corpus, given.tokens, given.each), given.out, metadata=header)


if __name__ == "__main__":
    main()
