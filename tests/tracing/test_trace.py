"""RoutingTrace keeps what a router did, can be cut, and its rule follows its definition."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moe_lessons.config import MoEConfig
from moe_lessons.model.capacity import capacity, within_capacity
from moe_lessons.model.router import Router
from moe_lessons.routing_rule import SCORE_FUNCTIONS
from moe_lessons.tracing import RoutingTrace
from moe_lessons.tracing.align import partners
from moe_lessons.tracing.noise import unit_noise
from moe_lessons.tracing.rule import DROPPING, Knobs, route, route_with


def make(layers=3, tokens=7, experts=5, top_k=2, seed=0, **fields) -> RoutingTrace:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(layers, tokens, experts)).astype(np.float32)
    return RoutingTrace.from_logits(logits, [f" t{i}" for i in range(tokens)], top_k=top_k, **fields)


def slow_rule(logits, bias, top_k, score_function, normalize, route_scale, temperature, off):
    """One token, no numpy."""
    scaled = [value / temperature for value in logits]
    if score_function == "softmax":
        parts = [math.exp(value - max(scaled)) for value in scaled]
        scores = [part / sum(parts) for part in parts]
    elif score_function == "sqrt_softplus":
        scores = [math.sqrt(math.log1p(math.exp(value))) for value in scaled]
    else:
        scores = [1 / (1 + math.exp(-value)) for value in scaled]
    ranking = sorted((e for e in range(len(scores)) if e not in off), key=lambda e: (-(scores[e] + bias[e]), e))
    chosen = ranking[:top_k]
    total = sum(scores[e] for e in chosen) + 1e-20 if normalize else 1
    return [route_scale * scores[e] / total for e in chosen], chosen, scores


@given(st.integers(1, 9), st.data())
def test_the_rule_equals_itself_written_out_for_one_token(n_experts, data):
    values = st.lists(st.sampled_from([-3.0, -0.5, 0.0, 0.25, 1.0, 4.0]), min_size=n_experts, max_size=n_experts)
    logits, bias = data.draw(values), [value / 8 for value in data.draw(values)]
    off = data.draw(st.sets(st.integers(0, n_experts - 1), max_size=n_experts - 1))
    top_k = data.draw(st.integers(1, n_experts - len(off)))
    settings = data.draw(
        st.tuples(
            st.sampled_from(SCORE_FUNCTIONS),
            st.booleans(),
            st.sampled_from([1.0, 2.5]),
            st.sampled_from([0.25, 1.0, 3.0]),
        )
    )
    got = route(np.float32([logits]), np.float32([bias]), top_k, *settings, off=sorted(off))
    weights, experts, scores = slow_rule(logits, np.float32(bias).tolist(), top_k, *settings, off)
    assert np.allclose(got.scores[0], scores, rtol=1e-12)
    # Sums taken in another order may differ in the last bit, and with it a tie between score plus bias.
    total = [score + b for score, b in zip(scores, bias, strict=True)]
    assert np.allclose([total[e] for e in got.experts[0]], [total[e] for e in experts], rtol=1e-9)
    if got.experts[0].tolist() == experts:
        assert np.allclose(got.weights[0], weights, rtol=1e-12)


def test_ties_go_to_the_lower_index():
    assert route(np.zeros((4, 64), np.float32), top_k=3).experts.tolist() == [[0, 1, 2]] * 4


def test_extreme_logits_stay_finite():
    logits = np.float32([[3e38, -3e38, 0.0], [1e4, 1e4, -1e4]])
    for score_function in SCORE_FUNCTIONS:
        routed = route(logits, np.float32([[0.0, 5.0, 0.0]]), 2, score_function, temperature=0.1)
        assert np.isfinite(routed.weights).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"top_k": 6}, "top_k is 6, but must be from 1 to the 5 experts"),
        ({"top_k": 0}, "top_k is 0"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"score_function": "max"}, "score_function is 'max'"),
        ({"off": [5]}, "expert 5 cannot be switched off"),
        ({"off": [0, 1, 2, 3]}, "leaves too few"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        route(np.zeros((2, 5), np.float32), **settings)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"top_k": 0}, "top_k is 0, but must be a whole number of at least 1"),
        ({"top_k": 6}, "top_k is 6, but must be from 1 to the 5 experts"),
        ({"score_function": "max"}, "score_function is 'max', but must be 'softmax', 'sigmoid'"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"noise": -1.0}, "noise is -1.0, but must be 0"),
        ({"capacity": math.inf}, "capacity is inf"),
        ({"seed": 2**32}, "seed is 4294967296, but must be from 0 to 4294967295"),
        ({"dropping": "last come"}, "dropping is 'last come'"),
        ({"bias": (math.nan, 0)}, "bias has values that are not finite"),
        ({"bias": (0.1, 0.0)}, "bias has 2 values, but there are 5 experts"),
        ({"off": (5,)}, "expert 5 cannot be switched off"),
        ({"off": (0, 1, 2, 3)}, "leaves too few for top_k 2"),
        ({"n_groups": 2}, "n_groups is 2, but must divide the 5 experts"),
        ({"n_groups": 5, "top_groups": 2}, "which leaves one expert to a group"),
        ({"top_groups": 2}, "top_groups is 2, but must be from 1 to n_groups = 1"),
        ({"n_groups": 5, "group_score": "max"}, "1 of 5 groups may have only 1 experts"),
    ],
)
def test_knobs_that_cannot_be_followed_are_refused(knobs, words):
    with pytest.raises(ValueError, match=words):
        route_with(np.zeros((2, 5), np.float32), None, Knobs(**knobs))


def test_logits_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        route_with(np.full((2, 5), np.nan, np.float32), None, Knobs())


def test_knobs_forget_what_has_no_effect():
    assert Knobs(seed=7, dropping="priority", bias=(0, 0, 0), off=()).asks_for() == Knobs()
    assert Knobs(off=(3, 1, 3)).off == (1, 3)
    assert Knobs(noise=0.5, seed=7).asks_for().seed == 7


@pytest.mark.parametrize("dropping", DROPPING)
@pytest.mark.parametrize("factor", [0.25, 1.0, 1.25, 2.0])
def test_choices_are_dropped_as_the_model_side_drops_them(dropping, factor):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        tokens, experts = int(rng.integers(1, 30)), int(rng.integers(2, 9))
        logits = np.round(2 * rng.normal(size=(tokens, experts))).astype(np.float32)  # many ties
        knobs = Knobs(top_k=2, normalize=bool(seed % 2), capacity=factor, dropping=dropping)
        got, free = route_with(logits, None, knobs), route_with(logits, None, replace(knobs, capacity=0))
        slots = capacity(tokens, 2, experts, factor)
        kept = within_capacity(torch.tensor(free.experts), torch.tensor(free.weights).float(), experts, slots, dropping)
        assert np.array_equal(got.dropped, ~kept.numpy())
        assert np.array_equal(got.weights, np.where(got.dropped, 0, free.weights)), (
            "kept weights are not normalized again"
        )


def test_each_layer_has_slots_of_its_own():
    trace = make(layers=3, tokens=20)
    knobs = replace(trace.knobs, capacity=0.8)
    alone = trace.select(layers=[2]).routed(knobs)[0]
    assert np.array_equal(trace.routed(knobs)[2].dropped, alone.dropped) and alone.dropped.any()


@pytest.mark.parametrize("group_score", ["top2", "max"])
def test_experts_are_chosen_within_the_best_groups_as_the_router_does(group_score):
    config = MoEConfig(n_routed_experts=12, top_k=3, hidden_dim=4, n_groups=4, top_groups=2, group_score=group_score)
    router, hidden = Router(8, config), torch.randn(50, 8, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(router.weight, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        want = router(hidden)
    knobs = Knobs(top_k=3, n_groups=4, top_groups=2, group_score=group_score)
    got = route_with(want.logits.numpy(), None, knobs)
    assert np.array_equal(got.experts, want.experts.numpy())
    assert np.allclose(got.weights, want.weights.numpy(), atol=1e-6)


def test_noise_is_a_function_of_its_place_with_mean_0_and_deviation_1():
    noise = unit_noise(3, [0, 1, 2, 9], 200, 16)
    assert abs(noise.mean()) < 0.03 and abs(noise.std() - 1) < 0.02 and np.abs(noise).max() <= 6
    assert np.array_equal(unit_noise(3, [9], 50, 16)[0], noise[3, :50])
    flat = noise.reshape(-1, 16)
    assert np.abs(np.corrcoef(flat.T) - np.eye(16)).max() < 0.15
    assert not np.array_equal(unit_noise(4, [9], 50, 16)[0], noise[3, :50])


def test_noise_is_added_to_the_logits_after_the_temperature():
    logits = np.float32([[[1.0, 2.0, 0.5]]])
    noisy = route_with(logits, None, Knobs(top_k=1, temperature=2.0, noise=0.5, seed=11), layers=[4])
    drawn = logits / 2 + 0.5 * unit_noise(11, [4], 1, 3)
    assert np.allclose(noisy.scores, np.exp(drawn) / np.exp(drawn).sum())


def test_knobs_turn_the_layers_that_are_asked_for_and_leave_the_recorded_choices_of_the_others():
    trace = make(layers=3)
    trace.experts = trace.experts[..., ::-1].copy()  # a model that ranks the other way round
    turned = trace.routed(replace(trace.knobs, top_k=3), layers=[1])
    assert [routed.experts.shape[1] for routed in turned] == [2, 3, 2]
    assert np.array_equal(turned[0].experts, trace.experts[0]) and np.array_equal(turned[2].experts, trace.experts[2])
    assert all(np.array_equal(mine.experts, own) for mine, own in zip(trace.routed(), trace.experts, strict=True))
    with pytest.raises(ValueError, match="layer is 5"):
        trace.routed(trace.knobs, layers=[5])


def test_tokens_have_partners_where_texts_begin_and_end_alike():
    def of(text):
        return RoutingTrace.from_logits(np.zeros((1, len(text), 2)), list(text), top_k=1)

    assert partners(of("abcde"), of("abXYde")).tolist() == [0, 1, -1, 4, 5]
    assert partners(of("aaa"), of("aa")).tolist() == [0, 1, -1]
    assert partners(of("ab"), of("ab")).tolist() == [0, 1]
    assert partners(of("ab"), of("cd")).tolist() == [-1, -1]


def test_what_the_model_made_of_a_text_is_kept_cut_and_saved(tmp_path):
    noted = {"nats": np.arange(7.0), "guesses": [[(f" g{i}", 0.5), ("\n", 0.25)] for i in range(7)]}
    trace = make(**noted, n_groups=5, top_groups=3, group_score="max")
    part = trace.select(tokens=[2, 4])
    assert part.nats.tolist() == [2.0, 4.0] and part.guesses[1][0] == (" g4", 0.5)
    again = RoutingTrace.load(trace.save(tmp_path / "trace"))
    assert np.array_equal(again.nats, trace.nats) and again.guesses == trace.guesses and again.knobs == trace.knobs
    assert RoutingTrace.load(make().save(tmp_path / "bare")).nats is None
    with pytest.raises(ValueError, match="nats has shape"):
        replace(trace, nats=np.zeros(3))
    with pytest.raises(ValueError, match="guesses are given for 1 tokens"):
        replace(trace, guesses=[[]])


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ('{"top_k": 2', "broken.safetensors holds a damaged trace"),
        ("{}", "broken.safetensors holds a damaged trace"),
        ('{"pieces": [], "layers": [0], "top_k": 2}', "pieces and layers number 0 and 1"),
        ('{"pieces": null, "layers": [0], "top_k": 2}', "holds a damaged trace"),
        ('{"pieces": [], "layers": [0], "top_k": "two"}', "holds a damaged trace"),
        ('{"pieces": [], "layers": [0], "top_k": 2, "color": 1}', "holds a damaged trace"),
    ],
)
def test_a_damaged_header_is_one_sentence_that_names_the_file(tmp_path, header, words):
    from safetensors.numpy import load_file, save_file

    arrays = load_file(make().save(tmp_path / "good"))
    save_file(arrays, tmp_path / "broken.safetensors", metadata={"format": "moe-lessons-trace-1", "trace": header})
    with pytest.raises(ValueError, match=words):
        RoutingTrace.load(tmp_path / "broken.safetensors")


@pytest.mark.parametrize("name", ["step-1.5", "step-1.5.safetensors", "plain", "v1.0.final"])
def test_a_dot_in_a_name_is_part_of_the_name(tmp_path, name):
    trace = RoutingTrace.from_logits(np.zeros((1, 2, 3)), ["a", "b"])
    written = trace.save(tmp_path / name)
    assert written.name == name.removesuffix(".safetensors") + ".safetensors"
    assert [path.name for path in tmp_path.iterdir()] == [written.name]
    assert RoutingTrace.load(written).pieces == ["a", "b"]


def test_a_trace_cut_short_anywhere_is_refused(tmp_path):
    whole = make().save(tmp_path / "good").read_bytes()
    for length in (0, 4, 40, len(whole) // 2, len(whole) - 1):
        (tmp_path / "short.safetensors").write_bytes(whole[:length])
        with pytest.raises(ValueError, match="short.safetensors is damaged or not a safetensors file"):
            RoutingTrace.load(tmp_path / "short.safetensors")


def test_a_trace_names_each_layer_and_each_expert_of_a_token_once():
    trace = make()
    with pytest.raises(ValueError, match="name each layer once"):
        replace(trace, layers=(0, 1, 1))
    with pytest.raises(ValueError, match="an expert twice for one token"):
        replace(trace, experts=np.zeros((3, 7, 2)))


def test_logits_that_cannot_be_routed_are_refused():
    with pytest.raises(ValueError, match="logits has 2 dimensions"):
        RoutingTrace.from_logits(np.zeros((7, 5)), ["a"] * 7)
    with pytest.raises(ValueError, match="zero experts"):
        RoutingTrace.from_logits(np.zeros((3, 7, 0)), ["a"] * 7)
    with pytest.raises(ValueError, match="bias has shape"):
        RoutingTrace.from_logits(np.zeros((3, 7, 5)), ["a"] * 7, bias=np.zeros(5))
    with pytest.raises(ValueError, match="not finite"):
        RoutingTrace.from_logits(np.full((3, 7, 5), np.nan), ["a"] * 7)


def test_load_counts_every_choice_once():
    trace = make(tokens=50)
    load = trace.load_per_expert()
    assert load.shape == (3, 5)
    assert (load.sum(axis=1) == 100).all()
    assert load[1, 3] == sum(3 in row for row in trace.experts[1].tolist())


def test_select_keeps_what_belongs_together():
    trace = make(layers=3, tokens=7)
    trace.layers = (2, 4, 6)
    part = trace.select(layers=[6, 2], tokens=[5, 1])
    assert part.layers == (6, 2)
    assert part.pieces == [" t5", " t1"]
    assert np.array_equal(part.logits, trace.logits[[2, 0]][:, [5, 1]])
    assert trace.select(tokens=slice(0, 0)).n_tokens == 0
    with pytest.raises(ValueError, match="layer is 0, but this trace has the layers 2, 4, 6"):
        trace.select(layers=[0])
