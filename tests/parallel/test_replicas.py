"""Experts that live in several places at once: the plain layer's results, and the copies share the work."""

import numpy as np
import pytest
import torch
from parallel_work import misplaced, placed
from tiny_run import KINDS, model

from moe_lessons.model.dispatch import loop
from moe_lessons.model.experts import Experts
from moe_lessons.parallel import Placement, on_processes, place
from moe_lessons.parallel.work import read
from moe_lessons.resources import data_path
from moe_lessons.tracing import record_routing
from moe_lessons.training import load_checkpoint

CASES = {
    "one hot expert, copied": (4, [9, 7], 2, Placement(np.array([[0, 1, 3], [2, 3, 1]]))),
    "in another order": (4, [5, 6], 1, Placement(np.array([[3, 0], [2, 1]]))),
    "everything everywhere": (4, [6, 3], 2, Placement(np.array([[0, 1, 2, 3], [3, 2, 1, 0]]))),
    "a process without a token": (4, [0, 8], 2, Placement(np.array([[0, 1, 3], [2, 3, 0]]))),
    "three processes": (3, [4, 1, 6], 2, Placement(np.array([[0, 1], [1, 2], [0, 1]]))),
}


@pytest.mark.parametrize("name", CASES)
def test_a_placed_layer_gives_the_plain_layers_results(name):
    n_experts, sizes, top_k, placement = CASES[name]
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    whole = Experts(n_experts, 8, 12)
    with torch.no_grad():
        whole.gate_up.copy_(draw(*whole.gate_up.shape))
        whole.down.copy_(draw(*whole.down.shape))
    parts = [
        (
            draw(n, 8),
            torch.rand(n, n_experts, generator=generator).argsort(dim=1)[:, :top_k],
            draw(n, top_k).softmax(-1),
        )
        for n in sizes
    ]
    found = on_processes(len(sizes), placed, whole, placement, parts)
    hidden, experts, weights = (torch.cat(each) for each in zip(*parts, strict=True))
    right = loop(hidden, experts, weights, whole.gate_up, whole.down).detach()
    torch.testing.assert_close(torch.cat([output for output, _, _ in found]), right, rtol=1e-4, atol=1e-5)
    slots = placement.experts.ravel()
    for rank, (_, asked, down) in enumerate(found):
        assert np.array_equal(slots[asked.numpy()], parts[rank][1].numpy())  # a copy of the expert that was chosen
        assert torch.equal(down, whole.down[placement.experts[rank]])
        for expert in range(n_experts):  # each process alone shares its choices out evenly
            uses = [int((asked == slot).sum()) for slot in np.flatnonzero(slots == expert)]
            assert max(uses) - min(uses) <= 1


def test_the_courses_model_reads_alike_with_its_experts_placed_by_load():
    path = data_path("checkpoints/course-moe.safetensors")
    whole = load_checkpoint(path).model.eval()
    tokens = torch.randint(0, 1024, (4, 33), generator=torch.Generator().manual_seed(1))
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    with record_routing(whole) as trace, torch.no_grad():
        right = whole(inputs).numpy()
    loads = [np.bincount(layer.ravel(), minlength=16) for layer in trace.experts]
    readings = on_processes(2, read, path, inputs, targets, [place(load, 2, 20) for load in loads])
    far = np.abs(np.concatenate([each.logits for each in readings]) - right).max(axis=-1) > 1e-3
    assert far.mean() <= 0.02  # a near tie may turn around
    plain = on_processes(2, read, path, inputs, targets)
    stacks = sum(p.numel() for block in whole.blocks for p in block.feed_forward.experts.parameters())
    assert readings[0].parameters - plain[0].parameters == stacks * 2 // 16  # two more experts in each layer


def test_a_placement_for_others_is_refused_in_one_sentence():
    whole = Experts(4, 8, 12)
    said = on_processes(2, misplaced, whole, model(**KINDS["moe"]), place(np.ones(6), 3))[0]
    assert said == [
        "the placement puts 6 experts on 3 machines, but there are 4 experts and 2 processes; make it for these",
        "1 placements are given for 2 layers with experts; give one each",
    ]
