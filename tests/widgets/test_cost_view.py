"""CostView: the same numbers in the browser as in Python, presets for every card, and bad knobs."""

import re
import warnings
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_node import javascript

from moe_lessons import ModelConfig
from moe_lessons.accounting.price import PRECISIONS, accelerators, costs, has_sizes, sizes
from moe_lessons.cards import card_names
from moe_lessons.figures.lesson_12 import draw_laws, draw_ranges
from moe_lessons.widgets import CostView
from moe_lessons.widgets.shared.view import png

CONFIGS = {name: ModelConfig.from_card(name) for name in card_names(later=True)}
CARDS = {name: sizes(config) for name, config in CONFIGS.items() if has_sizes(config)}
DEVICES = accelerators()


@st.composite
def cases(draw) -> tuple:
    model = CARDS[draw(st.sampled_from(sorted(CARDS)))]
    if draw(st.booleans()):
        total = draw(st.integers(10**6, 10**13))
        model = model.with_parameters(total, draw(st.integers(1, total)))
    knobs = {
        "precision": draw(st.sampled_from(list(PRECISIONS))),
        "batch": draw(st.integers(1, 4096)),
        "context": draw(st.integers(1, model.longest)),
        "utilization": draw(st.floats(0.01, 1)),
        "bandwidth_utilization": draw(st.floats(0.01, 1)),
        "price": draw(st.floats(0, 10)),
        "tokens": draw(st.floats(1, 1e14)),
    }
    return model, DEVICES[draw(st.sampled_from(list(DEVICES)))], knobs, draw(st.integers(0, 64))


def test_the_browser_counts_costs_as_the_package_does(node):
    seen: list[tuple] = []
    given(cases())(lambda case: seen.append(case))()
    sent = [[asdict(model), asdict(device), knobs | {"devices": n}] for model, device, knobs, n in seen]
    expression = """value.map(([model, device, knobs]) => {
      const f = m.costs(model, device, knobs);
      const memory = Object.values(f.memory).flatMap(({ weights, cache }) => [weights, cache]);
      return [[f.needed, f.devices, f.speed.bound], [f.flops.training, f.flops.generation, ...memory,
        f.speed.arithmetic, f.speed.memory, f.speed.tokensPerSecond, f.perMillion,
        f.trainingFlops, f.trainingHours, f.trainingPrice]];
    })"""
    found = javascript(node, "cost_view/rule", expression, sent)
    for (model, device, knobs, n), (whole, numbers) in zip(seen, found, strict=True):
        want = costs(model, device, n_devices=n, **knobs)
        assert whole == [want.needed, want.n_devices, want.speed.bound]
        memory = [part for each in want.memory.values() for part in each]
        speed = [want.speed.arithmetic, want.speed.memory, want.speed.tokens_per_second]
        training = [want.training_flops, want.training_hours, want.training_price]
        assert numbers == pytest.approx([*want.flops, *memory, *speed, want.per_million, *training], rel=1e-9)
    assert len(seen) >= 50


def test_the_browser_moves_parameters_and_refuses_what_python_refuses(node):
    model, context = CARDS["deepseek-v3"], {"context": 4096}
    pairs = [(10**12, 10**10), (10**9, 10**9), (10**9, 10**10), (model.total, model.active)]
    expression = (
        "value.pairs.map(([t, a]) => { const s = m.withParameters(value.model, t, a); "
        "return [s.products, m.routed(s), m.problem(s, value.knobs)]; })"
    )
    found = javascript(node, "cost_view/rule", expression, {"model": asdict(model), "pairs": pairs, "knobs": context})
    for (total, active), (products, routed, sentence) in zip(pairs, found, strict=True):
        try:
            want = model.with_parameters(total, active)
        except ValueError:
            assert sentence.startswith("More parameters work on a token (10,000,000,000) than there are")
            continue
        assert (products, sentence) == (want.products, "")
        assert routed == pytest.approx(want.routed)
    too_long = javascript(node, "cost_view/rule", "m.problem(value, {context: 1e9})", asdict(model))
    assert too_long == "The model reads at most 163,840 tokens; shorten the context."


def test_numbers_are_said_in_three_digits_with_their_unit(node):
    expression = (
        "[m.money(0.0123), m.money(3.5), m.money(5576000), m.duration(0.0123), m.duration(2e-5), "
        "m.scientific(3.707e24), m.scientific(2e-3)]"
    )
    said = javascript(node, "cost_view/words", expression, 0)
    assert said == ["1.2 cents", "3.50 USD", "5.58 M USD", "12.3 ms", "20.0 µs", "3.71 · 10²⁴", "2.00 · 10⁻³"]
    assert javascript(node, "shared/common", "value.map(m.bytes)", [671e9, 512]) == ["671 GB", "512 B"]


def test_every_card_is_a_preset_with_a_still_picture_and_a_stable_repr():
    view = CostView()
    counted_otherwise = {"gemma-4-26b-a4b", "qwen3-next-80b-a3b"}  # their cards have formulas for the cache
    assert set(view.presets) == set(CARDS) - counted_otherwise
    for name in ("deepseek-v3", "llama-3.1-8b", "course-moe"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            view = CostView(preset=name, device="rtx4090", precision="fp4", batch=1)
            data, _ = view._repr_mimebundle_()
        assert data["image/png"].startswith("iVBOR")
        assert repr(view) == repr(CostView(preset=name, device="rtx4090", precision="fp4", batch=1))
        assert name in repr(view)
    assert "bound by memory" in repr(view)


def test_the_published_bill_comes_out_of_the_knobs():
    found = CostView(utilization=0.39, tokens=14.8e12).costs()
    assert found.training_price / 1e6 == pytest.approx(5.33, abs=0.1)  # arXiv:2412.19437, table 1: pre-training


def test_use_of_memory_moves_the_roof_of_memory_and_nothing_else():
    before, after = CostView(batch=1).costs(), CostView(batch=1, bandwidth_utilization=0.8).costs()
    assert before.speed.bound == "memory"
    assert after.speed.memory == pytest.approx(before.speed.memory / 2)
    assert after.speed.tokens_per_second == pytest.approx(2 * before.speed.tokens_per_second)
    assert after.per_million == pytest.approx(before.per_million / 2)
    assert (after.speed.arithmetic, after.training_price) == (before.speed.arithmetic, before.training_price)


@pytest.mark.parametrize(
    ("knobs", "sentence"),
    [
        ({"preset": "gpt-9"}, "preset is 'gpt-9', but must be one of: course-dense"),
        ({"device": "abacus"}, "device is 'abacus', but must be one of: h800"),
        ({"precision": "fp3"}, "precision is 'fp3', but must be one of: fp32, bf16, fp8, fp4"),
        ({"utilization": 1.5}, "utilization is 1.5, but is a share of the peak, above 0 and at most 1"),
        ({"bandwidth_utilization": 0}, "bandwidth_utilization is 0, but is a share of the peak, above 0 and at most 1"),
        ({"context": 10**9}, "context is 1000000000, but the model reads at most 163840 tokens; lower it"),
        ({"batch": 0}, "batch is 0, but must be at least 1"),
        ({"active": 10**12}, "active is 1,000,000,000,000, but must lie between 1 and total"),
        ({"color": 1}, "color: unknown or missing; the knobs are: active, bandwidth_utilization"),
    ],
)
def test_knobs_that_make_no_sense_are_refused_in_one_sentence(knobs, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        CostView(**knobs)


def test_laws_and_ranges_are_drawn_from_their_numbers():
    figure = draw_laws(
        {"dense": ([1e12, 1e13], [3.0, 2.0])},
        {"dense": ([1e12, 1e14], [2.9, 1.4], [3.0, 1.5], [3.1, 1.6])},
        {"dense": [(1e14, 1.45)]},
        "laws",
    )
    axis = figure.axes[0]
    assert axis.lines[0].get_ydata().tolist() == [3.0, 1.5]
    assert axis.collections[-1].get_offsets().tolist() == [[1e14, 1.45]]
    figure = draw_ranges({"a": (1, 2, 4), "b": (3, 3, 3)}, "prices", "million USD")
    assert [text.get_text() for text in figure.axes[0].texts] == ["2  (1 to 4)", "3"]
    png(figure)
