"""The study of pruned experts: who goes first, and what becomes of a token whose expert is gone."""

import json

import numpy as np
import pytest
import torch
from small import small_model

from moe_lessons.config import MoEConfig
from moe_lessons.model.router import Routing
from moe_lessons.resources import data_path
from moe_lessons.studies.pruned import (
    DRAWS,
    LEFT,
    WAYS,
    WINDOW,
    need,
    orders,
    plans,
    rows_of,
    together,
    use,
    without,
)
from moe_lessons.tracing.record import find_routers
from moe_lessons.tracing.steer import steer_routing
from moe_lessons.training.held_out import held_out_loss, in_windows

MOE = MoEConfig(n_routed_experts=4, top_k=2, hidden_dim=8, expert_bias=True)


def test_the_least_goes_first():
    uses, needs = np.array([[0.1, 0.4, 0.2, 0.3]]), np.array([[3.0, 0.0, 2.0, -1.0]])
    found = orders(uses, needs)
    assert found["least used"] == [[[0, 2, 3, 1]]] and found["most used"] == [[[1, 3, 2, 0]]]
    assert found["least needed"] == [[[3, 1, 2, 0]]]
    assert len({str(order) for order in found["random"]}) == DRAWS == len(found["random"])


def test_one_order_of_all_layers_takes_the_least_needed_anywhere_and_leaves_some_in_each():
    needs = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 5.0, 0.15, 7.0]])
    assert together(needs, 2) == [(0, 0), (1, 2), (0, 1), (1, 0)]
    assert together(needs, 1) == [(0, 0), (1, 2), (0, 1), (0, 2), (1, 0), (1, 1)]


def test_a_plan_takes_experts_in_its_layers_alone_and_as_many_as_it_says():
    rng = np.random.default_rng(0)
    for plan in plans(rng.random((3, 6)), rng.random((3, 6)), left=(5, 2)):
        losing = {"first": {0}, "others": {1, 2}}.get(plan.layers, {0, 1, 2})
        for gone, of_each in zip(plan.off, (1, 4), strict=True):
            assert {layer for layer, experts in gone.items() if experts} <= losing
            if plan.layers != "together":
                assert {layer: len(set(experts)) for layer, experts in gone.items()} == dict.fromkeys(losing, of_each)
            assert sum(map(len, gone.values())) == of_each * len(losing)
        assert all(set(plan.off[0][layer]) <= set(plan.off[1][layer]) for layer in plan.off[0])


def test_a_token_whose_expert_is_gone_takes_the_next_best_or_does_without():
    model = small_model(0, vocab_size=64, moe=MOE)
    layer, router = next(iter(find_routers(model).items()))
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.0]])
    scores = logits.softmax(dim=1)
    routing = Routing(router.rule.weigh(scores[:, :2]), torch.tensor([[0, 1]]), scores, logits)
    by_way = {way: without(model, {layer: [0]}, way)(layer, routing) for way in WAYS}
    for way, experts, kept in (
        ("next best", [1, 2], scores[0, 1:3]),
        ("nobody", [0, 1], scores[0, :2] * torch.tensor([0, 1])),
    ):
        again, as_weighed = by_way[f"{way}, renormalized"], by_way[f"{way}, as weighed"]
        assert again.experts.tolist() == as_weighed.experts.tolist() == [experts]
        torch.testing.assert_close(again.weights[0], kept / kept.sum())
        torch.testing.assert_close(as_weighed.weights[0], kept / scores[0, :2].sum())
        assert as_weighed.weights[0, experts.index(1)] == pytest.approx(routing.weights[0, 1].item())
    for rule in ("renormalized", "as weighed"):
        alone = without(model, {layer: [0, 1]}, f"nobody, {rule}")(layer, routing)
        assert alone.weights.tolist() == [[0.0, 0.0]]


@torch.no_grad()
@pytest.mark.parametrize("way", WAYS)
def test_what_an_expert_that_is_gone_would_say_plays_no_part(way):
    model = small_model(0, vocab_size=64, moe=MOE).eval()
    ids = torch.arange(1, 30)[None]
    off = {layer: [1] for layer in find_routers(model)}
    with steer_routing(model, without(model, off, way)):
        before = model(ids)
        for block in model.blocks:
            if hasattr(block.feed_forward, "experts"):
                block.feed_forward.experts.down[1] += 5.0
        torch.testing.assert_close(model(ids), before)
    assert (model(ids) - before).abs().max() > 1e-3


@torch.no_grad()
def test_an_expert_that_says_nothing_and_is_never_chosen_is_not_needed():
    model = small_model(0, vocab_size=64, moe=MOE).eval()
    routers = find_routers(model)
    for router in routers.values():
        router.expert_bias[2] = -9.0
    text = torch.randint(0, 64, (2, 17), generator=torch.Generator().manual_seed(0))
    uses, needs = use(model, text), need(model, text)
    assert uses.shape == needs.shape == (len(routers), 4)
    np.testing.assert_allclose(uses.sum(axis=1), 1)
    assert (uses[:, 2] == 0).all() and np.abs(needs[:, 2]).max() < 1e-6 < np.abs(np.delete(needs, 2, 1)).min()


def test_only_rows_that_are_not_known_are_made_and_with_all_experts_left_nothing_changes():
    model = small_model(0, vocab_size=64, moe=MOE).eval()
    text = torch.randint(0, 64, (2, 17), generator=torch.Generator().manual_seed(0))
    uses, needs = use(model, text), need(model, text)
    rows = list(rows_of(model, text, uses, needs, left=(4, 2)))
    before = round(held_out_loss(model, text), 4)
    assert len(rows) == (len(WAYS) + 2) * (3 + DRAWS) + len(WAYS)
    assert all(row["losses"][0] == before != row["losses"][1] for row in rows)
    known = {(row["order"], row["layers"], row["way"], row["draw"]) for row in rows[2:]}
    assert list(rows_of(model, text, uses, needs, known, left=(4, 2))) == rows[:2]


def test_windows_are_cut_one_after_the_other():
    assert in_windows(np.arange(600, dtype=np.uint16), 2, WINDOW).tolist() == [list(range(257)), list(range(257, 514))]


def test_the_shipped_record_is_whole():
    kept = json.loads(data_path("studies/pruned.json").read_text(encoding="utf-8"))
    names = {(row["order"], row["layers"], row["way"], row["draw"]) for row in kept["rows"]}
    draws = [(order, 0) for order in ("least used", "least needed", "most used")]
    draws += [("random", draw) for draw in range(DRAWS)]
    wanted = {(order, "alike", way, draw) for order, draw in draws for way in WAYS}
    wanted |= {(order, layers, WAYS[0], draw) for order, draw in draws for layers in ("first", "others")}
    assert names == wanted | {("least needed", "together", way, 0) for way in WAYS}
    assert len(names) == len(kept["rows"]) and np.shape(kept["need_again"]) == np.shape(kept["need"])
    assert kept["left"] == list(LEFT) and all(len(row["losses"]) == len(LEFT) for row in kept["rows"])
