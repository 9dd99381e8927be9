"""An indexer's losses against sums written out; what they move, and what they leave alone."""

from dataclasses import replace

import pytest
import torch
from small_latent import USUAL, model_config

from moe_lessons import Transformer
from moe_lessons.long_texts import IndexerConfig
from moe_lessons.model.indexer import best_keys, seen
from moe_lessons.model.latent_attention import past
from moe_lessons.tracing.attention import record_attention
from moe_lessons.training.indexer import index_loss, index_losses, mean_shares

INDEXED = replace(USUAL, indexer=IndexerConfig(n_heads=3, head_dim=6, top_k=4))
TEXT = torch.randint(0, 31, (2, 12), generator=torch.Generator().manual_seed(3))


def model() -> Transformer:
    return Transformer(model_config(INDEXED, n_layers=2), seed=1)


def test_the_loss_is_the_mean_kl_over_the_keys_that_count():
    torch.manual_seed(0)
    scores, shares = torch.randn(2, 3, 5), torch.rand(2, 3, 5)
    among = torch.rand(2, 3, 5) < 0.6
    among[..., 0] = True
    total = 0.0
    for batch in range(2):
        for token in range(3):
            keys = [key for key in range(5) if among[batch, token, key]]
            p = torch.tensor([float(shares[batch, token, key]) for key in keys])
            q = torch.tensor([float(scores[batch, token, key]) for key in keys]).softmax(0)
            p = p / p.sum()
            total += float((p * (p / q).log()).sum())
    assert float(index_loss(scores, shares, among)) == pytest.approx(total / 6, rel=1e-4)


def test_shares_are_the_mean_of_what_the_heads_of_full_attention_look_at():
    plain = Transformer(model_config(USUAL, n_layers=2), seed=1)
    plain.load_state_dict({name: t for name, t in model().state_dict().items() if ".indexer." not in name})
    caught = []
    layer = model().blocks[0].attention
    plain.blocks[0].attention.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[:2]))
    with record_attention(plain) as trace, torch.no_grad():
        plain(TEXT)
    shares = mean_shares(layer, *caught[0])
    assert torch.allclose(shares[0], torch.from_numpy(trace.weights[0]).mean(dim=0), atol=1e-5)


@pytest.mark.parametrize("chosen_only", [False, True])
def test_the_loss_moves_indexers_alone(chosen_only):
    reader = model()
    with index_losses(reader, chosen_only) as losses:
        reader(TEXT)
        reader(TEXT)
    assert len(losses) == 2  # of the last forward pass, a layer each
    sum(losses).backward()
    for name, parameter in reader.named_parameters():
        assert (parameter.grad is not None) == (".indexer." in name), name


def test_a_step_down_the_loss_lowers_it_and_over_the_chosen_it_is_another():
    reader = model()
    indexers = [p for name, p in reader.named_parameters() if ".indexer." in name]
    optimizer, values = torch.optim.SGD(indexers, lr=0.5), []
    for _ in range(6):
        with index_losses(reader, False) as losses, torch.no_grad():
            reader(TEXT)
        optimizer.zero_grad()
        losses[0].backward()
        optimizer.step()
        values.append(losses[0].item())
    assert values[-1] < values[0]
    with index_losses(reader, True) as few, torch.no_grad():
        reader(TEXT)
    assert abs(few[0].item() - values[-1]) > 1e-4


def test_after_warming_up_more_of_the_attention_is_read_than_by_a_fresh_indexer():
    reader = model()
    layer = reader.blocks[0].attention
    optimizer = torch.optim.Adam(layer.indexer.parameters(), lr=0.02)
    caught = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[:2]))
    reader(TEXT)
    handle.remove()
    hidden, by = caught[0]
    shares, before = mean_shares(layer, hidden, by), past(12, 12, hidden.device)

    @torch.no_grad()
    def read() -> float:
        latent = layer.query_latent_norm(layer.compress_query(hidden))
        scores = layer.indexer.scores(hidden, latent, layer.indexer.keys(hidden, by), by)
        return float((shares * seen(best_keys(scores, before, 4), before)).sum(-1).mean())

    fresh = read()
    for _ in range(60):
        with index_losses(reader, False) as losses, torch.no_grad():
            reader(TEXT)
        optimizer.zero_grad()
        losses[0].backward()
        optimizer.step()
    assert read() > fresh + 0.02


def test_a_model_without_an_indexer_is_refused_in_one_sentence():
    with (
        pytest.raises(ValueError, match="the model has no indexer to train"),
        index_losses(torch.nn.Linear(1, 1), True),
    ):
        pass
