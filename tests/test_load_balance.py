"""Balance measured and restored, against sums that can be done by hand."""

import pytest
import torch
from torch import Tensor

from moe_lessons.config import MoEConfig
from moe_lessons.model.load_balance import balance_loss, expert_load, max_over_mean, update_bias, z_loss
from moe_lessons.model.router import Router


def test_load_counts_every_choice_once():
    experts = torch.tensor([[0, 2], [2, 3], [2, 0]])
    assert expert_load(experts, 5).tolist() == [2, 0, 3, 1, 0]


def test_zero_tokens_load_nobody():
    load = expert_load(torch.empty(0, 2, dtype=torch.long), 3)
    assert load.tolist() == [0, 0, 0]
    assert str(max_over_mean(load)) == "nan"


def test_max_over_mean_runs_from_balance_to_collapse():
    assert max_over_mean(torch.tensor([5, 5, 5, 5])) == 1
    assert max_over_mean(torch.tensor([20, 0, 0, 0])) == 4


def slow_balance_loss(scores: Tensor, experts: Tensor) -> float:
    tokens, n_experts = scores.shape
    total = 0.0
    for e in range(n_experts):
        share = sum(int(c) == e for row in experts for c in row) / experts.numel()
        probability = sum(float(row[e] / row.sum()) for row in scores) / tokens
        total += n_experts * share * probability
    return total


@pytest.mark.parametrize("sigmoid", [False, True])
def test_balance_loss_is_the_sum_in_the_paper(sigmoid):
    logits = torch.randn(13, 5, generator=torch.Generator().manual_seed(1))
    scores = logits.sigmoid() if sigmoid else logits.softmax(dim=-1)
    experts = scores.topk(2).indices
    assert float(balance_loss(scores, experts)) == pytest.approx(slow_balance_loss(scores, experts), rel=1e-5)


def test_balance_loss_is_one_when_balanced_and_the_number_of_experts_when_collapsed():
    uniform = torch.full((8, 4), 0.25)
    assert float(balance_loss(uniform, torch.arange(8)[:, None] % 4)) == pytest.approx(1)
    certain = torch.eye(4)[torch.zeros(8, dtype=torch.long)]
    assert float(balance_loss(certain, torch.zeros(8, 1, dtype=torch.long))) == pytest.approx(4)


def test_balance_loss_pushes_the_busy_experts_score_down():
    logits = torch.tensor([[2.0, 0, 0]] * 6, requires_grad=True)
    scores = logits.softmax(dim=-1)
    balance_loss(scores, scores.topk(1).indices).backward()
    assert (logits.grad[:, 0] > 0).all()
    assert (logits.grad[:, 1:] < 0).all()


def test_z_loss_is_the_mean_square_of_the_log_of_the_sum_of_exponentials():
    logits = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    by_hand = [torch.tensor(2.0).log(), (torch.tensor(1.0).exp() + torch.tensor(2.0).exp()).log()]
    assert float(z_loss(logits)) == pytest.approx(float((by_hand[0] ** 2 + by_hand[1] ** 2) / 2))


def test_the_bias_moves_by_one_rate_towards_the_idle_and_stays_for_the_average():
    router = Router(4, MoEConfig(n_routed_experts=3, top_k=1, hidden_dim=4, expert_bias=True))
    update_bias(router, torch.tensor([9, 3, 0]), 0.5)
    assert router.expert_bias.tolist() == [-0.5, 0.5, 0.5]
    update_bias(router, torch.tensor([8, 4, 0]), 0.5)
    assert router.expert_bias.tolist() == [-1.0, 0.5, 1.0]


def test_the_bias_changes_the_choice_and_never_the_weights():
    config = MoEConfig(n_routed_experts=3, top_k=1, hidden_dim=4, expert_bias=True, normalize=False)
    router = Router(2, config)
    router.weight.data = torch.tensor([[1.0, 0], [0, 0], [-1.0, 0]])
    hidden = torch.tensor([[1.0, 0.0]])
    scores = router(hidden).scores
    router.expert_bias += torch.tensor([-9.0, 0, 0])
    routing = router(hidden)
    assert routing.experts.tolist() == [[1]]
    assert torch.equal(routing.weights, scores[:, 1:2])


def test_a_router_without_a_bias_says_so():
    router = Router(4, MoEConfig(n_routed_experts=3, top_k=1, hidden_dim=4))
    with pytest.raises(ValueError, match="expert_bias=True"):
        update_bias(router, torch.tensor([1, 2, 3]), 0.1)
