"""What the training section times: ours, upcycled ones, and plain models of Hugging Face's, on the same tokens."""

import sys

import pytest
import torch
from small import SPARSE, small_model, some_tokens

from moe_lessons.benchmark import plain_training, training_speed
from moe_lessons.benchmark.plain_training import plain_step, plain_steps
from moe_lessons.benchmark.training_speed import ARMS, MORE, UPCYCLED, _build, compare, sizes_of
from moe_lessons.model.moe import MoE
from moe_lessons.published import to_hugging_face

CPU = torch.device("cpu")


def test_upcycled_arms_hold_copies_of_the_dense_models_layers():
    _, sizes, _ = sizes_of(ARMS["dense"], CPU, quick=True)
    dense = _build(ARMS["dense"], sizes, CPU)
    used = []
    for arm in MORE.values():
        if arm.upcycled:
            layer = _build(arm, sizes, CPU).blocks[0].feed_forward
            assert isinstance(layer, MoE) and layer.experts.down.shape[0] == UPCYCLED
            assert torch.equal(layer.experts.down[3], dense.blocks[0].feed_forward.down.weight)
            used.append(layer.router.rule.top_k)
    assert used == [1, 2]


def test_without_parts_and_peers_the_two_models_of_the_course_are_timed_alone():
    found = compare(1, CPU, quick=True)
    assert list(found) == ["dense", "moe"] and all(each.optimizer is None for each in found.values())


def test_plain_models_are_llama_and_mixtral_as_large_as_ours_and_see_the_same_tokens():
    pytest.importorskip("transformers")
    steps, left_out = plain_steps(CPU, quick=True)
    assert left_out == {}
    assert [type(step.call.args[0]).__name__ for step in steps.values()] == ["LlamaForCausalLM", "MixtralForCausalLM"]
    for step, kind in zip(steps.values(), ("dense", "moe"), strict=True):
        _, sizes, config = sizes_of(ARMS[kind], CPU, quick=True)
        model, optimizer, inputs, targets, clip = step.call.args
        tokens = training_speed.tokens_for(sizes, config, CPU)
        assert torch.equal(inputs, tokens[:, :-1]) and torch.equal(targets, tokens[:, 1:])
        assert step.tokens == targets.numel() and clip == config.gradient_clip
        assert {p for group in optimizer.param_groups for p in group["params"]} == set(model.parameters())
        ours = dict(_build(ARMS[kind], sizes, CPU).named_parameters())
        extras = sum(p.numel() for name, p in ours.items() if ".attention." in name and "norm" in name)
        assert 0 < extras == sum(p.numel() for p in ours.values()) - sum(p.numel() for p in model.parameters())


def test_a_plain_step_learns():
    pytest.importorskip("transformers")
    model = to_hugging_face(small_model(moe=SPARSE)).train()
    tokens = some_tokens(small_model().config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = [plain_step(model, optimizer, tokens[:, :-1], tokens[:, 1:], 1.0) for _ in range(20)]
    assert losses[-1] < losses[0] - 1 and all(p.grad is None for p in model.parameters())


def test_a_plain_model_that_does_not_run_is_left_out_with_its_reason(monkeypatch):
    pytest.importorskip("transformers")
    monkeypatch.setattr(plain_training, "plain_step", lambda *given: (_ for _ in ()).throw(RuntimeError("no kernel")))
    steps, left_out = plain_steps(CPU, quick=True)
    assert steps == {} and set(left_out.values()) == {"does not run here: no kernel"}
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert plain_steps(CPU, quick=True)[1] == {"Hugging Face": "transformers is not installed"}
