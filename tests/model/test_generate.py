"""The distribution from which the next token is drawn."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import small_model, some_tokens

from moe_lessons.model import generate as generation
from moe_lessons.model.generate import draw, generate, next_token_distribution


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=2, max_size=12), st.floats(0.05, 1.0), st.floats(0.2, 3.0))
def test_top_p_keeps_the_smallest_set_that_reaches_p(values, top_p, temperature):
    logits = torch.tensor(values, dtype=torch.float64)
    kept = next_token_distribution(logits, temperature, top_p)
    assert kept.sum() == pytest.approx(1)
    full = (logits / temperature).softmax(0)
    chosen = kept > 0
    assert full[chosen].sum() >= top_p - 1e-9
    weakest = full[chosen].min()
    assert full[chosen].sum() - weakest < top_p + 1e-9
    assert (full[~chosen] <= weakest + 1e-12).all()


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(-1.0, 1.0), (float("nan"), 1.0), (1.0, 0.0), (1.0, 1.5), (0.0, 0.0)]
)
def test_impossible_sampling_settings_are_refused(temperature, top_p):
    with pytest.raises(ValueError, match="must be"):
        next_token_distribution(torch.zeros(3), temperature, top_p)
    with pytest.raises(ValueError, match="must be"):
        draw(torch.zeros(1, 3), torch.Generator(), temperature, top_p)


def test_fewer_tokens_than_none_are_refused():
    model = small_model()
    prompt = some_tokens(model.config, 1, 3)
    assert torch.equal(generate(model, prompt, 0), prompt)
    with pytest.raises(ValueError, match="n_new is -1, but must be 0 or more"):
        generate(model, prompt, -1)


def test_a_seed_draws_what_multinomial_draws_from_the_distribution():
    logits = torch.randn(4, 50, generator=torch.Generator().manual_seed(1))
    for temperature, top_p in ((1.0, 1.0), (0.7, 0.9)):
        mine, right = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
        for _ in range(20):
            expected = torch.multinomial(next_token_distribution(logits, temperature, top_p), 1, generator=right)
            assert torch.equal(draw(logits, mine, temperature, top_p), expected)


def test_without_chance_the_likeliest_is_drawn_and_of_equals_the_one_that_all_probability_is_on():
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 3.0, 3.0]])
    drawn = draw(logits, torch.Generator(), temperature=0.0)
    assert drawn[0].tolist() == [1]
    assert torch.equal(drawn, next_token_distribution(logits, 0.0).argmax(dim=-1, keepdim=True))


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_a_small_model_writes_a_sequence_on_one_thread_and_anything_larger_on_all(monkeypatch):
    model, seen = small_model().eval(), []
    model.norm.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))

    def threads(n_sequences: int, **arguments) -> set[int]:
        seen.clear()
        generate(model, some_tokens(model.config, n_sequences, 3), 2, **arguments)
        return set(seen)

    assert threads(1) == {1}
    assert threads(5) == threads(1, use_cache=False) == {2}
    monkeypatch.setattr(generation, "SMALL", 10)
    assert threads(1) == {2}
    assert torch.get_num_threads() == 2
    assert all(block.attention.stacked is None for block in model.blocks)
