"""A dense model made sparse: the same answers at first, and experts that part."""

import pytest
import torch
from small import small_model, some_tokens

from moe_lessons.config import MoEConfig, TrainConfig
from moe_lessons.model.moe import MoE
from moe_lessons.model.transformer import Transformer
from moe_lessons.model.upcycle import upcycle
from moe_lessons.training.loop import training_step
from moe_lessons.training.optimizers import build_optimizers


def mixture(model: Transformer, **changes) -> MoEConfig:
    return MoEConfig(**({"n_routed_experts": 4, "top_k": 2, "hidden_dim": model.config.hidden_dim} | changes))


@pytest.mark.parametrize("changes", [{}, {"score_function": "sigmoid"}, {"top_k": 1}, {"n_dense_layers": 1}])
@pytest.mark.parametrize("tied", [True, False])
def test_the_first_logits_are_the_dense_models(tied, changes):
    model = small_model(tie_embeddings=tied)
    sparse = upcycle(model, mixture(model, **changes))
    ids = some_tokens(model.config)
    torch.testing.assert_close(sparse(ids), model(ids), rtol=0, atol=1e-5)
    assert sparse.config.is_sparse(model.config.n_layers - 1)


def test_the_dense_model_stays_as_it_was_and_shares_nothing():
    model = small_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    sparse = upcycle(model, mixture(model))
    for parameter in sparse.parameters():
        parameter.data.add_(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_copies_part_where_routers_send_them_different_tokens_and_stay_twins_where_they_do_not():
    """A router of zeros sends every token to the same experts with the same weights, so these stay twins."""
    model = small_model()
    apart = {}
    for name in ("fresh", "zeros"):
        sparse = upcycle(model, mixture(model))
        if name == "zeros":
            for layer in sparse.modules():
                if isinstance(layer, MoE):
                    torch.nn.init.zeros_(layer.router.weight)
        config = TrainConfig(steps=1)
        optimizers, ids = build_optimizers(sparse, config), some_tokens(sparse.config)
        training_step(sparse, optimizers, ids[:, :-1], ids[:, 1:], config, 1.0)
        first, second = sparse.blocks[0].feed_forward.experts.down[:2]
        apart[name] = (first - second).abs().max().item()
    assert apart["zeros"] < 1e-6 < 1e-3 < apart["fresh"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_dim": 5}, "hidden_dim is 5, but must be"),
        ({"normalize": False}, "normalize is False, but must be True"),
        ({"route_scale": 2.5}, r"route_scale is 2\.5, but must be 1\.0"),
        ({"n_shared_experts": 1}, "n_shared_experts is 1, but must be 0"),
    ],
)
def test_what_would_answer_otherwise_at_first_is_refused(changes, words):
    model = small_model()
    with pytest.raises(ValueError, match=words):
        upcycle(model, mixture(model, **changes))


def test_a_sparse_model_is_refused():
    model = small_model()
    sparse = upcycle(model, mixture(model))
    with pytest.raises(ValueError, match="has experts already"):
        upcycle(sparse, mixture(model))
