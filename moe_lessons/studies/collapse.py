"""Who wins when nothing balances the experts: the winner of each layer followed back to the first steps, by seed.

    python -m moe_lessons.studies.collapse --seeds 3 --out data/studies/collapse.json

makes the record that lesson 08 reads. A seed decides the first weights and the order of the text.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from moe_lessons.config import MoEConfig, TrainConfig
from moe_lessons.model.load_balance import expert_load
from moe_lessons.model.transformer import Transformer, next_token_loss
from moe_lessons.studies.ablation import small_model
from moe_lessons.studies.keep import keep
from moe_lessons.text.corpus import Corpus, course_corpus
from moe_lessons.tracing import only_expert, steer_routing
from moe_lessons.training.batches import Batches
from moe_lessons.training.held_out import held_out
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers
from moe_lessons.training.schedule import learning_rate_factor

N_EXPERTS = 16
WATCHED = (0, 3, 10, 20, 40)  # after so many steps each expert is asked alone
STEPS = 40
BEGINS = 10  # from here on the load is counted that makes an expert the winner


def place(values: Float[np.ndarray, " experts"], expert: int) -> int:
    """1 for the highest of the values, 2 for the next."""
    return 1 + int((values > values[expert]).sum())


@torch.no_grad()
def alone(model: Transformer, layer: int, text: Int[Tensor, "batch time"]) -> Float[np.ndarray, " experts"]:
    """The loss on `text` when one expert of the layer works on every token, for each expert."""
    losses = []
    for expert in range(N_EXPERTS):
        with steer_routing(model, only_expert(model, expert, layers=[layer])):
            losses.append(next_token_loss(model(text[:, :-1]), text[:, 1:]).item())
    return np.array(losses)


def follow(corpus: Corpus, seed: int, steps: int = STEPS) -> Iterator[dict[str, Any]]:
    """The beginning of a run of 300 steps without balance; for each layer its winner and the places it had before.

    The winner is who has most tokens in the steps from `BEGINS` on. A place is 1 for the highest mean logit of the
    first step, or for the lowest loss alone.
    """
    moe = MoEConfig(n_routed_experts=N_EXPERTS, top_k=2, hidden_dim=64, expert_bias=True)
    model = Transformer(small_model(corpus.tokenizer.vocab_size, moe), seed=seed)
    config = TrainConfig(steps=300, batch_size=8, seq_len=128, lr=0.02, seed=seed)
    optimizers, batches = build_optimizers(model, config), Batches(corpus.train.ids, 8, 128, seed)
    text, layers = held_out(corpus, windows=16), range(model.config.n_layers)
    loads, first, asked = {layer: [] for layer in layers}, {}, {}
    for step in range(steps + 1):
        if step in WATCHED:
            model.eval()
            asked[step] = [alone(model, layer, text) for layer in layers]
            model.train()
        if step == steps:
            break
        factor = learning_rate_factor((step + 1) / config.length[0], config.warmup, config.final_lr)
        _, routings = training_step(model, optimizers, *batches(step), config, factor, step=step)
        for layer, routing in routings.items():
            loads[layer].append(expert_load(routing.experts, N_EXPERTS).numpy())
            first.setdefault(layer, routing.logits.mean(dim=0).numpy())
    for layer in layers:
        work = np.sum(loads[layer][BEGINS:], axis=0)
        winner = int(work.argmax())
        yield {
            "seed": seed,
            "layer": layer,
            "winner": winner,
            "times_the_mean": round(float(work.max() / work.mean()), 2),
            "place_by_first_logit": place(first[layer], winner),
            "place_alone": {str(step): place(-losses[layer], winner) for step, losses in asked.items()},
            "best_to_worst_alone": {
                str(step): round(float(np.ptp(losses[layer])), 4) for step, losses in asked.items()
            },
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="follow the winners of a collapse back to the first steps")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    command = f"python -m moe_lessons.studies.collapse --seeds {args.seeds} --out {args.out}"
    corpus, winners = course_corpus(progress=False), []
    for seed in range(args.seeds):
        winners += follow(corpus, seed)
        keep(args.out, {"command": command, "winners": winners})
        print(winners[-2:], flush=True)


if __name__ == "__main__":
    main()
