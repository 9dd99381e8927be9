"""Does an indexer find the one note that a question is about? Notes hidden in noise, and who chooses the keys to read.

A model of one layer learns with full attention. Then an indexer learns from that attention, as DeepSeek-V3.2's did
(arXiv:2512.02556, section 2.1): first alone, with the model frozen, then beside the model, both with few keys. Another
copy learns to count notes that disagree, and is then asked with fewer keys than it needs.

OMP_NUM_THREADS=1 python -m moe_lessons.studies.needle --seeds 5 --out data/studies/needle.json
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional as F

from moe_lessons.config import LatentAttentionConfig, ModelConfig
from moe_lessons.long_texts import IndexerConfig
from moe_lessons.model.indexed_latent_attention import IndexedLatentAttention
from moe_lessons.model.transformer import Transformer
from moe_lessons.seeds import run_seed
from moe_lessons.studies.choosers import Chooser, Latest, Oracle, Random, mass_read
from moe_lessons.studies.keep import main_by_seed
from moe_lessons.studies.notes import ASKED, VOCABULARY, Haystack, haystack, vote
from moe_lessons.training.indexer import index_losses

TIME, NOTES, TOP_K = 128, 8, 8  # tokens of a text, notes in it, and keys that sparse training reads
KEYS = (1, 2, 4, 8, 16, 32)
LONGER = (128, 256, 512)
SAID = 5  # notes for each name where they are counted
VOTE_KEYS = (1, 2, 3, 4, 5, 8, 16, TIME)


class Steps(NamedTuple):
    """How long each part of a run is."""

    answer: int = 400  # with full attention
    warm_up: int = 150
    few: int = 200  # with few keys
    count: int = 400  # of counting notes, with full attention


AS_RECORDED = Steps()


def small_model(seed: int = 0) -> Transformer:
    """One layer whose indexer makes under a fifth of the products that its attention makes of a pair of tokens."""
    indexer = IndexerConfig(n_heads=2, head_dim=12, top_k=max(LONGER))
    attention = LatentAttentionConfig(
        n_heads=4, q_lora_rank=32, kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=4, v_head_dim=16,
        indexer=indexer,
    )  # fmt: skip
    config = ModelConfig(
        vocab_size=VOCABULARY, dim=48, n_layers=1, hidden_dim=96, max_length=max(LONGER), attention=attention
    )
    return Transformer(config, seed=seed)


def attention_of(model: Transformer) -> IndexedLatentAttention:
    """The model's only attention layer."""
    layer = model.blocks[0].attention
    assert isinstance(layer, IndexedLatentAttention)
    return layer


def answer_loss(model: Transformer, hay: Haystack) -> Tensor:
    """Mean cross-entropy of the answers, in nats."""
    logits = model(hay.tokens)[:, -hay.answers.shape[1] :]
    return F.cross_entropy(logits.flatten(0, 1), hay.answers.flatten())


def descend(
    parameters: list[torch.nn.Parameter], lr: float, steps: int, loss_at: Callable[[int], Tensor]
) -> list[float]:
    """`steps` steps of Adam down what `loss_at(step)` returns, the rate falling to zero; the losses."""
    optimizer, losses = torch.optim.Adam(parameters, lr=lr), []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1, (step + 1) / 20) * (1 - step / steps)
        optimizer.zero_grad()
        loss = loss_at(step)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def own_parameters(model: Transformer, of_indexer: bool) -> list[torch.nn.Parameter]:
    """Those of the indexer, or all others."""
    return [p for name, p in model.named_parameters() if (".indexer." in name) == of_indexer]


def texts(seed: int, long_from: float) -> Callable[[int], Haystack]:
    """The batch of each step: short texts until `long_from`, then as long ones as are tested."""
    generator = torch.Generator().manual_seed(run_seed(seed))

    def batch(step: int) -> Haystack:
        if step < long_from:
            return haystack(generator, 32, 20, notes=4, asked=12)
        return haystack(generator, 8, TIME, NOTES, asked=24)

    return batch


def learn_to_answer(model: Transformer, steps: int, seed: int, short: float = 0.75) -> list[float]:
    """Train the model, its keys chosen as its indexer chooses now; answers' losses in nats."""
    batch = texts(seed, short * steps)
    return descend(own_parameters(model, False), 0.005, steps, lambda step: answer_loss(model, batch(step)))


def warm_up(model: Transformer, steps: int, seed: int) -> list[float]:
    """Train the indexer alone towards full attention, the model frozen: index losses in nats a token."""
    return warm_up_on(model, steps, texts(seed + 100, 0))


def warm_up_on(model: Transformer, steps: int, batch: Callable[[int], Haystack]) -> list[float]:
    """As `warm_up`, on what `batch(step)` returns."""
    layer = attention_of(model)
    layer.indexer.top_k, before = TIME, layer.indexer.top_k

    def loss_at(step: int) -> Tensor:
        with index_losses(model, chosen_only=False) as losses, torch.no_grad():
            model(batch(step).tokens)
        return losses[0]

    losses = descend(own_parameters(model, True), 0.01, steps, loss_at)
    layer.indexer.top_k = before
    return losses


def learn_with_few(model: Transformer, steps: int, seed: int, long_from: float = 0) -> list[float]:
    """Train model and indexer side by side, each by its own loss, both with TOP_K keys alone; the sums of both."""
    batch = texts(seed + 200, long_from)
    attention_of(model).indexer.top_k = TOP_K

    def loss_at(step: int) -> Tensor:
        with index_losses(model, chosen_only=True) as losses:
            answers = answer_loss(model, batch(step))
        return answers + losses[0]

    return descend(list(model.parameters()), 0.003, steps, loss_at)


@torch.no_grad()
def answered(model: Transformer, hay: Haystack) -> Bool[Tensor, "batch asked"]:
    """Which questions are answered right."""
    return model(hay.tokens)[:, -hay.answers.shape[1] :].argmax(dim=-1) == hay.answers


def answered_with(model: Transformer, chooser: Chooser, top_k: int, hay: Haystack) -> Bool[Tensor, "batch asked"]:
    """The same where `chooser` says which `top_k` keys are read."""
    with chooser.in_place_of_indexer(attention_of(model), top_k):
        return answered(model, hay)


def test_text(time: int = TIME, batch: int = 64) -> Haystack:
    """Texts that no run trains on."""
    return haystack(torch.Generator().manual_seed(10**6 + time), batch, time, NOTES, ASKED)


def share_right(model: Transformer, chooser: Chooser, top_k: int, hay: Haystack) -> float:
    """The share of questions answered right."""
    return round(float(answered_with(model, chooser, top_k, hay).float().mean()), 4)


def by_chooser(model: Transformer, fresh: Chooser, seed: int) -> dict[str, dict[str, list[float]]]:
    """Answers right, and attention read, by how many keys each chooser may take."""
    layer, hay = attention_of(model), test_text()
    choosers = {
        "oracle": Oracle(layer), "indexer": Chooser(layer.indexer), "untrained indexer": fresh, "latest": Latest(),
        "random": Random(seed),
    }  # fmt: skip
    return {
        name: {
            "right": [share_right(model, chooser, k, hay) for k in KEYS],
            "mass": [round(share, 4) for share in mass_read(model, layer, chooser, KEYS, hay)],
        }
        for name, chooser in choosers.items()
    }


def by_distance(model: Transformer, chooser: Chooser, top_k: int) -> list[float]:
    """The share right by how far behind its question a note lies: up to 16 tokens, 32, 64, and all the rest."""
    hay = test_text(batch=96)
    right, edges = answered_with(model, chooser, top_k, hay).float(), (0, 16, 32, 64, TIME)
    far = [(hay.distances > low) & (hay.distances <= high) for low, high in zip(edges, edges[1:], strict=False)]
    return [round(float(right[there].mean()), 4) for there in far]


def one_seed(seed: int, steps: Steps = AS_RECORDED) -> dict[str, Any]:
    """All that is measured of one seed."""
    model = small_model(seed)
    layer, fresh = attention_of(model), attention_of(small_model(seed)).indexer
    learn_to_answer(model, steps.answer, seed)
    trained = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    warm = warm_up(model, steps.warm_up, seed)
    indexer = Chooser(layer.indexer)
    hays = {time: test_text(time, 24) for time in LONGER}
    found = {
        "full": share_right(model, indexer, TIME, test_text()),
        "warm_up": [round(warm[0], 4), round(sum(warm[-20:]) / len(warm[-20:]), 4)],
        "choosers": by_chooser(model, Chooser(fresh), seed),
        "distance": {name: by_distance(model, of, 16) for name, of in {"indexer": indexer, "latest": Latest()}.items()},
        "longer": {
            name: [share_right(model, indexer, keys or time, hay) for time, hay in hays.items()]
            for name, keys in {"full": 0, "8 keys": 8, "16 keys": 16}.items()
        },
    }
    found["votes"] = votes(trained, seed, steps)
    return found | {"trained": trainings(model, trained, seed, steps)}


def votes(trained: dict[str, Tensor], seed: int, steps: Steps) -> dict[str, list[float]]:
    """Right answers by how many of VOTE_KEYS are read, where the answer is what most of a name's SAID notes say.

    A copy of the trained model learns to count them, with full attention; then its indexer is warmed up on such texts.
    """
    model, generator = small_model(seed), torch.Generator().manual_seed(run_seed(seed + 300))
    model.load_state_dict(trained)
    layer = attention_of(model)

    def batch(_: int) -> Haystack:
        return vote(generator, 8, TIME, SAID, asked=24)

    descend(own_parameters(model, False), 0.003, steps.count, lambda step: answer_loss(model, batch(step)))
    warm_up_on(model, steps.warm_up, batch)
    hay = vote(torch.Generator().manual_seed(10**6), said=SAID)
    choosers = {"oracle": Oracle(layer), "indexer": Chooser(layer.indexer)}
    return {name: [share_right(model, of, k, hay) for k in VOTE_KEYS] for name, of in choosers.items()}


def trainings(model: Transformer, trained: dict[str, Tensor], seed: int, steps: Steps) -> dict[str, list[float]]:
    """Right answers by keys after training with few: from `model`, whose indexer is warm, and from others."""
    layer, hay = attention_of(model), test_text()
    after = {}

    def note(name: str, chooser: Chooser) -> None:
        after[name] = [share_right(model, chooser, k, hay) for k in KEYS]

    learn_with_few(model, steps.few, seed)
    note("warm-up, then few", Chooser(layer.indexer))
    model.load_state_dict(trained)
    learn_with_few(model, steps.few, seed)
    note("few at once", Chooser(layer.indexer))
    model.load_state_dict(trained)
    learn_with_few(model, steps.warm_up + steps.few, seed)
    note("few at once, longer", Chooser(layer.indexer))
    model.load_state_dict(small_model(seed).state_dict())
    short = round(0.75 * steps.answer)
    learn_with_few(model, steps.answer + steps.few, seed, short)
    note("few from the start", Chooser(layer.indexer))
    model.load_state_dict(trained)
    with Latest().in_place_of_indexer(layer, TOP_K):
        learn_to_answer(model, steps.few, seed + 200, short=0)
    note("the latest, trained", Latest())
    return after


if __name__ == "__main__":
    main_by_seed(__doc__, "needle", 5, one_seed)
