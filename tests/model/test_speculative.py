"""Speculative decoding: the rule keeps the main model's distribution, and the caches forget what was refused."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import LATENT, SPARSE, small_model, some_tokens

from moe_lessons import AttentionConfig, Transformer
from moe_lessons.model.generate import generate, next_token_distribution
from moe_lessons.model.speculative import Drafter, Speculation, Step, chance, judge, speculate
from moe_lessons.tracing import record_routing

GROUPED = AttentionConfig(n_heads=2, n_kv_heads=1)


def build(seed: int = 0, **changes) -> Transformer:
    """A model of few tokens that is sure of itself: its head is three times what it starts with."""
    sizes = {"vocab_size": 5, "n_layers": 1, "hidden_dim": 16, "max_length": 64, "mtp_depth": 2}
    values = sizes | {"attention": GROUPED, "tie_embeddings": False} | changes
    model = small_model(seed, **values).eval()
    model.head.weight.data *= 3
    return model


def text(model: Transformer, time: int = 5, seed: int = 0) -> torch.Tensor:
    return some_tokens(model.config, 1, time, seed)


def p_value(counts: torch.Tensor, probabilities: torch.Tensor) -> float:
    """Chi-square: how likely counts at least this far from the probabilities are; the impossible must not occur."""
    assert counts[probabilities == 0].sum() == 0
    counts, probabilities = counts[probabilities > 0].double(), probabilities[probabilities > 0].double()
    expected = probabilities / probabilities.sum() * counts.sum()
    # Rare outcomes are taken together, as the approximation wants about five of each.
    rare = expected < 5
    if rare.any() and not rare.all():
        counts = torch.cat([counts[~rare], counts[rare].sum()[None]])
        expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    statistic = float(((counts - expected).square() / expected).sum())
    freedom = torch.tensor(max(len(counts) - 1, 1) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(freedom, torch.tensor(statistic / 2, dtype=torch.float64)))


def distributions(rows: int, seed: int, sharpness: float = 1.5, vocab: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(rows, vocab, generator=generator)).softmax(-1)


def judged(p: torch.Tensor, q: torch.Tensor, runs: int, rule=judge) -> torch.Tensor:
    """How often each first pair of tokens comes out, with one draft or two from q; [vocab, vocab]."""
    generator, vocab = torch.Generator().manual_seed(7), p.shape[-1]
    counts = torch.zeros(vocab, vocab)
    drafts = torch.stack([torch.multinomial(row, runs, replacement=True, generator=generator) for row in q], dim=1)
    for pair in drafts:
        verdict = rule(pair, q, p, generator)
        written = [*pair[: verdict.accepted].tolist(), verdict.token]
        # What the pass does not give, the next one would: drawn from the main model's distribution at that place.
        while len(written) < 2:
            written.append(int(torch.multinomial(p[len(written)], 1, generator=generator)))
        counts[written[0], written[1]] += 1
    return counts


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("n_drafts", [1, 2])
def test_kept_drafts_and_replacements_follow_the_main_models_distribution(n_drafts, seed):
    p, q = distributions(3, seed)[: n_drafts + 1], distributions(n_drafts, seed + 100)
    exact = p[0, :, None] * p[1, None, :]
    assert p_value(judged(p, q, 3000).flatten(), exact.flatten()) > 0.001


def test_the_test_would_notice_a_wrong_rule():
    p, q = distributions(2, 0), distributions(1, 100)
    exact = (p[0, :, None] * p[1, None, :]).flatten()

    def replacement_from_p(drafts, q, p, generator):
        """The refused draft is replaced by a draw from p as it is, not from what p has left over."""
        verdict = judge(drafts, q, p, generator)
        if verdict.accepted == len(drafts):
            return verdict
        return verdict._replace(token=int(torch.multinomial(p[verdict.accepted], 1, generator=generator)))

    def always_accepted(drafts, q, p, generator):
        return judge(drafts, q, p, generator)._replace(accepted=len(drafts))

    for wrong in (replacement_from_p, always_accepted):
        assert p_value(judged(p, q, 3000, wrong).flatten(), exact) < 1e-6


def test_equal_distributions_accept_everything_and_disjoint_ones_nothing():
    generator = torch.Generator().manual_seed(0)
    same = distributions(3, 0)
    for _ in range(50):
        drafts = torch.multinomial(same[:2], 1, generator=generator)[:, 0]
        assert judge(drafts, same[:2], same, generator).accepted == 2
    p, q = torch.tensor([[0.5, 0.5, 0, 0], [0.5, 0.5, 0, 0]]), torch.tensor([[0, 0, 0.5, 0.5]])
    for _ in range(50):
        verdict = judge(torch.tensor([2]), q, p, generator)
        assert verdict.accepted == 0
        assert verdict.token in (0, 1)
        assert (verdict.wanted, verdict.drafted) == ([0.0], [0.5])


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_a_draft_is_accepted_with_the_overlap_of_both_distributions(seed):
    """Over drafts from q, the mean of min(1, p / q) is the sum of min(p, q) (arXiv:2211.17192, theorem 3.5)."""
    p, q = distributions(2, seed), distributions(1, seed + 2000)
    generator = torch.Generator().manual_seed(seed)
    verdicts = [judge(torch.tensor([draft]), q, p, generator) for draft in range(5)]
    each = [chance(*verdict.wanted, *verdict.drafted) for verdict in verdicts]
    assert float((q[0] * torch.tensor(each)).sum()) == pytest.approx(float(torch.minimum(p[0], q[0]).sum()), abs=1e-6)


@pytest.mark.parametrize(
    ("attention", "seed", "temperature", "top_p"),
    [(LATENT, 3, 1.0, 1.0), (GROUPED, 1, 1.0, 1.0), (LATENT, 3, 0.7, 0.9)],
    ids=["latent", "grouped", "sharpened"],
)
def test_texts_are_distributed_as_the_main_model_alone_would_write_them(attention, seed, temperature, top_p):
    """How often each text of three tokens is written, against its exact probability."""
    model = build(seed, vocab_size=3, dim=8, hidden_dim=8, attention=attention, moe=SPARSE)
    prompt = text(model, time=2)
    exact = torch.zeros(3, 3, 3)
    with torch.no_grad():
        for new in itertools.product(range(3), repeat=3):
            whole = torch.cat([prompt, torch.tensor([new])], dim=1)
            chances = next_token_distribution(model(whole)[0], temperature, top_p)
            exact[new] = torch.stack([chances[1 + i, token] for i, token in enumerate(new)]).prod()
    assert exact.sum() == pytest.approx(1, abs=1e-5)
    exact[exact < 1e-9] = 0
    counts, steps = torch.zeros(3, 3, 3), []
    for run in range(600):
        written = speculate(model, prompt, 3, temperature=temperature, top_p=top_p, seed=run)
        counts[tuple(written.tokens[0, 2:].tolist())] += 1
        steps += written.steps
    assert p_value(counts.flatten(), exact.flatten()) > 0.001
    rate = Speculation(prompt, steps).acceptance_rate
    assert 0.1 < rate < 0.95, "drafts are refused and accepted often enough for the test to mean something"


@settings(max_examples=15)
@given(
    depth=st.integers(1, 3),
    latent=st.booleans(),
    sparse=st.booleans(),
    time=st.integers(1, 6),
    n_new=st.integers(0, 16),
    seed=st.integers(0, 1000),
)
def test_greedy_text_is_the_same_with_and_without_drafts(depth, latent, sparse, time, n_new, seed):
    model = build(
        seed, mtp_depth=depth, attention=LATENT if latent else GROUPED, moe=SPARSE if sparse else None, n_layers=2
    )
    prompt = text(model, time, seed)
    written = speculate(model, prompt, n_new, temperature=0.0)
    assert torch.equal(written.tokens, generate(model, prompt, n_new, temperature=0.0))
    given_by_steps = sum(step.accepted + 1 for step in written.steps)
    assert given_by_steps == max(0, n_new - 1)


@settings(max_examples=20)
@given(depth=st.integers(1, 4), latent=st.booleans(), time=st.integers(1, 5), seed=st.integers(0, 1000))
def test_drafts_after_any_refusals_are_those_of_a_fresh_reading(depth, latent, time, seed):
    """The drafter's caches, shortened and refilled, against the whole text read again without a cache."""
    model = build(seed, mtp_depth=depth, attention=LATENT if latent else GROUPED)
    generator = torch.Generator().manual_seed(seed)
    truth = text(model, 30, seed)
    drafter, known, seen = Drafter(model, depth, 40), time + 1, 0
    with torch.no_grad():
        while known < 24:
            tokens = truth[:, :known]
            hidden = model.read(tokens[:, :-1])
            drafts, drafted_from = drafter.draft(tokens, hidden[:, seen:], generator)
            stream = hidden
            for d in range(depth):
                following = torch.cat([tokens, drafts[None, :d]], dim=1)[:, d + 1 :]
                stream = model.mtp[d](stream, model.embedding(following), model.rotation(0, known - 1))
                expected = model.head(stream[:, -1]).softmax(-1)[0]
                assert torch.allclose(drafted_from[d], expected, atol=1e-5)
            seen = known - 1
            known += int(torch.randint(1, depth + 2, (), generator=generator))


def test_steps_tell_the_text_token_by_token():
    model = build(mtp_depth=2)
    prompt = text(model)
    written = speculate(model, prompt, 20, seed=3)
    rebuilt = [*prompt[0].tolist(), int(written.tokens[0, 5])]
    for step in written.steps:
        assert step.position == len(rebuilt)
        assert len(step.wanted) == len(step.drafted) == min(step.accepted + 1, len(step.drafts))
        rebuilt += [*step.drafts[: step.accepted], step.token]
    assert rebuilt == written.tokens[0].tolist()
    assert any(step.accepted for step in written.steps)
    assert written.tokens_per_pass == pytest.approx(19 / len(written.steps))


def test_a_step_tells_what_both_models_gave_each_draft_that_was_looked_at():
    """The main model's share again, from one reading of the text that was written."""
    model = build(mtp_depth=2)
    prompt = text(model)
    written = speculate(model, prompt, 20, seed=3, temperature=0.8)
    with torch.no_grad():
        by_main = next_token_distribution(model(written.tokens)[0], 0.8)
    for step in written.steps:
        for place, (draft, p, q) in enumerate(zip(step.drafts, step.wanted, step.drafted, strict=False)):
            assert p == pytest.approx(float(by_main[step.position + place - 1, draft]), abs=1e-5)
            assert 0 < q <= 1


def test_the_same_seed_writes_the_same_text():
    model = build()
    first, again, other = (speculate(model, text(model), 20, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.tokens, again.tokens)
    assert first.steps == again.steps
    assert not torch.equal(first.tokens, other.tokens)


def test_fewer_drafts_than_modules_may_be_tried():
    model = build(mtp_depth=3)
    written = speculate(model, text(model), 20, n_drafts=1)
    assert {len(step.drafts) for step in written.steps[:-1]} == {1}


def test_one_pass_of_the_model_reads_all_drafts():
    model, passes = build(mtp_depth=2), []
    model.blocks[0].register_forward_pre_hook(lambda module, inputs: passes.append(inputs[0].shape[1]))
    written = speculate(model, text(model), 12, seed=1)
    assert passes == [5, *(len(step.drafts) + 1 for step in written.steps)]


def test_routing_can_be_recorded_meanwhile():
    model = build(moe=SPARSE)
    with record_routing(model) as trace:
        written = speculate(model, text(model), 12, seed=1)
    assert trace.n_tokens == 5 + sum(len(step.drafts) + 1 for step in written.steps)


def test_rates_without_drafts_are_not_numbers():
    empty = Speculation(torch.zeros(1, 1, dtype=torch.long), [])
    assert empty.acceptance_rate != empty.acceptance_rate
    assert empty.tokens_per_pass != empty.tokens_per_pass
    one = Speculation(empty.tokens, [Step(1, [2, 3], 1, 4, [1.0, 0.1], [0.5, 0.2])])
    assert (one.acceptance_rate, one.tokens_per_pass) == (0.5, 2.0)


@pytest.mark.parametrize(
    ("changes", "prompts", "arguments", "words"),
    [
        ({"mtp_depth": 0}, 1, {}, "no multi-token modules"),
        ({}, 2, {}, "there are 2 prompts"),
        ({}, 1, {"n_drafts": 3}, "n_drafts is 3"),
        ({}, 1, {"n_drafts": 0}, "n_drafts is 0"),
        ({"max_length": 8}, 1, {}, "max_length = 8"),
        ({}, 1, {"temperature": -1.0}, "temperature is -1.0"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(changes, prompts, arguments, words):
    model = build(**changes)
    with pytest.raises(ValueError, match=words):
        speculate(model, text(model).expand(prompts, -1), 10, **arguments)


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="prompt is empty"):
        speculate(build(), torch.zeros(1, 0, dtype=torch.long), 3)


def test_timed_parts_of_speculation_start_where_they_started_before():
    from moe_lessons.benchmark.next_token import parts_of_speculation

    parts = parts_of_speculation(build(mtp_depth=3), context=20, n_drafts=2)
    first = parts["plain"]()
    for part in parts.values():
        for _ in range(3):
            part()
    assert torch.equal(parts["plain"](), first)
    with pytest.raises(ValueError, match="n_drafts is 3"):
        parts_of_speculation(build(mtp_depth=2), context=20, n_drafts=3)
