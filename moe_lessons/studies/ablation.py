"""Models that differ in one thing, each trained from several seeds: which differences are larger than luck.

    python -m moe_lessons.studies.ablation --steps 300 --seeds 4 --out data/studies/granularity.json
    python -m moe_lessons.studies.ablation --steps 1200 --seeds 2 --out data/studies/granularity-long.json

make the records that lesson 09 reads. A seed decides the first weights and the order of the text, and is shared by all
arms; equal text and equal steps for all.
"""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from moe_lessons.concerns import as_plain
from moe_lessons.config import AttentionConfig, ModelConfig, MoEConfig, TrainConfig
from moe_lessons.model.transformer import Transformer
from moe_lessons.studies.keep import keep
from moe_lessons.text.corpus import Corpus, course_corpus
from moe_lessons.training.held_out import first_documents, held_out, held_out_loss
from moe_lessons.training.loop import train

#: Lesson 09's arms. The first three do the same work per token and differ in parameters by the routers' rows; the
#: fourth does without the shared expert and its work; the last is DeepSeek-V3's layer in small.
GRANULARITY = {
    "16 choose 2": MoEConfig(n_routed_experts=16, top_k=2, hidden_dim=64, expert_bias=True),
    "32 choose 4": MoEConfig(n_routed_experts=32, top_k=4, hidden_dim=32, expert_bias=True),
    "31 choose 3, 1 shared": MoEConfig(
        n_routed_experts=31, top_k=3, hidden_dim=32, n_shared_experts=1, expert_bias=True
    ),
    "31 choose 3, none shared": MoEConfig(n_routed_experts=31, top_k=3, hidden_dim=32, expert_bias=True),
    "DeepSeek's": MoEConfig(
        n_routed_experts=32,
        top_k=3,
        hidden_dim=32,
        n_shared_experts=1,
        score_function="sigmoid",
        route_scale=1.75,
        expert_bias=True,
        n_groups=8,
        top_groups=2,
    ),
}


def small_model(vocab_size: int, moe: MoEConfig | None) -> ModelConfig:
    """Two layers of 64 numbers a token: small enough to be trained several times in a lesson."""
    heads = AttentionConfig(n_heads=2, qk_norm=True)
    return ModelConfig(
        vocab_size=vocab_size, dim=64, n_layers=2, hidden_dim=128, max_length=128, attention=heads, moe=moe
    )


def ablate(
    arms: Mapping[str, MoEConfig | None], corpus: Corpus, config: TrainConfig, seeds: Sequence[int]
) -> dict[str, list[float]]:
    """Each arm's held-out loss after the same steps, one for each seed."""
    text, losses = held_out(corpus), {name: [] for name in arms}
    few = corpus._replace(valid=first_documents(corpus.valid, 12))  # of the loop's own evaluation, which is not used
    for seed in seeds:
        run = replace(config, seed=seed)
        for name, moe in arms.items():
            model = Transformer(small_model(corpus.tokenizer.vocab_size, moe), seed=seed)
            train(model, few, run, progress=False)
            losses[name].append(round(held_out_loss(model.eval(), text), 4))
            print(f"seed {seed}, {name}: {losses[name][-1]}", flush=True)
    return losses


def record(steps: int, seeds: int) -> dict[str, Any]:
    """What lesson 09 reads: the losses, and all that decides them."""
    config = TrainConfig(steps=steps, batch_size=8, seq_len=128, lr=0.02, bias_rate=0.01)
    losses = ablate(GRANULARITY, course_corpus(progress=False), config, range(seeds))
    arms = {name: as_plain(moe) for name, moe in GRANULARITY.items()}
    return {"losses": losses, "arms": arms, "train": asdict(config), "seeds": list(range(seeds))}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="train lesson 09's arms from several seeds")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    given = ["--steps", str(args.steps), "--seeds", str(args.seeds)]
    command = f"python -m moe_lessons.studies.ablation {shlex.join(given)}"
    keep(args.out, {"command": command} | record(args.steps, args.seeds))


if __name__ == "__main__":
    main()
