"""Balance measured and restored, against sums that can be done by hand, and the bugs that others shipped."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import small_model
from torch import Tensor
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode

from moe_lessons.config import MoEConfig
from moe_lessons.model.dispatch import sort_by_expert
from moe_lessons.model.load_balance import (
    balance_loss,
    expert_choice,
    expert_load,
    load_entropy,
    max_over_mean,
    sequence_balance_loss,
    update_bias,
    z_loss,
)
from moe_lessons.model.router import Router, Routing
from moe_lessons.tracing import steer_routing


def test_load_counts_every_choice_once():
    experts = torch.tensor([[0, 2], [2, 3], [2, 0]])
    assert expert_load(experts, 5).tolist() == [2, 0, 3, 1, 0]


def test_counting_choices_never_asks_for_a_shape_that_depends_on_numbers():
    """bincount does, so that a GPU has to be waited for in every layer; tensors without numbers tell."""
    choices = torch.zeros(5, 2, dtype=torch.long, device="meta")
    assert expert_load(choices, 4).shape == sort_by_expert(choices, 4)[1].shape == (4,)
    with FakeTensorMode(), pytest.raises(DynamicOutputShapeException):
        torch.bincount(torch.zeros(5, dtype=torch.long, device="cuda"), minlength=4)
    with FakeTensorMode():
        choices = torch.zeros(5, 2, dtype=torch.long, device="cuda")
        assert expert_load(choices, 4).device == sort_by_expert(choices, 4)[1].device == choices.device


def test_zero_tokens_load_nobody():
    load = expert_load(torch.empty(0, 2, dtype=torch.long), 3)
    assert load.tolist() == [0, 0, 0]
    assert str(max_over_mean(load)) == "nan"


def test_max_over_mean_runs_from_balance_to_collapse():
    assert max_over_mean(torch.tensor([5, 5, 5, 5])) == 1
    assert max_over_mean(torch.tensor([20, 0, 0, 0])) == 4


def test_entropy_runs_from_collapse_to_balance_whatever_the_number_of_experts():
    for n_experts in (2, 3, 64):
        assert load_entropy(torch.full((n_experts,), 7)) == pytest.approx(1)
        assert load_entropy(torch.tensor([9] + [0] * (n_experts - 1))) == 0
    assert load_entropy(torch.tensor([2, 2, 0, 0])) == pytest.approx(0.5)  # two of four: one bit of two
    assert load_entropy(torch.tensor([3])) == 1
    assert math.isnan(load_entropy(torch.zeros(4, dtype=torch.long)))


@given(st.lists(st.integers(0, 50), min_size=2, max_size=9).filter(any))
def test_entropy_is_the_sum_over_experts_in_nats_over_its_largest_value(load):
    shares = [tokens / sum(load) for tokens in load]
    slow = -sum(share * math.log(share) for share in shares if share) / math.log(len(load))
    assert load_entropy(torch.tensor(load)) == pytest.approx(slow, abs=1e-12)


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


# ---------------------------------------------------------------- bugs that shipped


def random_choices(tokens: int = 40, n_experts: int = 6, top_k: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    logits = 2 * torch.randn(tokens, n_experts, generator=torch.Generator().manual_seed(seed))
    return logits, logits.topk(top_k).indices


def test_the_balance_loss_is_hugging_faces_for_one_layer_but_for_their_factor_top_k():
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    logits, experts = random_choices()
    theirs = load_balancing_loss_func((logits,), num_experts=6, top_k=2)
    assert float(2 * balance_loss(logits.softmax(dim=-1), experts)) == pytest.approx(float(theirs), rel=1e-5)


def test_a_second_softmax_would_hide_collapse():
    """transformers#45111: probabilities taken for logits."""
    certain = torch.eye(4)[torch.zeros(8, dtype=torch.long)]
    experts = torch.zeros(8, 1, dtype=torch.long)
    assert float(balance_loss(certain, experts)) == pytest.approx(4)
    assert float(balance_loss(certain.softmax(dim=-1), experts)) < 2


def test_idle_experts_get_a_gradient_though_nobody_chose_them():
    """transformers#28093: probabilities over the chosen experts only leave the idle ones where they are."""
    logits = torch.zeros(8, 4, requires_grad=True)
    experts = torch.zeros(8, 1, dtype=torch.long)
    balance_loss(logits.softmax(dim=-1), experts).backward()
    assert (logits.grad[:, 1:] < 0).all()


def test_padding_is_left_out_by_leaving_out_its_rows():
    """transformers#28517: padding, all alike, goes to one expert and looks like collapse."""
    from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

    logits, _ = random_choices(tokens=12, n_experts=4)
    logits[6:] = torch.tensor([9.0, 8, 0, 0])
    experts, real = logits.topk(2).indices, torch.arange(12) < 6
    scores = logits.softmax(dim=-1)
    mine = balance_loss(scores[real], experts[real])
    theirs = load_balancing_loss_func((logits,), 4, 2, attention_mask=real[None].long())
    assert float(2 * mine) == pytest.approx(float(theirs), rel=1e-5)
    assert mine < balance_loss(scores, experts)


def test_layers_laid_together_would_hide_that_each_has_its_own_favorite():
    """transformers#31464."""
    first, second = (torch.eye(2)[torch.full((6,), favorite)] for favorite in (0, 1))
    losses = [balance_loss(scores, scores.argmax(dim=1, keepdim=True)) for scores in (first, second)]
    together = torch.cat([first, second])
    assert float(sum(losses) / 2) == pytest.approx(2)
    assert float(balance_loss(together, together.argmax(dim=1, keepdim=True))) == pytest.approx(1)


# ---------------------------------------------------------------- within each sequence


def slow_sequence_balance_loss(scores: Tensor, top_k: int, time: int) -> float:
    """Equations 17 to 20 as they are printed, sequence by sequence."""
    n_experts, losses = scores.shape[1], []
    for first in range(0, len(scores), time):
        sequence = scores[first : first + time].tolist()
        total = 0.0
        for e in range(n_experts):
            best = [sorted(range(n_experts), key=lambda i, row=row: -row[i])[:top_k] for row in sequence]
            f = n_experts / (top_k * time) * sum(e in chosen for chosen in best)
            p = sum(row[e] / sum(row) for row in sequence) / time
            total += f * p
        losses.append(total)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_the_sequence_balance_loss_is_the_sum_in_the_paper(sigmoid):
    logits, _ = random_choices(tokens=24, n_experts=5)
    scores = logits.sigmoid() if sigmoid else logits.softmax(dim=-1)
    slow = slow_sequence_balance_loss(scores, 2, 8)
    assert float(sequence_balance_loss(scores, 2, 8)) == pytest.approx(slow, rel=1e-5)
    whole = balance_loss(scores, scores.topk(2).indices)
    assert float(sequence_balance_loss(scores, 2, 24)) == pytest.approx(float(whole), rel=1e-5)


def test_a_batch_can_be_balanced_while_each_of_its_sequences_is_not():
    scores = torch.eye(2)[torch.tensor([0, 0, 0, 1, 1, 1])]
    assert float(balance_loss(scores, scores.argmax(dim=1, keepdim=True))) == pytest.approx(1)
    assert float(sequence_balance_loss(scores, 1, 3)) == pytest.approx(2)


@pytest.mark.parametrize("time", [0, 5])
def test_tokens_that_are_not_whole_sequences_are_refused(time):
    with pytest.raises(ValueError, match=f"time is {time}, but the 12 tokens must be whole sequences"):
        sequence_balance_loss(torch.rand(12, 3), 1, time)


# ---------------------------------------------------------------- z-loss and bias


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


# ---------------------------------------------------------------- expert choice


@given(st.integers(0, 99), st.integers(1, 6), st.sampled_from([1, 2, 5, 12]))
def test_each_expert_takes_its_best_tokens_and_a_tie_goes_to_the_earlier_one(seed, n_experts, slots):
    # few different scores, so that there are ties
    scores = torch.randint(1, 5, (12, n_experts), generator=torch.Generator().manual_seed(seed)) / 4
    weights = expert_choice(scores, slots)
    for e in range(n_experts):
        best = sorted(range(12), key=lambda token: (-float(scores[token, e]), token))[:slots]
        assert weights[:, e].nonzero().flatten().tolist() == sorted(best)
        assert torch.equal(weights[best, e], scores[best, e])


def test_expert_choice_is_balanced_whatever_the_scores():
    scores = torch.randn(64, 8, generator=torch.Generator().manual_seed(0)).mul(9).softmax(dim=-1)
    load = (expert_choice(scores, 8) > 0).sum(dim=0)
    assert (max_over_mean(load), load_entropy(load)) == (1, pytest.approx(1))


def test_the_gradient_of_expert_choice_reaches_the_chosen_scores_alone():
    scores = torch.rand(6, 3, requires_grad=True, generator=torch.Generator().manual_seed(0))
    weights = expert_choice(scores, 2)
    weights.sum().backward()
    assert torch.equal(scores.grad, (weights > 0).float())


def test_zero_slots_choose_nobody_and_too_many_are_refused():
    assert not expert_choice(torch.rand(4, 2), 0).any()
    with pytest.raises(ValueError, match="slots is 5, but an expert can take from 0 to the 4 tokens there are"):
        expert_choice(torch.rand(4, 2), 5)


def test_expert_choice_looks_at_later_tokens_and_token_choice_does_not():
    moe = MoEConfig(n_routed_experts=4, top_k=1, hidden_dim=8, normalize=False)
    model = small_model(vocab_size=50, moe=moe).eval()
    for block in model.blocks:
        block.feed_forward.router.weight.data *= 5

    def choose_tokens(layer: int, routing: Routing) -> Routing:
        best = expert_choice(routing.scores, len(routing.scores) // 4).topk(4)
        return routing._replace(weights=best.values, experts=best.indices)

    tokens = torch.randint(0, 50, (1, 16), generator=torch.Generator().manual_seed(1))
    other = tokens.clone()
    other[0, 8:] = (tokens[0, 8:] + 7) % 50
    with torch.no_grad():
        assert torch.allclose(model(tokens)[0, :8], model(other)[0, :8], atol=1e-6)
        with steer_routing(model, choose_tokens):
            assert not torch.allclose(model(tokens)[0, :8], model(other)[0, :8], atol=1e-3)
