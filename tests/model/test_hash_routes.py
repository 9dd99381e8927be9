"""Experts looked up by token id: the same for a token wherever it stands, weighed by learned scores."""

from dataclasses import replace

import pytest
import tiny_run
import torch
from small_shared_kv import MODEL

from moe_lessons import ModelConfig, MoEConfig, Transformer
from moe_lessons.model.cache import make_cache
from moe_lessons.model.hash_routes import HashMoE, HashRouter, drawn_routes
from moe_lessons.offload.guess import next_layer_guesses
from moe_lessons.tracing import record_attention, record_routing
from moe_lessons.training import train

SPARSE = MoEConfig(n_routed_experts=5, top_k=2, hidden_dim=4, n_hash_layers=1, score_function="sqrt_softplus")


@pytest.mark.parametrize(("vocab", "experts", "top_k"), [(31, 5, 2), (7, 7, 7), (40, 1, 1), (3, 8, 2)])
def test_every_expert_has_as_many_ids_as_another_or_one_more(vocab, experts, top_k):
    routes = drawn_routes(vocab, experts, top_k, seed=0)
    assert routes.shape == (vocab, top_k)
    assert all(len(set(row)) == top_k for row in routes.tolist())
    counts = routes.flatten().bincount(minlength=experts)
    assert counts.max() - counts.min() <= 1


@torch.no_grad()
def test_the_table_chooses_and_learned_scores_weigh():
    torch.manual_seed(0)
    router = HashRouter(6, SPARSE, 9, 0)
    router.weight.normal_()
    hidden, ids = torch.randn(4, 6), torch.tensor([3, 3, 0, 8])
    routing = router(hidden, ids)
    assert routing.experts.sort(dim=1).values.tolist() == router.routes[ids].sort(dim=1).values.tolist()
    scores = torch.nn.functional.softplus(hidden @ router.weight.T).sqrt()
    for token in range(4):
        chosen = scores[token, routing.experts[token]]
        assert torch.allclose(routing.weights[token], chosen / chosen.sum(), atol=1e-6)
    assert (routing.weights[:, 0] >= routing.weights[:, 1]).all()


@torch.no_grad()
def test_a_plain_model_may_have_hash_layers_at_first():
    plain = ModelConfig.from_card("course-moe")
    config = replace(plain, moe=replace(plain.moe, n_hash_layers=1), mtp_depth=0)
    model = Transformer(config, seed=1).eval()
    kinds = [isinstance(block.feed_forward, HashMoE) for block in model.blocks]
    assert kinds == [True] + [False] * (config.n_layers - 1)
    tokens = torch.randint(0, 99, (2, 12), generator=torch.Generator().manual_seed(0))
    cache = make_cache(config, 2)
    pieces = [model(tokens[:, a:b], cache) for a, b in ((0, 7), (7, 8), (8, 12))]
    assert torch.allclose(torch.cat(pieces, dim=1), model(tokens), atol=1e-4)


def test_the_choices_are_recorded_as_all_others():
    model = Transformer(MODEL, seed=1).eval()
    tokens = torch.tensor([[3, 1, 3, 3]])
    with record_routing(model) as trace, torch.no_grad():
        model(tokens)
    first = torch.as_tensor(trace.experts[0]).sort(dim=1).values
    assert torch.equal(first[0], first[2]) and torch.equal(first[0], first[3])


def test_what_knows_nothing_of_such_layers_refuses_them():
    model, tokens = Transformer(MODEL), torch.tensor([[3, 1]])
    with pytest.raises(ValueError, match="hash routes"):
        next_layer_guesses(model, tokens)
    with pytest.raises(ValueError, match="picks what each token sees"), record_attention(model):
        model(tokens)


def test_the_table_is_part_of_a_checkpoint_and_not_of_what_is_learned():
    model = Transformer(MODEL)
    name = "blocks.0.feed_forward.router.routes"
    assert name in model.state_dict() and name not in dict(model.named_parameters())
    assert model.blocks[0].feed_forward.router.expert_bias is None  # nothing is chosen


def test_beside_it_the_biases_of_other_layers_move_in_training_and_the_table_stays():
    moe = MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8, expert_bias=True, n_hash_layers=1)
    plain = tiny_run.model().config
    model = Transformer(replace(plain, moe=moe, n_layers=2))
    table, learned = (block.feed_forward.router for block in model.blocks)
    before = table.routes.clone()
    train(model, tiny_run.corpus(), tiny_run.config(steps=3, balance_loss=0.0), progress=False)
    assert table.expert_bias is None and learned.expert_bias.abs().max() > 0
    assert torch.equal(table.routes, before)
