"""A trace says what the model did, and recording leaves the model as it was."""

import numpy as np
import pytest
import torch
from small import small_model

from moe_lessons import ModelConfig, MoEConfig, Transformer
from moe_lessons.model.cache import make_cache
from moe_lessons.model.generate import generate
from moe_lessons.routing_rule import RoutingRule
from moe_lessons.tracing import RoutingTrace, observe_routing, record_routing


def model(**moe) -> Transformer:
    values = {"n_routed_experts": 5, "top_k": 2, "hidden_dim": 8, "n_dense_layers": 1, "expert_bias": True}
    built = small_model(n_layers=3, moe=MoEConfig(**(values | moe)))
    for block in built.blocks[1:]:
        block.feed_forward.router.expert_bias.normal_(0, 0.1)
    return built


def record(built: Transformer, *batches: torch.Tensor) -> RoutingTrace:
    with record_routing(built) as trace, torch.no_grad():
        for batch in batches:
            built(batch)
    return trace


def test_a_trace_names_the_experts_that_the_routers_returned():
    built, x = model(), torch.randint(0, 31, (2, 9))
    returned = []
    handles = [
        block.feed_forward.router.register_forward_hook(lambda module, inputs, routing: returned.append(routing))
        for block in built.blocks[1:]
    ]
    trace = record(built, x)
    for handle in handles:
        handle.remove()
    assert trace.layers == (1, 2)
    for row, routing in enumerate(returned):
        assert np.array_equal(trace.experts[row], routing.experts.numpy())
        assert np.allclose(trace.weights[row], routing.weights.numpy())
        assert np.allclose(trace.logits[row], routing.logits.numpy())
    assert np.array_equal(trace.token_ids, x.flatten().numpy())
    assert trace.position.tolist() == [*range(9), *range(9)]
    assert trace.sequence.tolist() == [0] * 9 + [1] * 9


def test_several_passes_are_laid_one_after_the_other():
    built, x, y = model(), torch.randint(0, 31, (1, 4)), torch.randint(0, 31, (2, 3))
    both, first, second = record(built, x, y), record(built, x), record(built, y)
    assert np.array_equal(both.experts, np.concatenate([first.experts, second.experts], axis=1))
    assert both.sequence.tolist() == [0] * 4 + [1] * 3 + [2] * 3


def test_passes_behind_a_cache_go_on_in_their_sequences():
    built, text = model().eval(), torch.arange(12).view(2, 6)
    with record_routing(built) as whole, torch.no_grad():
        built(text)
    cache = make_cache(built.config, batch_size=2)
    with record_routing(built) as parts, torch.no_grad():
        for part in (text[:, :3], text[:, 3:4], text[:, 4:]):
            built(part, cache)
        built(text[:1, :2], make_cache(built.config))  # another text with a cache of its own
    assert parts.token_ids.tolist() == [0, 1, 2, 6, 7, 8, 3, 9, 4, 5, 10, 11, 0, 1]
    assert parts.position.tolist() == [0, 1, 2, 0, 1, 2, 3, 3, 4, 5, 4, 5, 0, 1]
    assert parts.sequence.tolist() == [0, 0, 0, 1, 1, 1, 0, 1, 0, 0, 1, 1, 2, 2]
    places = list(zip(whole.sequence.tolist(), whole.position.tolist(), strict=True))
    at = [places.index(place) for place in zip(parts.sequence[:12].tolist(), parts.position[:12].tolist(), strict=True)]
    assert (parts.experts[:, :12] == whole.experts[:, at]).all()


def test_a_text_that_is_generated_is_one_sequence():
    built = model().eval()
    with record_routing(built) as trace:
        generate(built, torch.arange(3)[None], 5)
    assert trace.position.tolist() == list(range(7))  # the last token is not read again
    assert set(trace.sequence.tolist()) == {0}


def test_recording_leaves_the_model_bit_identical_and_without_hooks():
    built, x = model(), torch.randint(0, 31, (1, 8))
    before = built(x)
    record(built, x)
    assert torch.equal(before, built(x))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in built.modules())


def test_hooks_are_removed_when_the_block_fails():
    built = model()
    with pytest.raises(RuntimeError, match="on purpose"), record_routing(built):
        raise RuntimeError("on purpose")
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in built.modules())


def test_observed_routing_keeps_its_gradient():
    built = model()
    with observe_routing(built) as routings:
        built(torch.randint(0, 31, (1, 8)))
    sum(routing.scores.square().sum() for routing in routings.values()).backward()
    assert all(block.feed_forward.router.weight.grad.abs().sum() > 0 for block in built.blocks[1:])


def test_the_load_counts_every_choice_once():
    trace = record(model(), torch.randint(0, 31, (2, 9)))
    assert trace.load_per_expert().sum(axis=1).tolist() == [2 * 18, 2 * 18]


def test_a_trace_survives_the_disk(tmp_path):
    trace = record(model(), torch.randint(0, 31, (2, 9)))
    again = RoutingTrace.load(trace.save(tmp_path / "trace"))
    for name, value in vars(trace).items():
        other = getattr(again, name)
        assert np.array_equal(value, other) if isinstance(value, np.ndarray) else value == other


def test_a_dense_model_has_nothing_to_record():
    dense = Transformer(ModelConfig.from_card("course-dense"), device="meta")
    with pytest.raises(ValueError, match="no router"), record_routing(dense):
        pass


def test_a_block_without_a_forward_pass_is_an_error():
    with pytest.raises(ValueError, match="no forward pass"), record_routing(model()):
        pass


def arrays(**changes) -> dict:
    values = {
        "logits": np.zeros((1, 2, 3)),
        "bias": np.zeros((1, 3)),
        "experts": np.zeros((1, 2, 1)),
        "weights": np.ones((1, 2, 1)),
        "token_ids": [5, 6],
        "position": [0, 1],
        "sequence": [0, 0],
        "pieces": ["a", "b"],
        "layers": (0,),
        "rule": RoutingRule(top_k=1),
    }
    return values | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"logits": np.full((1, 2, 3), np.nan)}, "not finite"),
        ({"logits": np.zeros((1, 2, 0))}, "zero experts"),
        ({"rule": RoutingRule(top_k=4)}, "top_k is 4"),
        ({"rule": RoutingRule(top_k=1, n_groups=2)}, "n_groups is 2"),
        ({"experts": np.full((1, 2, 1), 7)}, "outside 0 to 2"),
        ({"bias": np.zeros((1, 4))}, "bias has shape"),
        ({"pieces": ["a"]}, "pieces and layers number"),
    ],
)
def test_parts_that_do_not_fit_are_refused_in_one_sentence(changes, words):
    with pytest.raises(ValueError, match=words):
        RoutingTrace(**arrays(**changes))


def test_damaged_missing_and_foreign_files_are_named(tmp_path):
    path = RoutingTrace(**arrays()).save(tmp_path / "good")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match="damaged.safetensors is damaged"):
        RoutingTrace.load(damaged)
    with pytest.raises(FileNotFoundError, match="there is no trace"):
        RoutingTrace.load(tmp_path / "missing.safetensors")
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="foreign.safetensors is not a routing trace"):
        RoutingTrace.load(tmp_path / "foreign.safetensors")
